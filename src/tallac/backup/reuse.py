"""Decisions on what of a source need not be read: it is as it was recorded, and the grid has what was stored of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallac.backup.decide import Comparison, Subdirectories
from tallac.backup.recorded import Recorded
from tallac.clock import since_start_ns
from tallac.dag import EncodedCap, Entry
from tallac.interfaces import Holdings
from tallac.source import DirectorySelection, SourceEntry
from tallac.sourcedb import DirectoryRow, SourceRecord

if TYPE_CHECKING:
    from tallac.backup.leaves import LeafListing
    from tallac.backup.look_ahead import LookAhead

_NO_SUBDIRECTORIES = Subdirectories().digest()


class Reuse:
    """Decides for one run what can be used again.

    A directory that the grid has and that was recorded in the present epoch is whole, where the grid keeps what hangs from
    directories: then none of its entries is looked up. docs/decisions/043-backups-in-less-time.md says what that rests on.
    """

    def __init__(self, writer: Holdings, comparison: Comparison, *, trusts_timestamps: bool) -> None:
        """Compare files as `comparison` says, if timestamps are trusted at all."""
        self._writer = writer
        self._comparison = comparison
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

    def in_directory(self, recorded: Recorded | None) -> DirectoryReuse | None:
        """Begin a directory that is gone through; None where nothing is recorded of it."""
        return None if recorded is None else DirectoryReuse(self._writer, self._comparison, recorded, self._trusts_timestamps)


class DirectoryReuse:
    """Decides what of one directory's files can be used again.

    Attributes:
        read_ns: When the directory was read that is recorded.
        is_whole: Whether the grid is known to have all that is in it, and timestamps are trusted.
    """

    def __init__(self, writer: Holdings, comparison: Comparison, recorded: Recorded, trusts_timestamps: bool) -> None:
        self._writer = writer
        self._comparison = comparison
        self._recorded = recorded
        self._trusts_timestamps = trusts_timestamps
        self.read_ns = recorded.read_ns
        self.is_whole = trusts_timestamps and recorded.is_current and writer.keeps_below and writer.holds(recorded.encoded)

    def is_unchanged(self, found: SourceEntry, old: Entry) -> bool:
        """Whether a name that is no directory is as it was recorded, and the grid has it."""
        if found.is_regular and not self._trusts_timestamps:
            return False
        if not self._comparison.is_as_recorded(found, old, self.read_ns):
            return False
        if self.is_whole or EncodedCap(old.encoded).is_literal_file:
            return True
        return self._writer.holds(old.encoded) if self._recorded.is_current else self._writer.holds_all(old.encoded)


class LeafRecognition:
    """Recognises directories without subdirectories by what another process has reported of them."""

    def __init__(self, ahead: LookAhead | None, record: SourceRecord, reuse: Reuse) -> None:
        """Begin; `ahead` is None where there is no such process."""
        self._ahead = ahead
        self._record = record
        self._reuse = reuse

    def find(self, path: bytes, selection: DirectorySelection) -> tuple[DirectoryRow, int] | LeafListing | None:
        """Return the row of a directory that is as it was recorded, and how many names it has; else its listing, if that came."""
        if self._ahead is None or selection.is_hollow or selection.scope is not None:
            return None
        leaf = self._ahead.find(path, since_start_ns())
        if leaf is None or leaf.rules != selection.digest:
            return None
        row = self._record.directory(path)
        if row is None or row.below != _NO_SUBDIRECTORIES or not self._reuse.is_recognised(row, leaf.signature):
            return leaf.listing
        return row, leaf.count
