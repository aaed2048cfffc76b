"""Counting what a restore is going to restore, where the snapshot does not say, so that the end can be foreseen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, join_path, mutable_identity
from tallac.errors import TallacError
from tallac.interfaces import CapReader
from tallac.restore.path_filter import PathFilter, Scope
from tallac.restore.report import RestoreSummary, Tally

START_AFTER_SECONDS = 1.0
"""A restore that takes less needs no count."""

SHARE_MAX = 0.05
"""Counting takes up to this share of the time: the restore itself reads the same directories with the same reader."""

_TURN = 100


def expect(tally: Tally, grid: CapReader, entry: Entry, selection: PathFilter) -> None:
    """Set what a tally expects: a snapshot's own facts say it if all of it is wanted; else it is counted."""
    facts = entry.metadata.snapshot
    if facts is not None and selection.is_everything:
        tally.summary.files_expected, tally.summary.bytes_expected = facts.files, facts.size
    elif tally.observer.progress is not None and entry.is_directory:
        tally.count_ahead = CountAhead(grid, entry, selection).look


class CountAhead:
    """Counts bit by bit whenever it is asked to; a directory that can't be read ends the count, and the restore says why."""

    def __init__(
        self, grid: CapReader, entry: Entry, selection: PathFilter, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Count what is below an entry, as far as it is selected; nothing is read yet. The clock returns seconds."""
        self._clock = clock
        self._began = clock()
        self._spent = 0.0
        self._steps = _walk(grid, entry, selection)
        self._has_ended = False

    def look(self, summary: RestoreSummary) -> None:
        """Count for a moment, and tell the summary what was counted, and in the end what to expect."""
        now = self._clock()
        if self._has_ended or now - self._began < START_AFTER_SECONDS:
            return
        summary.is_counting = True
        try:
            while self._spent <= SHARE_MAX * (now - self._began) and self._count(summary):
                self._spent += self._clock() - now
                now = self._clock()
        except TallacError:
            self._end(summary)

    def _count(self, summary: RestoreSummary) -> bool:
        """Count some entries, and return whether there may be more."""
        for _ in range(_TURN):
            size = next(self._steps, None)
            if size is None:
                summary.files_expected, summary.bytes_expected = summary.files_counted, summary.bytes_counted
                self._end(summary)
                return False
            if size >= 0:
                summary.files_counted += 1
                summary.bytes_counted += size
        return True

    def _end(self, summary: RestoreSummary) -> None:
        self._has_ended, summary.is_counting = True, False
        summary.files_counted = summary.bytes_counted = 0


def _walk(grid: CapReader, top: Entry, selection: PathFilter) -> Iterator[int]:
    """Yield the size of each file, and -1 for each entry that is none or is not wanted."""
    levels = [(b"", selection.top, mutable_identity(top.encoded), iter(_entries(grid, top)))]
    while levels:
        path, scope, _, entries = levels[-1]
        entry = next(entries, None)
        if entry is None:
            levels.pop()
            continue
        below = join_path(path, entry.name)
        inside = selection.scope(below, entry.is_directory, scope)
        if not entry.is_directory:
            yield entry.size if inside is Scope.IN else -1
            continue
        identity = mutable_identity(entry.encoded)
        leads_back = identity is not None and any(level[2] == identity for level in levels)
        if inside is not Scope.OUT and not leads_back:
            levels.append((below, inside, identity, iter(_entries(grid, entry))))
        yield -1


def _entries(grid: CapReader, entry: Entry) -> Iterator[Entry]:
    cap = entry.cap
    return iter(grid.read_directory(cap)) if isinstance(cap, DirectoryReadCap) else iter(())
