"""How much a writer compresses what it stores."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, runtime_checkable

from tallac.errors import UsageError


class Compression(StrEnum):
    """How much is compressed: a matter of space and time alone, since every reader reads all of it.

    OFF: Nothing.
    FAST: Everything at the lowest level.
    AUTO: Small contents as with FAST, others a little more.
    MAX: As much as can be had, which takes ten to fifty times as long.
    """

    OFF = "off"
    FAST = "fast"
    AUTO = "auto"
    MAX = "max"


COMPRESSIONS = "|".join(Compression)
"""The choices, as they stand in help texts."""


@runtime_checkable
class CompressingGrid(Protocol):
    """A grid that compresses what it stores."""

    def choose_compression(self, compression: Compression | None) -> None:
        """Compress so much from now on, whatever the grid's settings say; as they say with None."""
        ...


def parse_compression(text: str) -> Compression:
    """Read a choice as a user writes it.

    Raises:
        UsageError: It is none.
    """
    if text not in Compression.__members__.values():
        raise UsageError(f"{text!r} is no compression: write {', '.join(list(Compression)[:-1])} or {Compression.MAX}")
    return Compression(text)
