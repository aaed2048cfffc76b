"""Look up the snapshot that a place lies in: what was left out of it, and where it came from."""

from __future__ import annotations

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry
from tallac.interfaces import Grid
from tallac.restore.absence import Absence
from tallac.transfer import Place, find


def snapshot_of(grid: Grid, located: Place) -> tuple[Entry, int] | None:
    """Return the snapshot that a place lies in, and how many names lead to it; None where it lies in none."""
    for length in range(1, len(located.path) + 1):
        found = find(grid, Place(located.cap, located.path[:length], located.label))
        if found.metadata.snapshot is not None:
            return Entry.of(located.path[length - 1], found.cap, found.metadata), length
    return None


def absence_at(grid: Grid, located: Place) -> Absence | None:
    """Return what a snapshot knows of the names that a directory in it has not; None where the place lies in no snapshot."""
    found = snapshot_of(grid, located)
    if found is None:
        return None
    entry, length = found
    facts = entry.metadata.snapshot
    absence = Absence.at_root(None if facts is None else facts.rules, entry.metadata)
    for name in located.path[length:]:
        cap = entry.cap
        below = grid.read_directory(cap) if isinstance(cap, DirectoryReadCap) else None
        child = None if below is None else below.get(name)
        if below is None or child is None:
            return absence
        absence.take_in(grid, below)
        absence, entry = absence.below(child), child
    return absence
