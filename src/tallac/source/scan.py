"""One directory's listing: each name with its stat fields, sorted, nothing opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from stat import S_ISDIR
from typing import NamedTuple, Protocol, Self

from tallac.source.entry import SourceEntry
from tallac.source.filesystem import REAL, FileSystem
from tallac.source.signature import signature, signature_of_statuses
from tallac.source.spill import SortedSpill

# What `os.fsencode` does, without its call for each name. On Windows surrogates pass as they are.
_ENCODING = sys.getfilesystemencoding()
_ENCODING_ERRORS = sys.getfilesystemencodeerrors()

RUN_COUNT_MAX = 10_000
"""So many names are kept in memory (about 8 MB); a longer listing goes to disk."""


class Failure(NamedTuple):
    """A name that could not be looked at; the listing itself tells whether it is a directory's."""

    name: bytes
    error: OSError
    is_directory: bool


class Scan(Protocol):
    """A directory's listing, sorted by name. It can be iterated any number of times. Close it: a long one is kept on disk.

    Attributes:
        failures: Names that are there and could not be looked at, with the reason. What vanished meanwhile is not among them.
        waiting: Directories that were not looked at, as the caller wished.
    """

    failures: list[Failure]
    waiting: list[bytes]

    def __iter__(self) -> Iterator[SourceEntry]: ...

    def __len__(self) -> int:
        """Return how many names were seen; a name that was listed twice during a rename may count twice."""
        ...

    def directories(self) -> Iterator[SourceEntry]:
        """Iterate over the subdirectories alone."""
        ...

    def find(self, names: Collection[bytes]) -> dict[bytes, SourceEntry]:
        """Return those of some names that are there."""
        ...

    def look_at(self, name: bytes, descriptor: int, filesystem: FileSystem) -> None:
        """Look at one of the names that wait, in the open directory, before anything is iterated."""
        ...

    def signature(self) -> bytes:
        """Hash the listing; see `tallac.source.signature`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class ShortScan:
    """A listing in memory. Entries are made as they are asked for: of an unchanged directory only the signature is."""

    def __init__(self, statuses: dict[bytes, os.stat_result], failures: list[Failure], waiting: list[bytes]) -> None:
        """Take what `stat` said of each name."""
        self._names = sorted(statuses)
        self._statuses = statuses
        self.failures = failures
        self.waiting = waiting

    def __iter__(self) -> Iterator[SourceEntry]:
        statuses = self._statuses
        return (SourceEntry.of(name, statuses[name]) for name in self._names)

    def __len__(self) -> int:
        return len(self._names)

    def directories(self) -> Iterator[SourceEntry]:
        """See `Scan`."""
        statuses = self._statuses
        return (SourceEntry.of(name, statuses[name]) for name in self._names if S_ISDIR(statuses[name].st_mode))

    def find(self, names: Collection[bytes]) -> dict[bytes, SourceEntry]:
        """See `Scan`."""
        statuses = self._statuses
        return {name: SourceEntry.of(name, statuses[name]) for name in names if name in statuses}

    def look_at(self, name: bytes, descriptor: int, filesystem: FileSystem) -> None:
        """See `Scan`."""
        status = _look_at(self, name, descriptor, filesystem)
        if status is not None:
            self._statuses[name] = status
            self._names = sorted(self._statuses)

    def signature(self) -> bytes:
        """See `Scan`."""
        return signature_of_statuses(self._names, self._statuses)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class LongScan:
    """A listing on disk."""

    def __init__(self, spill: SortedSpill, count: int, failures: list[Failure], waiting: list[bytes]) -> None:
        """Take a spill, which is closed with the scan."""
        self._spill = spill
        self._count = count
        self.failures = failures
        self.waiting = waiting

    def __iter__(self) -> Iterator[SourceEntry]:
        return iter(self._spill)

    def __len__(self) -> int:
        return self._count

    def directories(self) -> Iterator[SourceEntry]:
        """See `Scan`."""
        return (entry for entry in self._spill if entry.is_directory)

    def find(self, names: Collection[bytes]) -> dict[bytes, SourceEntry]:
        """See `Scan`."""
        return {entry.name: entry for entry in self._spill if entry.name in names} if names else {}

    def look_at(self, name: bytes, descriptor: int, filesystem: FileSystem) -> None:
        """See `Scan`."""
        status = _look_at(self, name, descriptor, filesystem)
        if status is not None:
            self._spill.add_run([SourceEntry.of(name, status)])
            self._count += 1

    def signature(self) -> bytes:
        """See `Scan`."""
        return signature(self._spill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._spill.close()


def scan(
    descriptor: int, *, filesystem: FileSystem = REAL, run_count_max: int = RUN_COUNT_MAX, later: Collection[bytes] = ()
) -> Scan:
    """List an open directory: one `scandir`, and one `lstat` a name.

    Args:
        descriptor: The directory; it stays open and can be scanned again.
        filesystem: The calls to use.
        run_count_max: How many names may be in memory.
        later: Directories that are not looked at yet; see `Scan.waiting`.

    Raises:
        OSError: The directory can't be listed, or not to its end.
        LocalStateError: A listing too long for memory can't be put on disk.
    """
    found: dict[bytes, os.stat_result] = {}
    failures: list[Failure] = []
    waiting: list[bytes] = []
    spill: SortedSpill | None = None
    count = 0
    try:
        with filesystem.scandir(descriptor) as listing:
            for listed in listing:
                name = listed.name.encode(_ENCODING, _ENCODING_ERRORS)
                if name in later and _is_listed_as_directory(listed):
                    waiting.append(name)
                    continue
                try:
                    found[name] = listed.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    failures.append(Failure(name, error, _is_listed_as_directory(listed)))
                    continue
                if len(found) >= run_count_max:
                    spill = spill or SortedSpill()
                    count += _spill(found, spill)
        if spill is None:
            return ShortScan(found, failures, waiting)
        count += _spill(found, spill)
        return LongScan(spill, count, failures, waiting)
    except BaseException:
        if spill is not None:
            spill.close()
        raise


def scan_names(descriptor: int, names: Iterable[bytes], *, filesystem: FileSystem = REAL) -> Scan:
    """Look at some names of an open directory, as if it held nothing else; one that is not there is among the failures."""
    found: dict[bytes, os.stat_result] = {}
    failures: list[Failure] = []
    for name in names:
        try:
            found[name] = filesystem.lstat(name, descriptor)
        except OSError as error:
            failures.append(Failure(name, error, False))
    return ShortScan(found, failures, [])


def scan_nothing() -> Scan:
    """Return an empty listing, for a directory that is not entered."""
    return ShortScan({}, [], [])


def _look_at(listing: Scan, name: bytes, descriptor: int, filesystem: FileSystem) -> os.stat_result | None:
    """Take a name out of those that wait, and look at it; None where that fails, which the listing then knows."""
    listing.waiting.remove(name)
    try:
        return filesystem.lstat(name, descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        listing.failures.append(Failure(name, error, True))
        return None


def _is_listed_as_directory(listed: os.DirEntry[str]) -> bool:
    try:
        return listed.is_dir(follow_symlinks=False)
    except OSError:
        return False  # This file system's listings tell no types.


def _spill(found: dict[bytes, os.stat_result], spill: SortedSpill) -> int:
    count = len(found)
    if found:
        spill.add_run([SourceEntry.of(name, found[name]) for name in sorted(found)])
        found.clear()
    return count
