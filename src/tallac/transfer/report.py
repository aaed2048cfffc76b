"""The report of a copy: counts, and what was left out."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Skipped(msgspec.Struct, frozen=True):
    """Something that was not copied.

    Attributes:
        path: The path as shown to the user.
        why: The reason, one sentence.
    """

    path: str
    why: str


def ignore(_: object) -> None:
    """Do nothing; the default of callbacks."""


class CopyReport(msgspec.Struct):
    """Counts of a copy, during and after it.

    Attributes:
        files, directories: The numbers of those that were copied or linked.
        bytes: The bytes that were read and written.
        bytes_expected: The bytes of the whole copy; 0 if unknown.
        skipped: The paths that are missing from the copy.
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
        """Record a path that was left out."""
        self.skipped.append(Skipped(path, why))

    def advance(self, length: int) -> None:
        """Count copied bytes, and call `progress`."""
        self.bytes += length
        self.progress(self)

    def begin_anew(self) -> None:
        """Reset all counts, because the copy starts again."""
        self.files = self.directories = self.bytes = 0
        self.skipped.clear()
