"""A backend that simulates the death of the program at a chosen boundary between two changes of the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from tallac.backends.passing import ForwardingBackend
from tallac.interfaces import Backend, Buffer, Expect, Item, Upload, Version


class SimulatedCrash(BaseException):
    """The program is dead. Not an Exception, so that no handler revives it; later calls have no effect."""


class CrashingBackend(ForwardingBackend):
    """Another backend that works until the crash. Thread-safe.

    Each put, commit and delete has two boundaries: before it, where nothing has happened, and after it, where it has happened but
    the caller gets no answer. From the crash on, every call raises `SimulatedCrash`.
    """

    def __init__(self, inner: Backend, crash_at: int | None = None) -> None:
        """Crash at the boundary of this number, from 0, or never if it is None; `boundaries` counts those that were passed."""
        super().__init__(inner)
        self._crash_at = crash_at
        self._lock = Lock()
        self._boundaries = 0
        self._is_dead = False

    @property
    def boundaries(self) -> int:
        """The number of boundaries that have been passed."""
        return self._boundaries

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Pass a boundary before the block and one after it."""
        self._pass_boundary()
        yield
        self._pass_boundary()

    def require_alive(self) -> None:
        """Raise `SimulatedCrash` after the crash."""
        with self._lock:
            if self._is_dead:
                raise SimulatedCrash

    def _pass_boundary(self) -> None:
        self.require_alive()
        with self._lock:
            if self._boundaries == self._crash_at:
                self._is_dead = True
                raise SimulatedCrash
            self._boundaries += 1

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        with self.changing():
            return self._inner.put(name, data, expect=expect)

    def upload(self) -> Upload:
        self.require_alive()
        return _CrashingUpload(self._inner.upload(), self)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        with self.changing():
            self._inner.delete(name, expect=expect)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        self.require_alive()
        return self._inner.get(name, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        self.require_alive()
        return self._inner.get_versioned(name)

    def list(self, prefix: str) -> Iterator[Item]:
        self.require_alive()
        return self._inner.list(prefix)


class _CrashingUpload:
    def __init__(self, inner: Upload, backend: CrashingBackend) -> None:
        self._inner = inner
        self._backend = backend

    def write(self, data: Buffer) -> None:
        self._backend.require_alive()
        self._inner.write(data)

    def commit(self, name: str) -> None:
        with self._backend.changing():
            self._inner.commit(name)

    def abort(self) -> None:
        # Also after the crash: it changes nothing durable, and closes the file.
        self._inner.abort()
