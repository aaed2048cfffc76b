"""A wrapper that reads packs over a line in larger windows than it is asked for: what lies together is mostly read together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from tallac.backends.passing import ForwardingBackend
from tallac.interfaces import Backend

PACKS = "packs/"
FIRST_SIZE = 256 << 10
"""A request takes as long as a quarter of a megabyte on a line of 50 Mbit/s and 40 ms; to begin with, no more is fetched."""

SIZE_MAX = 4 << 20
KEPT_SIZE_MAX = 24 << 20
"""Several processes have each a wrapper of its own."""


class _Window(msgspec.Struct, frozen=True):
    """A part of a pack that was read.

    Attributes:
        start: Where it begins.
        content: Its bytes.
        is_last: Whether the pack ends with it.
        next_size: How much is to be fetched where the reading goes on behind it.
    """

    start: int
    content: bytes
    is_last: bool
    next_size: int

    @property
    def stop(self) -> int:
        return self.start + len(self.content)


class ReadAheadBackend(ForwardingBackend):
    """Another backend. Thread-safe; what was read is this process's alone, and up to 24 MiB of it are kept.

    Only packs are read ahead: their names are hashes of their bytes, so what was read stays right. A reader that goes on where the
    last window has ended gets windows of twice the size, up to 4 MiB; one that jumps about gets small ones.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._windows: OrderedDict[tuple[str, int], _Window] = OrderedDict()
        self._kept_size = 0

    def __reduce__(self) -> tuple[Callable[[Backend], ReadAheadBackend], tuple[Backend]]:
        """Return what another process needs."""
        return ReadAheadBackend, (self._inner,)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        if not name.startswith(PACKS) or stop is None or start >= stop or stop - start >= SIZE_MAX:
            return super().get(name, start, stop)
        found, size = self._find(name, start, stop)
        if found is not None:
            return found.content[start - found.start : stop - found.start]
        wanted = max(size, stop - start)
        content = super().get(name, start, start + wanted)
        self._keep(name, _Window(start, content, len(content) < wanted, min(size * 2, SIZE_MAX)))
        return content[: stop - start]

    def delete(self, name: str, *, expect: bytes | None = None) -> None:
        super().delete(name, expect=expect)
        with self._lock:
            for key in [key for key in self._windows if key[0] == name]:
                self._kept_size -= len(self._windows.pop(key).content)

    def _find(self, name: str, start: int, stop: int) -> tuple[_Window | None, int]:
        """Return the window with these bytes, or how much to fetch."""
        size = FIRST_SIZE
        with self._lock:
            for key, window in reversed(self._windows.items()):
                if key[0] != name:
                    continue
                if window.start <= start and (stop <= window.stop or (window.is_last and start <= window.stop)):
                    self._windows.move_to_end(key)
                    return window, 0
                # Reading that goes on here may begin a little before the end, in the middle of an object, or skip a little.
                if window.start < start <= window.stop + FIRST_SIZE:
                    size = max(size, window.next_size)
        return None, size

    def _keep(self, name: str, window: _Window) -> None:
        with self._lock:
            before = self._windows.pop((name, window.start), None)
            self._kept_size += len(window.content) - (0 if before is None else len(before.content))
            self._windows[name, window.start] = window
            while self._kept_size > KEPT_SIZE_MAX and len(self._windows) > 1:
                self._kept_size -= len(self._windows.popitem(last=False)[1].content)
