"""A wrapper that reads packs over a line in larger parts than it is asked for: what lies together is mostly read together."""

from __future__ import annotations

import threading
from contextlib import suppress

from tallac.backends.pack_parts import FETCH_SIZE_MAX, PackParts
from tallac.backends.passing import BoundedBackend
from tallac.errors import StoreError
from tallac.interfaces import Backend

PACKS = "packs/"


class ReadAheadBackend(BoundedBackend):
    """Another backend. Thread-safe; what was read is shared with the processes to which this is sent.

    Only packs are read ahead: their names are hashes of their bytes, so what was read stays right.
    """

    def __init__(self, inner: Backend, parts: PackParts) -> None:
        super().__init__(inner)
        self._parts = parts
        self._is_fetching_ahead = threading.Lock()

    def __reduce__(self) -> tuple[type[ReadAheadBackend], tuple[Backend, PackParts]]:
        """Return what another process needs."""
        return ReadAheadBackend, (self._inner, self._parts)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        if not name.startswith(PACKS) or stop is None or start >= stop or stop - start > FETCH_SIZE_MAX:
            return self._inner.get(name, start, stop)
        try:
            content, next_start = self._parts.read(name, start, stop, lambda first, last: self._inner.get(name, first, last))
        except OSError:
            # A disk that is full, or may not be written to, costs speed and nothing else.
            return self._inner.get(name, start, stop)
        if next_start is not None and self._is_fetching_ahead.acquire(blocking=False):
            threading.Thread(target=self._fetch_ahead, args=(name, next_start), name="tallac-ahead", daemon=True).start()
        return content

    def delete(self, name: str, *, expect: bytes | None = None) -> None:
        self._inner.delete(name, expect=expect)
        self._parts.forget(name)

    def _fetch_ahead(self, name: str, start: int) -> None:
        # Whoever needs it fetches it then, and learns what the matter is.
        with suppress(OSError, StoreError):
            self._parts.read(name, start, start + 1, lambda first, last: self._inner.get(name, first, last))
        self._is_fetching_ahead.release()
