"""Compare what is in use with the index, record by record, in one pass: which copies serve, and what has none."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from tallac.buckets import COUNT, Buckets
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.sorted_runs import SortedRun
from tallac.vault.marking.hash_set import HashSet
from tallac.vault.marking.walk import Bits

_RECORD = struct.Struct("=16sI")
_SERVES = 1 << 31
_NUMBER = _SERVES - 1


class Census:
    """Which records of one generation of the index are in use. It is the stored hash that counts, whatever an object's name is.

    Attributes:
        in_use: The records with a hash that is in use.
        repeated: Groups of two or more records in use with one name and one hash: copies of one object.
        missing: The hashes in use of which no copy serves.
        found: How many hashes in use some copy serves for.
    """

    def __init__(
        self,
        index: VaultIndex,
        hashes: HashSet,
        there: Collection[bytes],
        wrong: Mapping[bytes, Collection[int]] = MappingProxyType({}),
    ) -> None:
        """Compare hashes that are in use with all records.

        Args:
            index: Any state of it.
            hashes: What is in use.
            there: The names of the packs that count as there.
            wrong: For some packs the offsets of the copies in them that are known to have other bytes.

        Raises:
            LocalStateError: What was put into a temporary file can't be read again, or is something else.
        """
        self.in_use = Bits(index.count())
        self.repeated: list[list[int]] = []
        self.missing: set[bytes] = set()
        self.found = 0
        bits = self.in_use.raw
        records = _by_first_byte(index, there, wrong)
        for first in range(COUNT):
            unserved = hashes.starting_with(first)
            if not unserved:
                continue
            # What is in use, with the first record of it; and those of which there are more.
            found: dict[bytes, int] = dict.fromkeys(unserved, -1)
            again: dict[bytes, list[int]] = {}
            for stored_hash, tagged in _RECORD.iter_unpack(records.starting_with(first)):
                before = found.get(stored_hash)
                if before is not None:
                    number = tagged & _NUMBER
                    bits[number >> 3] |= 1 << (number & 7)
                    if before < 0:
                        found[stored_hash] = number
                    else:
                        again.setdefault(stored_hash, [before]).append(number)
                    if tagged & _SERVES:
                        unserved.discard(stored_hash)
            self.found += len(found) - len(unserved)
            self.missing |= unserved
            for numbers in again.values():
                self.repeated += _copies(index, numbers)


def _by_first_byte(index: VaultIndex, there: Collection[bytes], wrong: Mapping[bytes, Collection[int]]) -> Buckets:
    """Divide all records by the first byte of their hash: hash, number, and whether the copy serves, in 20 bytes each."""
    divided = Buckets()
    buckets, full_size = divided.recent, divided.full_size
    number, pack_record = 0, _RECORD.pack
    for run in index.runs():
        serves = [_SERVES if name in there else 0 for name, _ in run.packs]
        wrong_offsets = [wrong.get(name, ()) for name, _ in run.packs]
        for _, stored_hash, pack, offset, _, _ in run.columns():
            tag = serves[pack]
            if wrong_offsets[pack] and offset in wrong_offsets[pack]:
                tag = 0
            bucket = buckets[stored_hash[0]]
            bucket += pack_record(stored_hash, number | tag)
            if len(bucket) >= full_size:
                divided.settle()
                full_size = divided.full_size
            number += 1
    return divided


def _copies(index: VaultIndex, numbers: list[int]) -> list[list[int]]:
    """Divide records of one hash by their names; a forged footer may give a right object a name by which nobody finds it."""
    by_name: dict[bytes, list[int]] = {}
    for number in numbers:
        by_name.setdefault(index.name_of(number), []).append(number)
    return [group for group in by_name.values() if len(group) > 1]


def locations_of(index: VaultIndex, wanted: Collection[bytes]) -> dict[bytes, list[tuple[bytes, ObjectLocation]]]:
    """Return all copies that the index knows of objects with some stored hashes, each with the object's name."""
    return locations_in(index.runs(), wanted)


def locations_in(runs: Iterable[SortedRun], wanted: Collection[bytes]) -> dict[bytes, list[tuple[bytes, ObjectLocation]]]:
    """Do as `locations_of` does, in some runs."""
    found: dict[bytes, list[tuple[bytes, ObjectLocation]]] = {}
    for run in runs if wanted else ():
        for name, stored_hash, pack, offset, length, links_length in run.columns():
            if stored_hash in wanted:
                location = ObjectLocation(run.packs[pack][0], offset, length, links_length, stored_hash)
                found.setdefault(stored_hash, []).append((name, location))
    return found
