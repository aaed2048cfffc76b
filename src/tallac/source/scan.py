"""One directory's listing: each name with its stat fields, sorted, nothing opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Self

from tallac.source.entry import SourceEntry
from tallac.source.filesystem import REAL, FileSystem
from tallac.source.signature import signature
from tallac.source.spill import SortedSpill

RUN_COUNT_MAX = 20_000
"""So many entries are kept in memory (about 10 MB); a longer listing goes to disk."""


class Scan:
    """A directory's listing, sorted by name. It can be iterated any number of times. Close it: a long one is kept on disk.

    Attributes:
        failures: Names that are there and could not be looked at, with the reason. What vanished meanwhile is not among them.
    """

    def __init__(self, entries: Iterable[SourceEntry], count: int, failures: list[tuple[bytes, OSError]]) -> None:
        """Take the entries, sorted and distinct: a list or a spill, which is closed with the scan."""
        self._entries = entries
        self._count = count
        self.failures = failures

    def __iter__(self) -> Iterator[SourceEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        """Tell how many names were seen; a name that was listed twice during a rename may count twice."""
        return self._count

    @property
    def is_spilled(self) -> bool:
        """Whether the listing is kept on disk."""
        return isinstance(self._entries, SortedSpill)

    def signature(self) -> bytes:
        """Hash the listing; see `tallac.source.signature`."""
        return signature(self._entries)

    def close(self) -> None:
        """Let go of the disk space of a long listing."""
        if isinstance(self._entries, SortedSpill):
            self._entries.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def scan(descriptor: int, *, filesystem: FileSystem = REAL, run_count_max: int = RUN_COUNT_MAX) -> Scan:
    """List an open directory: one `scandir`, and one `lstat` a name.

    Args:
        descriptor: The directory; it stays open and can be scanned again.
        filesystem: The calls to use.
        run_count_max: How many entries may be in memory.

    Raises:
        OSError: The directory can't be listed, or not to its end.
        LocalStateError: A listing too long for memory can't be put on disk.
    """
    found: dict[bytes, SourceEntry] = {}
    failures: list[tuple[bytes, OSError]] = []
    spill: SortedSpill | None = None
    count = 0
    try:
        with filesystem.scandir(descriptor) as listing:
            for listed in listing:
                name = os.fsencode(listed.name)
                try:
                    status = listed.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    failures.append((name, error))
                    continue
                found[name] = SourceEntry.of(name, status)
                if len(found) >= run_count_max:
                    spill = spill or SortedSpill()
                    count += _spill(found, spill)
        if spill is None:
            return Scan(_sorted(found), len(found), failures)
        count += _spill(found, spill)
        return Scan(spill, count, failures)
    except BaseException:
        if spill is not None:
            spill.close()
        raise


def _sorted(found: dict[bytes, SourceEntry]) -> list[SourceEntry]:
    return [found[name] for name in sorted(found)]


def _spill(found: dict[bytes, SourceEntry], spill: SortedSpill) -> int:
    count = len(found)
    if found:
        spill.add_run(_sorted(found))
        found.clear()
    return count
