"""Tallac: versioned, encrypted backups that can be shared piece by piece.

`tallac.Client` does for programs what the `tallac` command does for people, under the same names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallac.connect import Client, Folders
    from tallac.errors import TallacError

__version__ = "0.1.0"

__all__ = ["Client", "Folders", "TallacError", "__version__"]

_HOMES = {"Client": "tallac.connect", "Folders": "tallac.connect", "TallacError": "tallac.errors"}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the command's start, and each part of the package, do without the rest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    return value
