"""Plain files side by side in a directory, all unchanged or all new: what is done with them is done for many at once."""

from __future__ import annotations

from tallac.backup.context import WalkContext
from tallac.backup.decide import is_same_plain_file
from tallac.backup.files import QUEUED_MAX
from tallac.backup.pending_directory import PendingDirectory
from tallac.backup.reuse import DirectoryReuse
from tallac.backup.summary import Change
from tallac.dag import Entry
from tallac.source import SourceEntry

TOGETHER_MAX = 1000


class Neighbours:
    """Collects plain files of one directory, in the order of their names. Call `flush` before anything else is added to it."""

    def __init__(self, context: WalkContext, pending: PendingDirectory, reuse: DirectoryReuse | None) -> None:
        """Begin; `reuse` is None where nothing is recorded of the directory."""
        self._context = context
        self._pending = pending
        read_ns = pending.read_ns if reuse is None else min(pending.read_ns, reuse.read_ns)
        self._is_plain = context.comparison.plain_files(read_ns, context.own.inodes)
        self._takes_unchanged = reuse is not None and reuse.is_whole
        # What a killed run has stored is looked for file by file.
        self._takes_new = not context.record.has_provisional
        self._small_size_max = context.files.small_size_max
        self._unchanged: list[Entry] = []
        self._new: list[SourceEntry] = []
        self._size = 0

    def take(self, found: SourceEntry, old: Entry | None) -> bool:
        """Take a file that is plain, and new or as it was recorded, and return True; else return False, with nothing left here."""
        if old is None:
            if self._takes_new and self._is_plain(found) and found.size <= self._small_size_max:
                if self._unchanged or len(self._new) >= TOGETHER_MAX:
                    self.flush()
                self._new.append(found)
                return True
        elif self._takes_unchanged and is_same_plain_file(found, old) and self._is_plain(found):
            if self._new or len(self._unchanged) >= TOGETHER_MAX:
                self.flush()
            self._unchanged.append(old)
            self._size += found.size
            return True
        self.flush()
        return False

    def flush(self) -> None:
        """Add what was taken to the directory, or queue it to be read."""
        context = self._context
        if self._new:
            new, self._new = self._new, []
            context.files.read_new(self._pending, new)
        elif self._unchanged:
            unchanged, size, self._unchanged, self._size = self._unchanged, self._size, [], 0
            context.ledger.finish_files(Change.UNCHANGED, self._pending.path, [entry.name for entry in unchanged], size)
            context.assembler.add_files(self._pending, unchanged, size)
        else:
            return
        if context.assembler.queued > QUEUED_MAX:
            context.files.drain()
