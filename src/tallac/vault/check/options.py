"""Options of a check of a whole vault."""

from __future__ import annotations

import msgspec


class PackSubset(msgspec.Struct, frozen=True):
    """Which packs are read whole, byte for byte. Packs are named by a hash, so any share is a fair sample.

    Attributes:
        part, parts: The part-th of so many parts, by the packs' names: the same packs each time.
        percent: The next packs that make up so many percent of all bytes, after those of the run before; 0 for all of the part.
        is_resumed: Go on where a run of the same kind was interrupted, looking again at what it found damaged.
    """

    part: int = 1
    parts: int = 1
    percent: float = 0.0
    is_resumed: bool = False

    @property
    def kind(self) -> str:
        """Under which name a client remembers how far it is."""
        return "percent" if self.percent else f"{self.part}/{self.parts}"


class CheckOptions(msgspec.Struct, frozen=True):
    """How to check.

    Attributes:
        share: Which packs to read whole; None for none of them.
        opens_content: Open all content as well that the cap gives a right to read, and that was not stored by this machine.
    """

    share: PackSubset | None = None
    opens_content: bool = False
