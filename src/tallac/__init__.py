"""Tallac: versioned, encrypted backups that can be shared piece by piece.

`tallac.Client` does for programs what the `tallac` command does for people, under the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallac.late import front

if TYPE_CHECKING:
    from tallac.app.client import Client
    from tallac.app.configuration.folders import Folders
    from tallac.errors import TallacError

__version__ = "0.1.0"

__all__ = ["Client", "Folders", "TallacError", "__version__"]

__getattr__ = front(
    __name__, {"tallac.app.client": "Client", "tallac.app.configuration.folders": "Folders", "tallac.errors": "TallacError"}
)
