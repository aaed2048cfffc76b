"""What a look could not look at."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class ReadError(msgspec.Struct, frozen=True):
    """Something that could not be looked at, so that the answer lacks it.

    Attributes:
        path: Where, below what was asked for.
        what: One sentence.
        snapshots: The names of the snapshots that it is in, where several are looked at.
    """

    path: bytes
    message: str
    snapshots: tuple[bytes, ...] = ()


Report = Callable[[ReadError], None]
"""Takes note of trouble; the look goes on beside it."""
