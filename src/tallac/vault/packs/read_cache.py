"""Ranged reads of packs in windows that are kept a while: what is stored together is mostly read together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError
from tallac.interfaces import Backend, HighLatencyBackend, ReadsRanges
from tallac.vault.packs.damaged import damaged_path
from tallac.vault.packs.pack import pack_path

T = TypeVar("T")

WINDOW_SIZE = 1 << 16
KEPT_SIZE_MAX = 16 << 20
HIGH_LATENCY_KEPT_SIZE_MAX = 48 << 20
"""Objects stored together are read together, but for those that were stored before; a distant store is asked for these once."""


class PackReadCache:
    """The ranges of packs that were read last: 16 MiB at most, of a far store 48 MiB. Not thread-safe.

    Windows begin at multiples of their size, so that reads in whatever order within a range of a pack fetch each byte once.
    """

    def __init__(self, backend: Backend) -> None:
        """Nothing is read yet."""
        self._backend = backend
        self._size, kept_size_max = WINDOW_SIZE, KEPT_SIZE_MAX
        if isinstance(backend, HighLatencyBackend):
            self._size, kept_size_max = backend.read_size, HIGH_LATENCY_KEPT_SIZE_MAX
        self._count_max = kept_size_max // self._size
        self._windows: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._ranges = backend if isinstance(backend, ReadsRanges) else None

    def read(self, pack: bytes, start: int, stop: int) -> bytes:
        """Read bytes [start, stop) of a pack.

        Raises:
            MissingObjectError: There is no such pack.
            CorruptObjectError: It ends before.
        """
        size = self._size
        if stop - start >= size:
            content = self._get(pack, start, stop)
        else:
            first, last = start // size, (stop - 1) // size
            content = self._window(pack, first)[start - first * size : stop - first * size]
            if last > first:
                content += self._window(pack, last)[: stop - last * size]
        if len(content) < stop - start:
            raise CorruptObjectError(f"pack {pack.hex()[:12]} in {self._backend.location()} is cut short")
        return content

    def read_several(self, pack: bytes, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read ranges [start, stop) of a pack, in ascending order; one that the pack has not all of comes out short.

        Where the store answers at once, nothing is kept: the system has in its memory what lies beside them.

        Raises:
            MissingObjectError: There is no such pack.
        """
        backend = self._ranges
        if backend is not None:
            return self._at_either_place(pack, lambda path: backend.get_ranges(path, ranges))
        contents = []
        for start, stop in ranges:
            try:
                contents.append(self.read(pack, start, stop))
            except CorruptObjectError:
                contents.append(b"")
        return contents

    def _window(self, pack: bytes, number: int) -> bytes:
        key = pack, number
        window = self._windows.get(key)
        if window is not None:
            self._windows.move_to_end(key)
            return window
        window = self._get(pack, number * self._size, (number + 1) * self._size)
        self._windows[key] = window
        if len(self._windows) > self._count_max:
            self._windows.popitem(last=False)
        return window

    def _get(self, pack: bytes, start: int, stop: int) -> bytes:
        return self._at_either_place(pack, lambda path: self._backend.get(path, start, stop))

    def _at_either_place(self, pack: bytes, get: Callable[[str], T]) -> T:
        # A damaged pack, which a repair has moved away, is read where nothing else is left.
        for path in (pack_path(pack), damaged_path(pack)):
            with suppress(ObjectNotFoundError):
                return get(path)
        raise MissingObjectError(f"pack {pack.hex()[:12]} in {self._backend.location()} is missing")
