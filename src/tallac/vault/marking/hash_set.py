"""A set of stored hashes that takes 16 bytes for each: what is in use in a vault of a million objects fits into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallac.vault.format.objects import HASH_SIZE

PART_SIZE = 1 << 18
"""So many hashes at a time are held as Python's own objects, some 25 MB."""

_BUCKETS = 256
_CLEANED_SIZE_MIN = HASH_SIZE << 8


class HashSet:
    """Stored hashes, in one array for each first byte. Hashes are uniformly distributed, and so the arrays of equal length."""

    def __init__(self) -> None:
        """Make an empty set."""
        self._buckets = [bytearray() for _ in range(_BUCKETS)]
        self._cleaned_at = [_CLEANED_SIZE_MIN] * _BUCKETS

    def update(self, hashes: Iterable[bytes]) -> None:
        """Add hashes of 16 bytes."""
        buckets, cleaned_at = self._buckets, self._cleaned_at
        for each in hashes:
            first = each[0]
            bucket = buckets[first]
            bucket += each
            if len(bucket) >= cleaned_at[first]:
                self._clean(first)

    def starting_with(self, first: int) -> set[bytes]:
        """Return the hashes with a first byte, as a set of its own."""
        bucket = bytes(self._buckets[first])
        return {bucket[place : place + HASH_SIZE] for place in range(0, len(bucket), HASH_SIZE)}

    def parts(self) -> Iterator[set[bytes]]:
        """Iterate over disjoint sets that make up this one, each of a size that memory takes easily."""
        part: set[bytes] = set()
        for first in range(_BUCKETS):
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

    def _clean(self, first: int) -> None:
        """Throw away what is there several times."""
        distinct = bytearray(b"".join(self.starting_with(first)))
        self._buckets[first] = distinct
        self._cleaned_at[first] = max(_CLEANED_SIZE_MIN, 2 * len(distinct))
