"""Runs: the local copy of the index, sorted by object name and mapped into memory, so that look-ups need constant memory.

A run is made from index objects and can be thrown away at any time. A file of 48-byte records in ascending order:

    magic(8) covers(u32) packs(u32) records(u32)     names of the index objects covered, 32 bytes each
    packs: name(32) size(u64)
    records: name(16) stored hash(16) pack(u32) offset(u32) length(u32) links(u32)
"""

from __future__ import annotations

import contextlib
import heapq
import mmap
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat, starmap
from math import isqrt
from operator import itemgetter
from pathlib import Path

from tallac.errors import LocalStateError
from tallac.local_files import Durability, replace
from tallac.vault.format.footers import FinishedPack, ObjectLocation, decode_columns
from tallac.vault.format.objects import HASH_SIZE, NAME_SIZE

MAGIC = b"tlcrun02"
_HEAD = struct.Struct("<8sIII")
_PACK = struct.Struct("<32sQ")
_RECORD = struct.Struct(">16s16sIIII")
_REST = struct.Struct(">16sIIII")
_WHOLE = struct.Struct(f"{_RECORD.size}s")
RECORD_SIZE = _RECORD.size
WRITE_TRIES = 20
_PASS_SIZE = RECORD_SIZE << 16
_PACK_START = NAME_SIZE + HASH_SIZE
_PACK_END = _PACK_START + 4


class SortedRun:
    """One sorted file, mapped."""

    def __init__(self, path: Path) -> None:
        """Open a run.

        Raises:
            LocalStateError: It is no whole run; throw it away.
        """
        self.path = path
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _HEAD.size:
                raise LocalStateError(f"{path} is cut short")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, covers, packs, self.count = _HEAD.unpack_from(self._map)
        packs_start = _HEAD.size + 32 * covers
        self._start = packs_start + _PACK.size * packs
        if magic != MAGIC or size != self._start + RECORD_SIZE * self.count:
            raise LocalStateError(f"{path} is no index run of this version")
        self.covers = frozenset(self._map[_HEAD.size + 32 * n : _HEAD.size + 32 * (n + 1)] for n in range(covers))
        self.packs: list[tuple[bytes, int]] = [
            _PACK.unpack_from(self._map, packs_start + _PACK.size * number) for number in range(packs)
        ]

    def find(self, name: bytes) -> int:
        """Return the number of the first record whose name is not below this one (which may be another name's).

        Names are uniformly distributed. So a guess by proportion is off by the square root of the count at most, as a rule; from
        the name that is found there a second one is off by the square root of that. What lies around it is searched by halves,
        which proves the answer unless it comes out at an end; then everything is searched.
        """
        count, view, start = self.count, self._map, self._start
        wanted = int.from_bytes(name[:6], "big")
        guess = wanted * count >> 48
        place = start + RECORD_SIZE * guess
        guess += (off := (wanted - int.from_bytes(view[place : place + 6], "big")) * count >> 48)
        width = 2 * isqrt(abs(off)) + 2
        first, last = max(0, guess - width), min(count, guess + width)
        number = self._search(name, first, last)
        return number if first < number < last else self._search(name, 0, count)

    def _search(self, name: bytes, low: int, high: int) -> int:
        view, start = self._map, self._start
        while low < high:
            middle = (low + high) // 2
            place = start + RECORD_SIZE * middle
            if view[place : place + NAME_SIZE] < name:
                low = middle + 1
            else:
                high = middle
        return low

    def name_at(self, number: int) -> bytes:
        """Return the name in a record; empty behind the last."""
        place = self._start + RECORD_SIZE * number
        return self._map[place : place + NAME_SIZE]

    def location_at(self, number: int) -> ObjectLocation:
        """Return the place of the object in a record."""
        return self._location(self._start + RECORD_SIZE * number)

    def locations(self, name: bytes) -> Iterator[ObjectLocation]:
        """Iterate over the places where an object lies; two processes may have stored it twice."""
        number = self.find(name)
        while number < self.count:
            place = self._start + RECORD_SIZE * number
            if self._map[place : place + NAME_SIZE] != name:
                return
            yield self._location(place)
            number += 1

    def entries(self) -> Iterator[tuple[bytes, ObjectLocation]]:
        """Iterate over all names with their places, in order."""
        for number in range(self.count):
            place = self._start + RECORD_SIZE * number
            yield self._map[place : place + NAME_SIZE], self._location(place)

    def _location(self, place: int) -> ObjectLocation:
        stored_hash, pack, offset, length, links_length = _REST.unpack_from(self._map, place + NAME_SIZE)
        return ObjectLocation(self.packs[pack][0], offset, length, links_length, stored_hash)

    def number_of(self, name: bytes, stored_hash: bytes) -> int | None:
        """Return the number of the first record of an object with this stored hash; None where there is none."""
        number = self.find(name)
        wanted = name + stored_hash
        while number < self.count:
            place = self._start + RECORD_SIZE * number
            found = self._map[place : place + _PACK_START]
            if found == wanted:
                return number
            if found[:NAME_SIZE] != name:
                return None
            number += 1
        return None

    def place_of(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """Return the place of the first record of an object with this stored hash; None where there is none."""
        number = self.number_of(name, stored_hash)
        return None if number is None else self._location(self._start + RECORD_SIZE * number)

    def columns(self) -> Iterator[tuple[bytes, bytes, int, int, int, int]]:
        """Iterate over all records as (name, stored hash, number of the pack in `packs`, offset, length, length of the links).

        What has been passed takes no memory of this process any more, until it is looked at again.
        """
        for records in self._passed():
            yield from _RECORD.iter_unpack(records)

    def _passed(self) -> Iterator[memoryview]:
        """Iterate over all of the records, many at a time; each part is good until the next one."""
        with memoryview(self._map) as whole:
            for start in range(self._start, len(whole), _PASS_SIZE):
                with whole[start : start + _PASS_SIZE] as records:
                    yield records
                self._let_go(start + _PASS_SIZE)

    def _let_go(self, end: int) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, 0, min(end, len(self._map)))

    def records(self) -> Iterator[bytes]:
        """Iterate over all records as they are stored, as `columns` does."""
        for records in self._passed():
            for (record,) in _WHOLE.iter_unpack(records):
                yield record

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()


def write_run(folder: Path, covers: Iterable[bytes], packs: Iterable[FinishedPack]) -> SortedRun:
    """Make a run of some packs' footers; its file appears whole or not at all."""
    tables: list[tuple[bytes, int]] = []
    # By their first byte: as Python's own objects, two hundred thousand records at once would take twice the memory.
    buckets = [bytearray() for _ in range(256)]
    for number, pack in enumerate(packs):
        tables.append((pack.name, pack.size))
        for names, hashes, *places in decode_columns(pack.body):
            for record in map(_RECORD.pack, names, hashes, repeat(number), *places):
                buckets[record[0]] += record
    count = sum(map(len, buckets)) // RECORD_SIZE
    return _opened(lambda: _write(folder, sorted(covers), tables, chain.from_iterable(map(_sorted_records, buckets)), count))


def _sorted_records(bucket: bytearray) -> list[bytes]:
    return sorted(record for (record,) in _WHOLE.iter_unpack(bucket))


def merge_runs(folder: Path, runs: list[SortedRun]) -> SortedRun:
    """Make one run of several, in constant memory."""
    return _opened(lambda: _merge(folder, runs))


def _opened(write: Callable[[], Path]) -> SortedRun:
    """Open a run that is written; once more where another process, which has no use for it, has thrown it away already."""
    for _ in range(WRITE_TRIES):
        with contextlib.suppress(FileNotFoundError):
            return SortedRun(write())
    raise LocalStateError("other processes keep deleting the index copies of this one; run this again when they have ended")


def _merge(folder: Path, runs: list[SortedRun]) -> Path:
    covers = sorted(set().union(*(run.covers for run in runs)))
    tables = [table for run in runs for table in run.packs]
    streams = []
    first_pack = 0
    for run in runs:
        streams.append(_shifted(run.records(), first_pack))
        first_pack += len(run.packs)
    merged = heapq.merge(*streams, key=itemgetter(slice(0, _PACK_START)))
    return _write(folder, covers, tables, merged, sum(run.count for run in runs))


def _shifted(records: Iterator[bytes], first_pack: int) -> Iterator[bytes]:
    for record in records:
        pack = int.from_bytes(record[_PACK_START:_PACK_END], "big") + first_pack
        yield record[:_PACK_START] + pack.to_bytes(4, "big") + record[_PACK_END:]


def _write(folder: Path, covers: list[bytes], tables: list[tuple[bytes, int]], records: Iterable[bytes], count: int) -> Path:
    path = folder / f"{os.urandom(8).hex()}.run"
    head = _HEAD.pack(MAGIC, len(covers), len(tables), count)
    try:
        # A run that is half zeros after a power loss would hide objects.
        replace(path, chain([head, *covers], starmap(_PACK.pack, tables), records), Durability.CONTENT)
    except OSError as error:
        raise LocalStateError(f"can't write the index copy in {folder}: {error.strerror}") from error
    return path
