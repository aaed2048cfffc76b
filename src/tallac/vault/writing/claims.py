"""A table in shared memory by which the processes of one batch avoid storing one object twice.

Two processes may still store the same object at the same instant; the second copy, of the same bytes, goes with the next prune.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from types import TracebackType
from typing import Self

from tallac.errors import LocalStateError

LEVELS = (1 << 16, 1 << 19)
"""Slots of the tables, of which a batch uses the second once the first is nearly full: a small one touches little memory."""

SLOT_WORDS = 4
BUCKET_SLOTS = 8
_BUCKET_WORDS = BUCKET_SLOTS * SLOT_WORDS
_WORDS = struct.Struct("=QQ")


class Claims:
    """Two tables of buckets, in 18 MiB of memory that are touched as they are needed. Names are uniformly distributed already.

    The first table is used until some process has filled an eighth of it, then the second. Where a bucket is full, a claim
    takes the place of another one: some half a million objects are remembered, younger ones rather than older ones. What is
    forgotten counts as new again.

    A slot is half of an object's name, its stored hash, and a check of these and of the other half: four words. Where two processes
    write one slot at once, the check does not hold: the slot is nobody's then, which costs a duplicate, and never gives one object
    another's hash.
    """

    def __init__(self, path: str | None = None) -> None:
        """Make the tables, or open those that another process of this machine made and calls path."""
        self._descriptor = _new_file() if path is None else os.open(path, os.O_RDWR)
        self._map = mmap.mmap(self._descriptor, _size())
        self._slots = memoryview(self._map).cast("Q")
        self._count = 0
        # Before the tables stands a word: whether anybody uses the second.
        self._tables = ((1, LEVELS[0] // BUCKET_SLOTS), (1 + LEVELS[0] * SLOT_WORDS, LEVELS[1] // BUCKET_SLOTS))

    @property
    def path(self) -> str:
        """Where another process of this machine opens the table, as long as this one has it open."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def find(self, name: bytes) -> bytes | None:
        """Return the stored hash of an object that somebody has claimed, 16 bytes; None for any other."""
        low, high = _words(name)
        slots = self._slots
        for start, buckets in self._tables:
            first = start + low % buckets * _BUCKET_WORDS
            for place in range(first, first + _BUCKET_WORDS, SLOT_WORDS):
                held = slots[place]
                if held == low:
                    hash_low, hash_high = slots[place + 1], slots[place + 2]
                    if slots[place + 3] == _check(low, high, hash_low, hash_high):
                        return _WORDS.pack(hash_low, hash_high)
                elif not held:
                    break
            if not slots[0]:
                break
        return None

    def claim(self, name: bytes, stored_hash: bytes) -> bool:
        """Claim an object that was sealed, and return whether it is to be stored: not if it is there with these very bytes."""
        found = self.find(name)
        if found is not None:
            return found != stored_hash
        self._count += 1
        if self._count == LEVELS[0] // 8:
            self._slots[0] = 1
        self._write(*self._tables[self._slots[0]], name, stored_hash)
        return True

    def _write(self, start: int, buckets: int, name: bytes, stored_hash: bytes) -> None:
        """Write into a free slot of a name's bucket, or over one of its slots."""
        low, high = _words(name)
        slots = self._slots
        first = start + low % buckets * _BUCKET_WORDS
        for place in range(first, first + _BUCKET_WORDS, SLOT_WORDS):
            if not slots[place]:
                break
        else:
            # How many claims there were has nothing to do with the name.
            place = first + self._count % BUCKET_SLOTS * SLOT_WORDS
        hash_low, hash_high = _WORDS.unpack(stored_hash)
        # Who reads meanwhile finds a slot whose check does not hold.
        slots[place + 3] = _check(low, high, hash_low, hash_high)
        slots[place + 1], slots[place + 2] = hash_low, hash_high
        slots[place] = low

    def close(self) -> None:
        """Unmap the memory."""
        self._slots.release()
        self._map.close()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Return this table."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()


def _words(name: bytes) -> tuple[int, int]:
    """Divide a name in two; the first half is never 0, which marks a free place."""
    low, high = _WORDS.unpack(name)
    return low or 1, high


def _check(low: int, high: int, first: int, second: int) -> int:
    """Return a check of a slot, which differs where two processes have written parts of it. The same in every process."""
    return hash((low, high, first, second)) & 0xFFFFFFFFFFFFFFFF


def _size() -> int:
    return (1 + sum(LEVELS) * SLOT_WORDS) * 8


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tallac-claims", os.MFD_CLOEXEC)
    else:
        descriptor, path = tempfile.mkstemp(prefix="tallac-claims-")
        os.unlink(path)
    try:
        os.ftruncate(descriptor, _size())
    except OSError as error:
        os.close(descriptor)
        size = f"{_size() >> 20} MiB"
        raise LocalStateError(f"can't make a table of {size} in memory ({error.strerror}); see `ulimit -f`") from error
    return descriptor
