"""Objects of the store with the snapshot that each belongs to: those of any number of files take a few MB of memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from itertools import starmap

from tallac.buckets import COUNT, Buckets

NAME_SIZE = 16

OF_DIRECTORY, IS_FILE, NOT_STORED = 1, 2, 4
"""The flags of an object: it belongs to a directory; it is a whole regular file; it stands for a file that takes no object."""

SHARED = -1
"""Several snapshots, in place of the number of one."""

PART_SIZE = 1 << 17
"""So many objects at a time are held as Python's own, some 25 MB."""

_RECORD = struct.Struct("=16sQI")
_FLAGS, _OWNER_SHIFT, _SIZE_SHIFT = 7, 3, 32
_TAG = (1 << _SIZE_SHIFT) - 1
IS_OWNED = _TAG & ~_FLAGS
"""The bits that `owner_of` looks at: 0 for `SHARED`."""


def owner_of(fact: int) -> int:
    """Return the number of the only snapshot that has an object, or `SHARED`."""
    return ((fact & IS_OWNED) >> _OWNER_SHIFT) + SHARED


def size_of(fact: int) -> int:
    """Return the size of an object's content."""
    return fact >> _SIZE_SHIFT


class ObjectTable:
    """Objects by their names, which are uniformly distributed. What is added several times belongs to all that it was added for.

    What is known of one is a single number: the size of its content, its owner, and flags. The newest are in a dictionary; when it
    is full, they move into buckets, where an object takes 28 bytes, on the disk from some 100,000 on.

    Raises (all methods):
        LocalStateError: What was put into a temporary file can't be read again, or is something else.
    """

    def __init__(self, part_size: int = PART_SIZE) -> None:
        """Make an empty table, which holds so many objects at a time as Python's own."""
        self._part_size = part_size
        self._recent: dict[bytes, int] = {}
        self._buckets: Buckets | None = None

    def add(self, objects: Mapping[bytes, int], owner: int, flags: int) -> None:
        """Add objects by their names of 16 bytes, each with the size of its content."""
        tag = (owner - SHARED) << _OWNER_SHIFT | flags
        facts = {name: size << _SIZE_SHIFT | tag for name, size in objects.items()}
        for name in facts.keys() & self._recent.keys():
            facts[name] = _both(self._recent[name], facts[name])
        self._recent |= facts
        if len(self._recent) >= self._part_size:
            self._buckets = self._buckets or Buckets(lambda records: b"".join(starmap(_encoded, _united(records).items())))
            self._put_away(self._buckets)

    def parts(self) -> Iterator[dict[bytes, int]]:
        """Iterate over parts of the table, each of a size that memory takes easily; they belong to the caller."""
        if self._buckets is None:
            if self._recent:
                yield self._recent
            return
        self._put_away(self._buckets)
        part: dict[bytes, int] = {}
        for first in range(COUNT):
            part |= _united(self._buckets.starting_with(first))
            if len(part) >= self._part_size:
                yield part
                part = {}
        if part:
            yield part

    def _put_away(self, buckets: Buckets) -> None:
        """Move what is in the dictionary into the buckets."""
        recent = buckets.recent
        for name, fact in self._recent.items():
            recent[name[0]] += _encoded(name, fact)
        self._recent = {}
        if max(map(len, recent)) >= buckets.full_size:
            buckets.settle()


def _encoded(name: bytes, fact: int) -> bytes:
    return _RECORD.pack(name, fact >> _SIZE_SHIFT, fact & _TAG)


def _united(bucket: bytes) -> dict[bytes, int]:
    """Return what is in an array, each object once."""
    found: dict[bytes, int] = {}
    for name, size, tag in _RECORD.iter_unpack(bucket):
        fact = size << _SIZE_SHIFT | tag
        found[name] = _both(found[name], fact) if name in found else fact
    return found


def _both(one: int, other: int) -> int:
    """Return what is known of an object that was added twice; its size is the same."""
    if one == other:
        return one
    tag = (one | other) & _FLAGS
    if one & IS_OWNED == other & IS_OWNED:
        tag |= one & IS_OWNED
    return max(size_of(one), size_of(other)) << _SIZE_SHIFT | tag
