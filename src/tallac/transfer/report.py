"""What a copy did, and what it left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not copied.

    Attributes:
        path: As shown to the user.
        why: One sentence.
    """

    path: str
    why: str


def ignore(_path: str) -> None:
    """Take note of a path and do nothing."""


@dataclass(slots=True)
class CopyReport:
    """Counts of a copy, while it goes on and afterwards.

    Attributes:
        files, directories: How many were copied or linked.
        bytes: Lengths of the files that were read.
        skipped: What is missing from the copy.
        notice: Called with each path as it is copied.
    """

    files: int = 0
    directories: int = 0
    bytes: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    notice: Callable[[str], None] = ignore

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.skipped

    def skip(self, path: str, why: str) -> None:
        """Count something as left out."""
        self.skipped.append(Skipped(path, why))
