"""A backend in memory: for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock

from tallac.backends.names import check_name, check_prefix
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConflictError, ObjectNotFoundError, StoreError
from tallac.interfaces import Buffer, Expect, Item, Version


class MemoryBackend:
    """The `Backend` protocol over a dict. Thread-safe. A version is the BLAKE3 of the object's bytes."""

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        """Begin with a copy of some objects, or with none."""
        self._lock = Lock()
        self._objects = dict(objects or {})

    def snapshot(self) -> dict[str, bytes]:
        """Return a copy of all objects by name, for `restore` or for another backend."""
        with self._lock:
            return dict(self._objects)

    def restore(self, objects: Mapping[str, bytes]) -> None:
        """Go back to a state that `snapshot` gave."""
        with self._lock:
            self._objects = dict(objects)

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        check_name(name)
        content = bytes(data)
        with self._lock:
            present = self._objects.get(name)
            if expect is Expect.ABSENT:
                holds = present is None
            else:
                holds = expect is None or (present is not None and hash_file_bytes(present) == expect)
            if not holds:
                raise self._conflict(name)
            self._objects[name] = content
        return hash_file_bytes(content)

    def upload(self) -> MemoryUpload:
        return MemoryUpload(self)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        check_name(name)
        with self._lock:
            content = self._objects.get(name)
        if content is None:
            raise ObjectNotFoundError(f"{self.location()} has no object {name}")
        return content[start:stop]

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        check_name(name)
        with self._lock:
            content = self._objects.get(name)
        return None if content is None else (content, hash_file_bytes(content))

    def list(self, prefix: str) -> Iterator[Item]:
        check_prefix(prefix)
        with self._lock:
            return iter([Item(name, len(content)) for name, content in self._objects.items() if name.startswith(prefix)])

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        check_name(name)
        with self._lock:
            present = self._objects.get(name)
            if present is None:
                return
            if expect is not None and hash_file_bytes(present) != expect:
                raise self._conflict(name)
            del self._objects[name]

    def location(self) -> str:
        return "memory"

    def add_content(self, name: str, content: bytes) -> None:
        """Store an object unless there is one of this name."""
        check_name(name)
        with self._lock:
            self._objects.setdefault(name, content)

    def _conflict(self, name: str) -> ConflictError:
        return ConflictError(f"{name} in {self.location()} was changed by somebody else meanwhile: run this again")


class MemoryUpload:
    """An object of a `MemoryBackend` in the making."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._parts: list[bytes] | None = []

    def write(self, data: Buffer) -> None:
        self._require_parts().append(bytes(data))

    def commit(self, name: str) -> None:
        content = b"".join(self._require_parts())
        self.abort()
        self._backend.add_content(name, content)

    def abort(self) -> None:
        self._parts = None

    def _require_parts(self) -> list[bytes]:
        if self._parts is None:
            raise StoreError(f"this upload to {self._backend.location()} has ended: begin another one")
        return self._parts
