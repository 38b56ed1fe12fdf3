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
    """Yield the dotted name of every class and function that a room shows, and of its methods."""
    for module in pkgutil.iter_modules(skeegformer.__path__, "skeegformer."):
        # Modules whose names start with an underscore are nobody else's business.
        if module.name.split(".")[-1].startswith("_"):
            continue
        room = importlib.import_module(module.name)
        here = [name for name, value in vars(room).items() if is_of(room, name, value)]
        for name in getattr(room, "__all__", here):
            value = getattr(room, name)
            if not inspect.isclass(value) and not inspect.isfunction(value):
                continue
            yield f"{room.__name__}.{name}"
            if inspect.isclass(value):
                yield from (f"{room.__name__}.{name}.{method}" for method in methods(value))


def is_of(room, name, value):
    """Tell whether a room that is a single module shows this name."""
    return not name.startswith("_") and getattr(value, "__module__", None) == room.__name__


def methods(cls):
    """Yield the methods of a class, but for those that another package describes."""
    others = [base for base in cls.__mro__[1:] if not base.__module__.startswith("skeegformer")]
    for name, value in vars(cls).items():
        # The docstring of a network's module tells the shapes of its steps once.
        if issubclass(cls, nn.Module) and name != "forward":
            continue
        is_method = inspect.isfunction(value) and not name.startswith("_")
        if is_method and not any(name in vars(base) for base in others if base is not nn.Module):
            yield name


errors = []
for name in public_objects():
    for code, message in validate(name)["errors"]:
        if code in checks:
            errors.append(f"{name}: {code} {message}")
print("\n".join(errors) or "every public docstring is complete")
sys.exit(bool(errors))
