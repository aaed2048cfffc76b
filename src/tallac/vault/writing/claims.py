"""A table in shared memory by which the processes of one batch avoid storing one object twice.

Two processes may still claim the same object at the same instant; the second copy is then dropped when the index is written.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from types import TracebackType
from typing import Self

from tallac.errors import LocalStateError

SLOTS = 1 << 20
SLOT_SIZE = 16
FILL_MAX = SLOTS * 3 // 4
PROBES_MAX = 256
_WORDS = struct.Struct("=QQ")


class Claims:
    """Open addressing over whole object names, which are uniformly distributed already.

    The table takes 786,000 claims of each process, in 16 MiB. Beyond that, and where it is nearly full, it claims nothing more and
    every object counts as new. A slot is two words, the second written first: two processes that write one slot at once leave a
    name that is nobody's, which costs a duplicate and never a loss.
    """

    def __init__(self, path: str | None = None) -> None:
        """Make a table, or open the one that another process of this machine made and calls path."""
        self._descriptor = _new_file() if path is None else os.open(path, os.O_RDWR)
        self._map = mmap.mmap(self._descriptor, SLOTS * SLOT_SIZE)
        self._slots = memoryview(self._map).cast("Q")
        self._count = 0

    @property
    def path(self) -> str:
        """Where another process of this machine opens the table, as long as this one has it open."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def claim(self, name: bytes) -> bool:
        """Claim an object; return whether it is new."""
        place, is_held = self._find(name)
        if is_held:
            return False
        if place is not None and self._count < FILL_MAX:
            self._count += 1
            low, high = _words(name)
            self._slots[place + 1] = high
            self._slots[place] = low
        return True

    def __contains__(self, name: bytes) -> bool:
        """Whether somebody claimed this object."""
        return self._find(name)[1]

    def _find(self, name: bytes) -> tuple[int | None, bool]:
        """Return the free place for a name, if there is one near, or report that the name is held.

        Each process counts its own claims alone, so together they may fill the table: the search must end all the same.
        """
        low, high = _words(name)
        slots = self._slots
        place = low % SLOTS * 2
        for _ in range(PROBES_MAX):
            held = slots[place]
            if not held:
                return place, False
            if held == low and slots[place + 1] == high:
                return place, True
            place = (place + 2) % (SLOTS * 2)
        return None, False

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


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tallac-claims", os.MFD_CLOEXEC)
    else:
        descriptor, path = tempfile.mkstemp(prefix="tallac-claims-")
        os.unlink(path)
    try:
        os.ftruncate(descriptor, SLOTS * SLOT_SIZE)
    except OSError as error:
        os.close(descriptor)
        size = f"{SLOTS * SLOT_SIZE >> 20} MiB"
        raise LocalStateError(f"can't make a table of {size} in memory ({error.strerror}); see `ulimit -f`") from error
    return descriptor
