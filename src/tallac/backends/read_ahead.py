"""A wrapper that reads packs over a line in larger parts than it is asked for: what lies together is mostly read together."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from tallac.backends.pack_parts import FETCH_SIZE_MAX, PART_SIZE, PackParts
from tallac.backends.passing import BoundedBackend
from tallac.errors import TallacError
from tallac.interfaces import Backend, Extent

PACKS = "packs/"

THREADS_MAX = 3
STEP_SIZE = 1 << 20
"""So many packs are read ahead at a time, and so much of each: enough to fill a line, and not so much that other answers, such as
those to what is being stored, wait for long behind it."""

EXPECTED_SIZE_MAX = 64 << 20
"""So much is expected at a time; what is announced beyond that is read when it is asked for."""


class _Expected:
    """A part of a pack that is expected."""

    def __init__(self, name: str, start: int, stop: int) -> None:
        self.name, self.start, self.stop = name, start, stop
        self.size = stop - start
        self.has_ended = threading.Event()

    def covers(self, name: str, start: int, stop: int) -> bool:
        """Whether some of a range lies in it."""
        return self.name == name and self.start < stop and start < self.stop


class ReadAheadBackend(BoundedBackend):
    """Another backend. Thread-safe; what was read is shared with the processes to which this is sent.

    Only packs are read ahead: their names are hashes of their bytes, so what was read stays right.
    """

    def __init__(self, inner: Backend, parts: PackParts) -> None:
        super().__init__(inner)
        self._parts = parts
        self._is_fetching_ahead = threading.Lock()
        self._lock = threading.Lock()
        self._expected: list[_Expected] = []
        self._under_way: list[_Expected] = []
        self._expected_size = 0
        self._threads = 0

    def __reduce__(self) -> tuple[type[ReadAheadBackend], tuple[Backend, PackParts]]:
        """Return what another process needs."""
        return ReadAheadBackend, (self._inner, self._parts)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        if not name.startswith(PACKS) or stop is None or start >= stop or stop - start > FETCH_SIZE_MAX:
            return self._inner.get(name, start, stop)
        if self._expected_size:
            self._await_expected(name, start, stop)
        try:
            content, next_start = self._parts.read(name, start, stop, lambda first, last: self._inner.get(name, first, last))
        except OSError:
            # A disk that is full, or may not be written to, costs speed and nothing else.
            return self._inner.get(name, start, stop)
        if next_start is not None and self._is_fetching_ahead.acquire(blocking=False):
            threading.Thread(target=self._fetch_ahead, args=(name, next_start), name="tallac-ahead", daemon=True).start()
        return content

    def expect(self, extents: Iterable[Extent]) -> None:
        """See `DistantBackend`."""
        with self._lock:
            for each in extents:
                for start in range(each.start // PART_SIZE * PART_SIZE, each.stop, STEP_SIZE):
                    part = _Expected(each.name, start, min(start + STEP_SIZE, each.stop))
                    if self._expected_size + part.size > EXPECTED_SIZE_MAX:
                        break
                    self._expected_size += part.size
                    self._expected.append(part)
            for _ in range(min(THREADS_MAX, len(self._expected)) - self._threads):
                self._threads += 1
                threading.Thread(target=self._fetch_expected, name="tallac-ahead", daemon=True).start()

    def delete(self, name: str, *, expect: bytes | None = None) -> None:
        self._inner.delete(name, expect=expect)
        self._parts.forget(name)

    def _fetch_expected(self) -> None:
        """Read what is expected, until nothing is left that no other thread is about to read."""
        while (part := self._next()) is not None:
            self._fetch(part)

    def _next(self) -> _Expected | None:
        """Take a part of a pack of which no other one is being read: two of one would wait for each other."""
        with self._lock:
            busy = {each.name for each in self._under_way}
            part = next((each for each in self._expected if each.name not in busy), None)
            if part is None:
                self._threads -= 1
            else:
                self._expected.remove(part)
                self._under_way.append(part)
            return part

    def _fetch(self, part: _Expected) -> None:
        try:
            # Whoever needs it fetches it then, and learns what the matter is.
            with suppress(OSError, TallacError):
                self._parts.fetch(part.name, part.start, part.stop, partial(self._inner.get, part.name))
        finally:
            self._end(part)

    def _end(self, part: _Expected) -> None:
        with self._lock:
            self._under_way.remove(part)
            self._expected_size -= part.size
        part.has_ended.set()

    def _await_expected(self, name: str, start: int, stop: int) -> None:
        """Wait for what was expected of a range, or read it at once where nobody has begun to."""
        with self._lock:
            under_way = [each for each in self._under_way if each.covers(name, start, stop)]
            own = [each for each in self._expected if each.covers(name, start, stop)]
            for each in own:
                self._expected.remove(each)
            self._under_way += own
        left = list(own)
        try:
            while left:
                self._fetch(left.pop(0))
        finally:
            # After an interruption nobody else is to wait for these.
            for each in left:
                self._end(each)
        for each in under_way:
            each.has_ended.wait()

    def _fetch_ahead(self, name: str, start: int) -> None:
        # Whoever needs it fetches it then, and learns what the matter is.
        try:
            with suppress(OSError, TallacError):
                self._parts.read(name, start, start + 1, lambda first, last: self._inner.get(name, first, last))
        finally:
            self._is_fetching_ahead.release()
