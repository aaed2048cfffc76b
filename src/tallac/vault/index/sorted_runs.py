"""Runs: the local copy of the index, sorted by object name, in files of which a look-up reads 800 bytes: memory stays small.

They are read and not mapped: of a mapped file a process keeps 64 KiB around each page that it has looked at.
A run is made from index objects and can be thrown away at any time. A file of 48-byte records in ascending order:

    magic(8) covers(u32) packs(u32) records(u32)     names of the index objects covered, 32 bytes each
    packs: name(32) size(u64)
    records: name(16) stored hash(16) pack(u32) offset(u32) length(u32) links(u32)
    fences: the first 4 bytes of each 16th record, beginning with the first
"""

from __future__ import annotations

import contextlib
import heapq
import os
import struct
import sys
import weakref
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat, starmap
from operator import itemgetter
from pathlib import Path

from tallac.errors import LocalStateError
from tallac.file_calls import REAL
from tallac.local_files import Durability, replace
from tallac.vault.format.footers import FinishedPack, ObjectLocation, decode_columns
from tallac.vault.format.objects import HASH_SIZE, NAME_SIZE

MAGIC = b"tlcrun03"
_HEAD = struct.Struct("<8sIII")
_PACK = struct.Struct("<32sQ")
_RECORD = struct.Struct(">16s16sIIII")
_REST = struct.Struct(">16sIIII")
_WHOLE = struct.Struct(f"{_RECORD.size}s")
RECORD_SIZE = _RECORD.size
WRITE_TRIES = 20
_PASS_COUNT = 1 << 14
"""A pass reads so many records at a time, 768 KiB; one over several runs reads as many of all of them together."""

_WRITE_COUNT = 1 << 12
_BLOCK_COUNT = 16
_BLOCK_SIZE = RECORD_SIZE * _BLOCK_COUNT
_FENCE_SIZE = 4
_read_at = getattr(os, "pread", REAL.read_at)
_PACK_START = NAME_SIZE + HASH_SIZE
_PACK_END = _PACK_START + 4


class SortedRun:
    """One sorted file, open for reading."""

    def __init__(self, path: Path) -> None:
        """Open a run.

        Raises:
            LocalStateError: It is no whole run; throw it away.
        """
        self.path = path
        self._descriptor = REAL.open(str(path), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._closing = weakref.finalize(self, REAL.close, self._descriptor)
        size = os.fstat(self._descriptor).st_size
        magic, covers, packs, self.count = _HEAD.unpack(self._read(_HEAD.size, 0))
        packs_start = _HEAD.size + 32 * covers
        self._start = packs_start + _PACK.size * packs
        fences_start = self._start + RECORD_SIZE * self.count
        fences_size = _FENCE_SIZE * -(-self.count // _BLOCK_COUNT)
        if magic != MAGIC or size != fences_start + fences_size:
            raise LocalStateError(f"{path} is no index run of this version")
        names = self._read(32 * covers, _HEAD.size)
        self.covers = frozenset(names[32 * n : 32 * (n + 1)] for n in range(covers))
        self.packs: list[tuple[bytes, int]] = list(_PACK.iter_unpack(self._read(_PACK.size * packs, packs_start)))
        self._fences = array("I", self._read(fences_size, fences_start))
        if sys.byteorder == "little":
            self._fences.byteswap()

    def _read(self, size: int, offset: int) -> bytes:
        try:
            data = _read_at(self._descriptor, size, offset)
        except OSError as error:
            raise LocalStateError(f"{self.path} can't be read: {error.strerror}") from error
        if len(data) != size:
            raise LocalStateError(f"{self.path} is cut short")
        return data

    def _records_from(self, number: int) -> bytes:
        """Read the records from this one up to the end of its block; none behind the last."""
        stop = min(number - number % _BLOCK_COUNT + _BLOCK_COUNT, self.count)
        return self._read(RECORD_SIZE * (stop - number), self._start + RECORD_SIZE * number)

    def find(self, name: bytes) -> int:
        """Return the number of the first record whose name is not below this one (which may be another name's)."""
        return self._find(name)[0]

    def _find(self, name: bytes) -> tuple[int, bytes]:
        """Return that number, and the records of its block from there on."""
        fence = int.from_bytes(name[:_FENCE_SIZE], "big")
        # The last block that begins below the name has the record, or the next block begins with it.
        low, high = max(0, bisect_left(self._fences, fence) - 1), bisect_right(self._fences, fence)
        while high - low > 1:
            middle = (low + high) // 2
            if self.name_at(middle * _BLOCK_COUNT) < name:
                low = middle
            else:
                high = middle
        number = low * _BLOCK_COUNT
        block = self._records_from(number) if number < self.count else b""
        below, above = 0, len(block) // RECORD_SIZE
        while below < above:
            middle = (below + above) // 2
            place = RECORD_SIZE * middle
            if block[place : place + NAME_SIZE] < name:
                below = middle + 1
            else:
                above = middle
        return number + below, block[RECORD_SIZE * below :]

    def _named(self, name: bytes) -> Iterator[tuple[int, bytes]]:
        """Iterate over the records of a name with their numbers."""
        number, records = self._find(name)
        while number < self.count:
            for place in range(0, len(records), RECORD_SIZE):
                if records[place : place + NAME_SIZE] != name:
                    return
                yield number, records[place : place + RECORD_SIZE]
                number += 1
            records = self._records_from(number) if number < self.count else b""

    def name_at(self, number: int) -> bytes:
        """Return the name in a record."""
        return self._read(NAME_SIZE, self._start + RECORD_SIZE * number)

    def location_at(self, number: int) -> ObjectLocation:
        """Return the place of the object in a record."""
        return self._location(self._read(RECORD_SIZE, self._start + RECORD_SIZE * number))

    def locations(self, name: bytes) -> Iterator[ObjectLocation]:
        """Iterate over the places where an object lies; two processes may have stored it twice."""
        for _, record in self._named(name):
            yield self._location(record)

    def entries(self) -> Iterator[tuple[bytes, ObjectLocation]]:
        """Iterate over all names with their places, in order."""
        for record in self.records():
            yield record[:NAME_SIZE], self._location(record)

    def _location(self, records: bytes, place: int = 0) -> ObjectLocation:
        stored_hash, pack, offset, length, links_length = _REST.unpack_from(records, place + NAME_SIZE)
        return ObjectLocation(self.packs[pack][0], offset, length, links_length, stored_hash)

    def number_of(self, name: bytes, stored_hash: bytes) -> int | None:
        """Return the number of the first record of an object with this stored hash; None where there is none."""
        found = self._record_of(name, stored_hash)
        return None if found is None else found[0]

    def place_of(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """Return the place of the first record of an object with this stored hash; None where there is none."""
        found = self._record_of(name, stored_hash)
        return None if found is None else self._location(*found[1:])

    def _record_of(self, name: bytes, stored_hash: bytes) -> tuple[int, bytes, int] | None:
        """Return the number of that record, and where it begins in which bytes."""
        fences, fence = self._fences, int.from_bytes(name[:_FENCE_SIZE], "big")
        block = bisect_left(fences, fence) - 1
        if 0 <= block < len(fences) - 1 and fences[block + 1] != fence:
            # No other block may have the name; and to look for its bytes takes less time than to compare name by name.
            records = self._read(_BLOCK_SIZE, self._start + _BLOCK_SIZE * block)
            place = records.find(name)
            if place < 0:
                return None
            if not place % RECORD_SIZE and records.startswith(stored_hash, place + NAME_SIZE):
                return block * _BLOCK_COUNT + place // RECORD_SIZE, records, place
        for number, record in self._named(name):
            if record.startswith(stored_hash, NAME_SIZE):
                return number, record, 0
        return None

    def columns(self) -> Iterator[tuple[bytes, bytes, int, int, int, int]]:
        """Iterate over all records as (name, stored hash, number of the pack in `packs`, offset, length, length of the links)."""
        return chain.from_iterable(map(_RECORD.iter_unpack, self._passed(_PASS_COUNT)))

    def records(self, at_a_time: int = _PASS_COUNT) -> Iterator[bytes]:
        """Iterate over all records as they are stored, reading so many at a time."""
        return (record for part in self._passed(at_a_time) for (record,) in _WHOLE.iter_unpack(part))

    def _passed(self, at_a_time: int) -> Iterator[bytes]:
        for first in range(0, self.count, at_a_time):
            count = min(at_a_time, self.count - first)
            yield self._read(RECORD_SIZE * count, self._start + RECORD_SIZE * first)

    def close(self) -> None:
        """Close the file."""
        self._descriptor = -1
        self._closing()


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
    used = [bucket for bucket in buckets if bucket]
    return _opened(lambda: write_records(folder, sorted(covers), tables, chain.from_iterable(map(_sorted_records, used)), count))


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
        streams.append(_shifted(run.records(max(_BLOCK_COUNT, _PASS_COUNT // len(runs))), first_pack))
        first_pack += len(run.packs)
    merged = heapq.merge(*streams, key=itemgetter(slice(0, _PACK_START)))
    return write_records(folder, covers, tables, merged, sum(run.count for run in runs))


def _shifted(records: Iterator[bytes], first_pack: int) -> Iterator[bytes]:
    for record in records:
        pack = int.from_bytes(record[_PACK_START:_PACK_END], "big") + first_pack
        yield record[:_PACK_START] + pack.to_bytes(4, "big") + record[_PACK_END:]


def write_records(folder: Path, covers: list[bytes], tables: list[tuple[bytes, int]], records: Iterable[bytes], count: int) -> Path:
    """Write so many sorted records into a new file, of index objects and of packs with their sizes; return its path.

    Raises:
        LocalStateError: It could not be written.
    """
    path = folder / f"{os.urandom(8).hex()}.run"
    head = _HEAD.pack(MAGIC, len(covers), len(tables), count)
    try:
        # A run that is half zeros after a power loss would hide objects.
        replace(path, chain([head, *covers], starmap(_PACK.pack, tables), _fenced(records)), Durability.CONTENT)
    except OSError as error:
        raise LocalStateError(f"can't write the index copy in {folder}: {error.strerror}") from error
    return path


def _fenced(records: Iterable[bytes]) -> Iterator[bytes]:
    """Iterate over records, and after them over their fences in one piece."""
    fences = bytearray()
    left = iter(records)
    while some := list(islice(left, _WRITE_COUNT)):
        fences += b"".join([record[:_FENCE_SIZE] for record in some[::_BLOCK_COUNT]])
        yield from some
    yield bytes(fences)
