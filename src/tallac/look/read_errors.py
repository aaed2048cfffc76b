"""Paths that could not be read."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class ReadError(msgspec.Struct, frozen=True):
    """A path that was not read, and that the result therefore lacks.

    Attributes:
        path: The path below the one that was asked for.
        message: One sentence.
        snapshots: The names of the snapshots that have it, if several are read.
        is_missing: Whether the result lacks something; not where all of it is in the result at another path.
    """

    path: bytes
    message: str
    snapshots: tuple[bytes, ...] = ()
    is_missing: bool = True


OnReadError = Callable[[ReadError], None]
"""Called with each path that can't be read; the operation goes on."""
