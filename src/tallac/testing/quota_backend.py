"""A backend of limited size: like a full disk, it needs room for a new object before the one that it replaces is freed."""

from __future__ import annotations

from tallac.backends.passing import ForwardingBackend
from tallac.errors import StoreFullError
from tallac.interfaces import Backend, Buffer, Expect, Upload, Version


class QuotaBackend(ForwardingBackend):
    """Another backend with a limit in bytes, which can change at any time. Implements `ReportsFreeSpace`. Not thread-safe."""

    def __init__(self, inner: Backend, size_max: int) -> None:
        """Limit all objects together to `size_max` bytes."""
        super().__init__(inner)
        self.size_max = size_max
        self._uploading = 0

    def room(self) -> int:
        return max(self.size_max - sum(item.size for item in self._inner.list("")) - self._uploading, 0)

    def fill(self) -> None:
        """Leave no byte free."""
        self.size_max -= self.room()

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        self.require_room(len(memoryview(data).cast("B")))
        return super().put(name, data, expect=expect)

    def upload(self) -> Upload:
        return _QuotaUpload(super().upload(), self)

    def require_room(self, size: int) -> None:
        """Require room for `size` more bytes.

        Raises:
            StoreFullError: They don't fit.
        """
        if size > self.room():
            raise StoreFullError(f"no space left in {self.location()}: {size} bytes are asked for, and {self.room()} are free")

    def hold(self, size: int) -> None:
        """Reserve bytes for an upload; a negative number frees them."""
        self._uploading += size


class _QuotaUpload:
    def __init__(self, inner: Upload, backend: QuotaBackend) -> None:
        self._inner = inner
        self._backend = backend
        self._size = 0

    def write(self, data: Buffer) -> None:
        size = len(memoryview(data).cast("B"))
        try:
            self._backend.require_room(size)
        except StoreFullError:
            self.abort()
            raise
        self._inner.write(data)
        self._size += size
        self._backend.hold(size)

    def commit(self, name: str) -> None:
        self._release()
        self._inner.commit(name)

    def abort(self) -> None:
        self._release()
        self._inner.abort()

    def _release(self) -> None:
        self._backend.hold(-self._size)
        self._size = 0
