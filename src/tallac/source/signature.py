"""A directory's signature: the hash that tells whether anything in it has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter

import msgspec
from blake3 import blake3

from tallac.source.entry import SourceEntry

SIGNATURE_SIZE = 32
_CHUNK_COUNT = 1024
_TAG = b"tallac source signature 3\n"
_INTEGER_MIN, _INTEGER_MAX = -(1 << 63), (1 << 64) - 1

_encode = msgspec.msgpack.Encoder().encode
# All fields but `blocks`, which delayed allocation changes without a change of the file, and the device: most file systems get the
# number that is free when they are mounted.
_fields = attrgetter("mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "links", "rdev")
_status_fields = attrgetter("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_nlink", "st_rdev")


def signature(entries: Iterable[SourceEntry]) -> bytes:
    """Hash the entries of one directory, which come in the order of their names.

    MessagePack delimits itself, so no two listings have the same encoding. One call a chunk costs 0.3 µs an entry, a tenth of
    formatting or packing each by itself.
    """
    hasher = blake3(_TAG)
    iterator = iter(entries)
    while chunk := list(islice(iterator, _CHUNK_COUNT)):
        hasher.update(_encode([entry.name for entry in chunk]))
        hasher.update(_encoded(list(map(_fields, chunk))))
    return hasher.digest(SIGNATURE_SIZE)


def signature_of_statuses(names: list[bytes], statuses: Mapping[bytes, os.stat_result]) -> bytes:
    """Return the signature of the entries that these sorted names and results of `stat` make, without making them."""
    hasher = blake3(_TAG)
    for start in range(0, len(names), _CHUNK_COUNT):
        chunk = names[start : start + _CHUNK_COUNT]
        hasher.update(_encode(chunk))
        hasher.update(_encoded([_status_fields(statuses[name]) for name in chunk]))
    return hasher.digest(SIGNATURE_SIZE)


def _encoded(rows: list[tuple[object, ...]]) -> bytes:
    try:
        return _encode(rows)
    except OverflowError:
        # Some file systems keep times that MessagePack's integers can't hold. As text they are distinct from any integer.
        return _encode([tuple(_narrowed(row)) for row in rows])


def _narrowed(row: tuple[object, ...]) -> Iterator[object]:
    for field in row:
        yield str(field) if isinstance(field, int) and not _INTEGER_MIN <= field <= _INTEGER_MAX else field
