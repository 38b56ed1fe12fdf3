"""Public names whose modules are imported when they are first asked for."""

import sys
from importlib import import_module


def import_on_use(package, homes):
    """Make `__getattr__` and `__dir__` of a package, of names and the modules that hold them."""

    def __getattr__(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__():
        return sorted({*vars(sys.modules[package]), *homes})

    return __getattr__, __dir__
