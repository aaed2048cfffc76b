"""A set of stored hashes: what is in use in a vault of any size takes a few MB of memory, and 16 bytes for each on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallac.buckets import COUNT, Buckets
from tallac.vault.format.objects import HASH_SIZE

PART_SIZE = 1 << 18
"""So many hashes at a time are held as Python's own objects, some 25 MB."""


class HashSet:
    """Stored hashes, by their first byte. Hashes are uniformly distributed, and so all buckets are of one size.

    Raises (all methods):
        LocalStateError: What was put into a temporary file can't be read again, or is something else.
    """

    def __init__(self) -> None:
        """Make an empty set."""
        self._buckets = Buckets(lambda records: b"".join(_divided(records)))

    def update(self, hashes: Iterable[bytes]) -> None:
        """Add hashes of 16 bytes."""
        buckets, full_size = self._buckets.recent, self._buckets.full_size
        for each in hashes:
            bucket = buckets[each[0]]
            bucket += each
            if len(bucket) >= full_size:
                self._buckets.settle()
                full_size = self._buckets.full_size

    def starting_with(self, first: int) -> set[bytes]:
        """Return the hashes with a first byte, as a set of its own."""
        return _divided(self._buckets.starting_with(first))

    def parts(self) -> Iterator[set[bytes]]:
        """Iterate over disjoint sets that make up this one, each of a size that memory takes easily."""
        part: set[bytes] = set()
        for first in range(COUNT):
            part |= self.starting_with(first)
            if len(part) >= PART_SIZE:
                yield part
                part = set()
        if part:
            yield part

    def intersection(self, hashes: Iterable[bytes]) -> set[bytes]:
        """Return those of some hashes that are in the set."""
        by_first: dict[int, set[bytes]] = {}
        for each in hashes:
            by_first.setdefault(each[0], set()).add(each)
        return set().union(*(wanted & self.starting_with(first) for first, wanted in by_first.items()))


def _divided(records: bytes) -> set[bytes]:
    return {records[place : place + HASH_SIZE] for place in range(0, len(records), HASH_SIZE)}
