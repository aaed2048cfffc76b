"""What a copy did, and what it left out."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Skipped(msgspec.Struct, frozen=True):
    """Something that was not copied.

    Attributes:
        path: As shown to the user.
        why: One sentence.
    """

    path: str
    why: str


def ignore(_: object) -> None:
    """Take note and do nothing."""


class CopyReport(msgspec.Struct):
    """Counts of a copy, while it goes on and afterwards.

    Attributes:
        files, directories: How many were copied or linked.
        bytes: How many bytes were read and written.
        bytes_expected: How many it will be in all; 0 where that is not known beforehand.
        skipped: What is missing from the copy.
        notice: Called with each path as it is copied.
        progress: Called with the report, after each step within a file.
    """

    files: int = 0
    directories: int = 0
    bytes: int = 0
    bytes_expected: int = 0
    skipped: list[Skipped] = msgspec.field(default_factory=list)
    notice: Callable[[str], None] = ignore
    progress: Callable[[CopyReport], None] = ignore

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.skipped

    def skip(self, path: str, why: str) -> None:
        """Count something as left out."""
        self.skipped.append(Skipped(path, why))

    def advance(self, length: int) -> None:
        """Count bytes that were copied, and tell how far it is."""
        self.bytes += length
        self.progress(self)

    def begin_anew(self) -> None:
        """Forget what was counted, because the copy is made once more."""
        self.files = self.directories = self.bytes = 0
        self.skipped.clear()
