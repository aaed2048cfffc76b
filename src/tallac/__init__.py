"""Tallac: versioned, encrypted backups that can be shared piece by piece.

`tallac.Client` does for programs what the `tallac` command does for people.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallac.app.client import Client
    from tallac.app.configuration.folders import Folders
    from tallac.app.operations.backup import BackupOptions
    from tallac.app.operations.exclusions import Exclusions
    from tallac.errors import TallacError

__version__ = "0.1.0"

__all__ = ["BackupOptions", "Client", "Exclusions", "Folders", "TallacError", "__version__"]

_MODULES = {
    "BackupOptions": "tallac.app.operations.backup",
    "Client": "tallac.app.client",
    "Exclusions": "tallac.app.operations.exclusions",
    "Folders": "tallac.app.configuration.folders",
    "TallacError": "tallac.errors",
}


def __getattr__(name: str) -> object:
    """Import a name when it is first used (PEP 562), because every command imports this package and few need all of it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
