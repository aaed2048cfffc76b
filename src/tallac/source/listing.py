"""Listings of directories: what each offers, its signature, which tells whether anything has changed, and one that is encoded."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from operator import attrgetter
from typing import NamedTuple, Protocol, Self

import msgspec
from blake3 import blake3

from tallac.source.entry import SourceEntry
from tallac.source.filesystem import FileSystem

SIGNATURE_SIZE = 32
_CHUNK_COUNT = 1024
_TAG = b"tallac source signature 4\n"
_INTEGER_MIN, _INTEGER_MAX = -(1 << 63), (1 << 64) - 1

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[SourceEntry]).decode
# All fields but `blocks`, which delayed allocation changes without a change of the file, and the device: most file systems get the
# number that is free when they are mounted.
_fields = attrgetter("name", "mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "links", "rdev")
_status_fields = attrgetter("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_nlink", "st_rdev")


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

    def changed_ns(self) -> int:
        """Return the latest ctime of all names, in nanoseconds; 0 where there are none."""
        ...

    def signature(self) -> bytes:
        """Hash the listing; see `tallac.source.signature`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class EncodedListing(msgspec.Struct, frozen=True, array_like=True):
    """A listing of names that could all be looked at, as it is made at once, and sent from process to process.

    Attributes:
        signature, changed_ns: See `Scan`.
        count: How many names it has.
        directories: How many of them are directories.
        entries: An array of `SourceEntry`, sorted by name, in MessagePack.
    """

    signature: bytes
    changed_ns: int
    count: int
    directories: int
    entries: bytes

    @staticmethod
    def of(listing: Scan) -> EncodedListing:
        """Encode a scan's, all of whose names could be looked at.

        Raises:
            OverflowError: A time is beyond 64 bits, as some file systems keep them.
        """
        if isinstance(listing, EncodedScan):
            return listing.listing
        entries = list(listing)
        directories = sum(entry.is_directory for entry in entries)
        return EncodedListing(listing.signature(), listing.changed_ns(), len(entries), directories, _encode(entries))


class EncodedScan:
    """An encoded listing. Entries are made when one is asked for."""

    def __init__(self, listing: EncodedListing) -> None:
        """Take the listing."""
        self.listing = listing
        self.failures: list[Failure] = []
        self.waiting: list[bytes] = []

    @cached_property
    def _entries(self) -> list[SourceEntry]:
        return _decode(self.listing.entries)

    def __iter__(self) -> Iterator[SourceEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return self.listing.count

    def directories(self) -> Iterator[SourceEntry]:
        """See `Scan`."""
        return (entry for entry in self._entries if entry.is_directory) if self.listing.directories else iter(())

    def find(self, names: Collection[bytes]) -> dict[bytes, SourceEntry]:
        """See `Scan`."""
        encoded = self.listing.entries
        if not any(name in encoded for name in names):
            return {}
        return {entry.name: entry for entry in self._entries if entry.name in names}

    def look_at(self, name: bytes, descriptor: int, filesystem: FileSystem) -> None:
        """Refuse, since no name waits: ValueError."""
        raise ValueError(f"{name!r} does not wait")

    def changed_ns(self) -> int:
        """See `Scan`."""
        return self.listing.changed_ns

    def signature(self) -> bytes:
        """See `Scan`."""
        return self.listing.signature

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def signature(entries: Iterable[SourceEntry]) -> bytes:
    """Hash the entries of one directory, which come in the order of their names.

    What is hashed are arrays of at most 1,024 rows, in MessagePack; it delimits itself, so no two listings have the same encoding.
    """
    hasher = blake3(_TAG)
    iterator = iter(entries)
    while chunk := list(islice(iterator, _CHUNK_COUNT)):
        hasher.update(_encoded(list(map(_fields, chunk))))
    return hasher.digest(SIGNATURE_SIZE)


def signature_of_statuses(names: list[bytes], statuses: Mapping[bytes, os.stat_result]) -> bytes:
    """Return the signature of the entries that these sorted names and results of `stat` make, without making them."""
    hasher = blake3(_TAG)
    for start in range(0, len(names), _CHUNK_COUNT):
        hasher.update(_encoded([(name, *_status_fields(statuses[name])) for name in names[start : start + _CHUNK_COUNT]]))
    return hasher.digest(SIGNATURE_SIZE)


def signature_of_rows(covered: bytes) -> bytes:
    """Return the signature of entries whose rows are encoded already; see `tallac.native.Listing`."""
    return blake3(_TAG + covered).digest(SIGNATURE_SIZE)


def _encoded(rows: list[tuple[object, ...]]) -> bytes:
    try:
        return _encode(rows)
    except OverflowError:
        # Some file systems keep times that MessagePack's integers can't hold. As text they are distinct from any integer.
        return _encode([tuple(_narrowed(row)) for row in rows])


def _narrowed(row: tuple[object, ...]) -> Iterator[object]:
    for field in row:
        yield str(field) if isinstance(field, int) and not _INTEGER_MIN <= field <= _INTEGER_MAX else field
