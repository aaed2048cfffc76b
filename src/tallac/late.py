"""Package fronts that import what is asked for when it is asked for.

A front names what a package offers. One that imported all of that would make every command wait for what it does not use: the
ciphers and the vault take a third of the start of a command that talks to a Tahoe-LAFS node.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def front(package: str, offered: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` (PEP 562) of a package that imports its exports lazily.

    Args:
        package: The package's name.
        offered: For each module what the front offers of it, with spaces between the names.
    """
    homes = {name: module for module, names in offered.items() for name in names.split()}

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
