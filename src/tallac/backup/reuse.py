"""Decisions on what of a source need not be read: it is as it was recorded, and the grid has what was stored of it."""

from __future__ import annotations

from collections.abc import Callable

from tallac.backup.decide import Comparison
from tallac.backup.recorded import Recorded
from tallac.dag import EncodedCap, Entry
from tallac.interfaces import Holdings
from tallac.source import OwnFiles, SourceEntry
from tallac.sourcedb import DirectoryRow


class Reuse:
    """Decides for one run what can be used again.

    A directory that the grid has and that was recorded in the present epoch is whole, where the grid keeps what hangs from
    directories: then none of its entries is looked up. docs/decisions/043-backups-in-less-time.md says what that rests on.
    """

    def __init__(self, writer: Holdings, comparison: Comparison, own: OwnFiles, *, trusts_timestamps: bool) -> None:
        """Compare files as `comparison` says; nothing of what is `own` is used again."""
        self._writer = writer
        self._comparison = comparison
        self._own = own
        self._trusts_timestamps = trusts_timestamps
        # What a prune takes is no loss for what hangs from a root; but records know nothing of roots.
        self._epoch = None if writer.has_losses else writer.epoch

    def recorded(self, row: DirectoryRow) -> Recorded:
        """Return how a directory was stored the last time, by its row."""
        return Recorded(row.encoded, row.read_ns, row.epoch == self._epoch)

    def is_recognised(self, row: DirectoryRow, signature: bytes) -> bool:
        """Whether the names of a directory are those that were recorded, with the same stat fields, and the grid has it."""
        is_same = self._trusts_timestamps and row.signature == signature
        return is_same and row.epoch == self._epoch and self._writer.holds(row.encoded)

    def in_directory(self, recorded: Recorded, read_ns: int) -> DirectoryReuse:
        """Begin a directory that is gone through now; its reading began at `read_ns`."""
        is_whole = recorded.is_current and self._writer.keeps_below and self._writer.holds(recorded.encoded)
        return DirectoryReuse(self._writer, self._comparison, self._own, recorded, read_ns, self._trusts_timestamps, is_whole)


class DirectoryReuse:
    """Decides what of one directory's files can be used again.

    Attributes:
        is_surely_unchanged: Whether a name is a regular file that is as it was recorded, is nothing special in any way, and is
            known to be in the grid; it says so of most, and takes little time. Of the others `is_unchanged` tells.
    """

    def __init__(
        self,
        writer: Holdings,
        comparison: Comparison,
        own: OwnFiles,
        recorded: Recorded,
        read_ns: int,
        trusts_timestamps: bool,
        is_whole: bool,
    ) -> None:
        self._writer = writer
        self._comparison = comparison
        self._recorded = recorded
        self._trusts_timestamps = trusts_timestamps
        self._is_whole = is_whole
        self.is_surely_unchanged: Callable[[SourceEntry, Entry], bool] = _never
        if is_whole and trusts_timestamps:
            self.is_surely_unchanged = comparison.plain_files(min(read_ns, recorded.read_ns), own.may_be_own)

    def is_unchanged(self, found: SourceEntry, old: Entry) -> bool:
        """Whether a name that is no directory is as it was recorded, and the grid has it."""
        if found.is_regular and not self._trusts_timestamps:
            return False
        if not self._comparison.is_as_recorded(found, old, self._recorded.read_ns):
            return False
        if self._is_whole or EncodedCap(old.encoded).is_literal_file:
            return True
        return self._writer.holds(old.encoded) if self._recorded.is_current else self._writer.holds_all(old.encoded)


def _never(_found: SourceEntry, _old: Entry) -> bool:
    return False
