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

LEVELS = (1 << 16, 1 << 18, 1 << 20)
"""Slots of the tables, which are used one after the other: a small batch touches little memory."""

SLOT_WORDS = 5
PROBES_MAX = 256
_WORDS = struct.Struct("=QQ")


class Claims:
    """Open addressing over whole object names, which are uniformly distributed already.

    A process claims in the first table until that has three eighths of its slots from it, then in the next; the last takes six
    eighths. So a process has some 900,000 claims, in 53 MiB that are touched as they are needed. Beyond that, and where a table is
    nearly full, every object counts as new.

    A slot is a name, the object's stored hash and a check of both, five words. Where two processes write one slot at once, it
    does not hold: the slot is nobody's then, which costs a duplicate, and never gives one object another's hash.
    """

    def __init__(self, path: str | None = None) -> None:
        """Make the tables, or open those that another process of this machine made and calls path."""
        self._descriptor = _new_file() if path is None else os.open(path, os.O_RDWR)
        self._map = mmap.mmap(self._descriptor, _size())
        self._slots = memoryview(self._map).cast("Q")
        self._counts = [0] * len(LEVELS)
        # Where each table begins, and how many slots it has. Before them stands a word for each: whether anybody uses it.
        starts = (len(LEVELS) + SLOT_WORDS * sum(LEVELS[:number]) for number in range(len(LEVELS)))
        self._tables = list(zip(starts, LEVELS, strict=True))

    @property
    def path(self) -> str:
        """Where another process of this machine opens the table, as long as this one has it open."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def find(self, name: bytes) -> bytes | None:
        """Return the stored hash of an object that somebody has claimed, 16 bytes; None for any other."""
        low, high = _words(name)
        slots = self._slots
        for number, (start, count) in enumerate(self._tables):
            if number and not slots[number]:
                break
            at = low % count
            # Each process counts its own claims alone, so together they may fill a table: the search must end all the same.
            for _ in range(PROBES_MAX):
                place = start + at * SLOT_WORDS
                held = slots[place]
                if not held:
                    break
                if held == low and slots[place + 1] == high:
                    first, second = slots[place + 2], slots[place + 3]
                    if slots[place + 4] == _check(low, high, first, second):
                        return _WORDS.pack(first, second)
                at = (at + 1) % count
        return None

    def claim(self, name: bytes, stored_hash: bytes) -> bool:
        """Claim an object that was sealed, and return whether it is to be stored: not if it is there with these very bytes."""
        found = self.find(name)
        if found is not None:
            return found != stored_hash
        for number, (start, count) in enumerate(self._tables):
            share = 6 if number == len(LEVELS) - 1 else 3
            if self._counts[number] < count * share // 8:
                self._counts[number] += 1
                self._slots[number] = 1
                self._write(start, count, name, stored_hash)
                break
        return True

    def _write(self, start: int, count: int, name: bytes, stored_hash: bytes) -> None:
        """Write into the first free slot of a table, if there is one near."""
        low, high = _words(name)
        slots = self._slots
        at = low % count
        for _ in range(PROBES_MAX):
            place = start + at * SLOT_WORDS
            if not slots[place]:
                first, second = _WORDS.unpack(stored_hash)
                slots[place + 4] = _check(low, high, first, second)
                slots[place + 2], slots[place + 3] = first, second
                slots[place + 1] = high
                slots[place] = low
                return
            at = (at + 1) % count

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
    return (len(LEVELS) + sum(LEVELS) * SLOT_WORDS) * 8


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
