"""A backend that records its calls in order."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import NamedTuple

from tallac.backends.passing import ForwardingBackend
from tallac.interfaces import Backend, Buffer, Expect, Item, Upload, Version

WRITES = frozenset({"put", "commit", "delete"})


class BackendEvent(NamedTuple):
    """A call that succeeded.

    Attributes:
        operation: put, commit (of an upload), delete, get or list.
        name: The name of the object, or the prefix that was listed.
    """

    operation: str
    name: str


class RecordingBackend(ForwardingBackend):
    """Another backend, and a list of the calls that have succeeded. Thread-safe."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._lock = Lock()
        self._events: list[BackendEvent] = []

    @property
    def events(self) -> tuple[BackendEvent, ...]:
        """All successful calls so far."""
        with self._lock:
            return tuple(self._events)

    @property
    def writes(self) -> tuple[BackendEvent, ...]:
        """All calls that changed the store so far."""
        return tuple(event for event in self.events if event.operation in WRITES)

    def record(self, operation: str, name: str) -> None:
        """Append an event."""
        with self._lock:
            self._events.append(BackendEvent(operation, name))

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        version = self._inner.put(name, data, expect=expect)
        self.record("put", name)
        return version

    def upload(self) -> Upload:
        return _RecordingUpload(self._inner.upload(), self)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        content = self._inner.get(name, start, stop)
        self.record("get", name)
        return content

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        found = self._inner.get_versioned(name)
        self.record("get", name)
        return found

    def list(self, prefix: str) -> Iterator[Item]:
        items = self._inner.list(prefix)
        self.record("list", prefix)
        return items

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        self._inner.delete(name, expect=expect)
        self.record("delete", name)


class _RecordingUpload:
    def __init__(self, inner: Upload, backend: RecordingBackend) -> None:
        self._inner = inner
        self._backend = backend

    def write(self, data: Buffer) -> None:
        self._inner.write(data)

    def commit(self, name: str) -> None:
        self._inner.commit(name)
        self._backend.record("commit", name)

    def abort(self) -> None:
        self._inner.abort()
