"""One directory's listing: each name with its stat fields, sorted, nothing opened; and what is chosen of it."""

from __future__ import annotations

import errno
import heapq
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import attrgetter
from stat import S_IFDIR, S_IFREG, S_ISDIR
from typing import TYPE_CHECKING, Self

from tallac.source.entry import SourceEntry, unseen_entry
from tallac.source.filesystem import REAL, FileSystem
from tallac.source.listing import (
    EncodedListing,
    EncodedScan,
    Failure,
    Scan,
    signature,
    signature_of_rows,
    signature_of_statuses,
)

if TYPE_CHECKING:
    from tallac.source.selection import DirectorySelection
    from tallac.source.spill import SortedSpill

# What `os.fsencode` does, without its call for each name. On Windows surrogates pass as they are.
_ENCODING = sys.getfilesystemencoding()
_ENCODING_ERRORS = sys.getfilesystemencodeerrors()

_CTIME_NS, _STATUS_CTIME_NS = attrgetter("ctime_ns"), attrgetter("st_ctime_ns")

RUN_COUNT_MAX = 10_000
"""So many names are kept in memory (about 8 MB); a longer listing goes to disk."""


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

    def changed_ns(self) -> int:
        """See `Scan`."""
        return max(map(_STATUS_CTIME_NS, self._statuses.values()), default=0)

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

    def changed_ns(self) -> int:
        """See `Scan`."""
        return max(map(_CTIME_NS, self._spill), default=0)

    def signature(self) -> bytes:
        """See `Scan`."""
        return signature(self._spill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._spill.close()


class ChosenScan:
    """A directory's listing without what is left out of it.

    Attributes:
        failures: Names that could not be looked at, and are not left out anyway.
        unseen: Mount points of other file systems that are left out, and that nobody has looked at. They are among the entries, as
            directories of which nothing is known.
    """

    def __init__(self, listing: Scan, selection: DirectorySelection) -> None:
        """Choose from a listing, which stays the caller's."""
        self.selection = selection
        self._listing = listing
        self.failures: list[tuple[bytes, OSError]] = []
        self.unseen: dict[bytes, SourceEntry] = {}
        self._excluded: list[SourceEntry] = []
        for name in listing.waiting:
            self._leave_out(unseen_entry(name))
        for name, error, is_directory in listing.failures:
            found = unseen_entry(name, S_IFDIR if is_directory else S_IFREG)
            if selection.excludes(found) or (is_directory and self._is_dead_mount(error)):
                self._leave_out(found)
            else:
                self.failures.append((name, error))

    def _leave_out(self, found: SourceEntry) -> None:
        if self.selection.excludes(found):
            self._excluded.append(found)
        else:
            self.unseen[found.name] = found

    def _is_dead_mount(self, error: OSError) -> bool:
        """Whether an error says that another file system is there, where such ones are left out: its server is gone, or refuses us.

        Where other names of the directory can be looked at, no directory forbids that for one of them, and only its server can.
        """
        is_refused = error.errno == errno.EACCES and len(self._listing) > 0
        return self.selection.device is not None and (error.errno == errno.ENOTCONN or is_refused)

    def signature(self) -> bytes | None:
        """Hash the listing together with what is left out of it; None where the listing has failures."""
        return None if self.failures else self.selection.sign(self._listing.signature(), sorted(self.unseen))

    def entries(self, on_excluded: Callable[[SourceEntry], None]) -> Iterator[SourceEntry]:
        """Iterate over what is backed up, in the order of names; `on_excluded` is called with the rest."""
        for excluded in self._excluded:
            on_excluded(excluded)
        device = self.selection.device
        if not self.selection.has_rules and device is None:
            yield from self._listing
            return
        for found in self._with_unseen(self._listing):
            if self.selection.excludes(found):
                on_excluded(found)
                continue
            if device is not None and found.device != device and found.is_directory:
                on_excluded(found)  # Of what is mounted there only the mount point stays.
            yield found

    def directories(self) -> Iterator[SourceEntry]:
        """Iterate over the subdirectories among them."""
        directories = self._with_unseen(self._listing.directories())
        if not self.selection.has_rules:
            return directories
        return (found for found in directories if not self.selection.excludes(found))

    def _with_unseen(self, entries: Iterable[SourceEntry]) -> Iterator[SourceEntry]:
        if not self.unseen:
            return iter(entries)
        return heapq.merge(entries, sorted(self.unseen.values(), key=attrgetter("name")), key=attrgetter("name"))


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
    if not later and (listing := filesystem.list_at_once(descriptor, run_count_max)) is not None:
        signed = signature_of_rows(listing.covered)
        return EncodedScan(EncodedListing(signed, listing.changed_ns, listing.names, listing.directories, listing.entries))
    found: dict[bytes, os.stat_result] = {}
    failures: list[Failure] = []
    waiting: list[bytes] = []
    missing: list[bytes] = []
    spill: SortedSpill | None = None
    count = 0
    try:
        with filesystem.scandir(descriptor) as names:
            for listed in names:
                name = listed.name.encode(_ENCODING, _ENCODING_ERRORS)
                if name in later and _is_listed_as_directory(listed):
                    waiting.append(name)
                    continue
                try:
                    found[name] = listed.stat(follow_symlinks=False)
                except FileNotFoundError:
                    missing.append(name)
                    continue
                except OSError as error:
                    failures.append(Failure(name, error, _is_listed_as_directory(listed)))
                    continue
                if len(found) >= run_count_max:
                    from tallac.source.spill import SortedSpill  # lazy import: few directories are so long

                    spill = spill or SortedSpill()
                    count += _spill(found, spill)
        if missing:
            failures += _unfindable(descriptor, missing, filesystem)
        if spill is None:
            return ShortScan(found, failures, waiting)
        count += _spill(found, spill)
        return LongScan(spill, count, failures, waiting)
    except BaseException:
        if spill is not None:
            spill.close()
        raise


def _unfindable(descriptor: int, names: Collection[bytes], filesystem: FileSystem) -> Iterator[Failure]:
    """Find those names that were not there when they were looked at and are listed still: they were not removed meanwhile.

    FAT and exFAT list names that have no form in the mount's character set with `_` in it, and answer to none.
    """
    with filesystem.scandir(descriptor) as listing:
        listed = {name for entry in listing if (name := entry.name.encode(_ENCODING, _ENCODING_ERRORS)) in names}
    for name in names:
        if name in listed:
            try:
                filesystem.lstat(name, descriptor)
            except FileNotFoundError:
                yield Failure(name, OSError(errno.EIO, "it is listed, but this file system answers to no such name"), False)
            except OSError as error:
                yield Failure(name, error, False)


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
