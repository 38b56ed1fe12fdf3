"""Check the docstrings of every public object with numpydoc, by pyproject.toml's settings."""

import importlib
import inspect
import pkgutil
import sys
import tomllib
from pathlib import Path

from numpydoc.validate import validate
from torch import nn

import skeegformer

settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]
checks = set(settings["numpydoc_validation"]["checks"])


def public_objects():
    """Yield the dotted name of every public class, function and method that is written here."""
    # Modules whose names start with an underscore are nobody else's business.
    for module in pkgutil.walk_packages(skeegformer.__path__, "skeegformer."):
        if any(part.startswith("_") for part in module.name.split(".")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            is_object = inspect.isclass(value) or inspect.isfunction(value)
            if name.startswith("_") or not is_object or value.__module__ != module.name:
                continue
            yield f"{module.name}.{name}"
            if inspect.isclass(value):
                for method, function in vars(value).items():
                    # The docstring of a network's module tells the shapes of its steps once.
                    if issubclass(value, nn.Module) and method != "forward":
                        continue
                    if inspect.isfunction(function) and not method.startswith("_"):
                        yield f"{module.name}.{name}.{method}"


errors = []
for name in public_objects():
    for code, message in validate(name)["errors"]:
        if code in checks:
            errors.append(f"{name}: {code} {message}")
print("\n".join(errors) or "every public docstring is complete")
sys.exit(bool(errors))
