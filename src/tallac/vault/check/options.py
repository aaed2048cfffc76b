"""What a check of a whole vault is told, and who can carry it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from tallac.caps import Cap
from tallac.interfaces import CheckReport


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
        opens_content: Open all content as well that the cap gives a right to read.
    """

    share: PackSubset | None = None
    opens_content: bool = False


@runtime_checkable
class VaultChecker(Protocol):
    """Checks a vault as a whole. With a keeper key it takes no cap, and opens no content."""

    def check_vault(
        self, cap: Cap | None, options: CheckOptions, *, progress: Callable[[CheckReport], None] | None = None
    ) -> CheckReport:
        """Check the vault's own parts, the chosen packs, and what hangs below a cap; without one, below all roots.

        Raises:
            AuthorityError: The cap was issued by another grid.
            StoreError: The store can't be asked.
        """
        ...
