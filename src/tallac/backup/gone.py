"""What is no longer in the source: counted for the summary, from what the grid has of it."""

from __future__ import annotations

from collections.abc import Iterator

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry
from tallac.errors import DamageError
from tallac.interfaces import CapReader


def count_below(grid: CapReader, directory: Entry) -> tuple[int, int]:
    """Count the files and the directories below a recorded directory, itself not counted.

    A directory that is lost counts, and what was in it does not: nobody knows it, and the new snapshot does without.
    """
    files = directories = 0
    levels = [_list(grid, directory)]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif entry.is_directory:
            directories += 1
            levels.append(_list(grid, entry))
        else:
            files += 1
    return files, directories


def _list(grid: CapReader, directory: Entry) -> Iterator[Entry]:
    try:
        cap = directory.cap
        if isinstance(cap, DirectoryReadCap):
            yield from grid.read_directory(cap)
    except DamageError:
        return
