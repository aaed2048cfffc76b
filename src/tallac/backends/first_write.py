"""A wrapper that has something done before the first write: whoever only reads does without it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from tallac.backends.passing import BoundedBackend
from tallac.errors import StoreFullError
from tallac.interfaces import Backend, Buffer, Expect, Upload, Version


class FirstWriteBackend(BoundedBackend):
    """Another backend. Thread-safe; what is sent to another process is the other backend alone."""

    def __init__(self, inner: Backend, prepare: Callable[[], None]) -> None:
        """Call `prepare` once, before the first write. Where it raises, nothing is written, and the next write calls it again.

        Where it has no room, what is to be deleted is deleted all the same: that makes room, and rests on what was written before.
        """
        super().__init__(inner)
        self._prepare: Callable[[], None] | None = prepare
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[[Backend], Backend], tuple[Backend]]:
        """Return what another process needs, which is started where this one has written already, or is about to."""
        return _itself, (self._inner,)

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        self._before_writing()
        return super().put(name, data, expect=expect)

    def upload(self) -> Upload:
        self._before_writing()
        return super().upload()

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        with suppress(StoreFullError):
            self._before_writing()
        super().delete(name, expect=expect)

    def _before_writing(self) -> None:
        if self._prepare is None:
            return
        with self._lock:
            if self._prepare is not None:
                self._prepare()
                self._prepare = None


def _itself(backend: Backend) -> Backend:
    return backend
