"""A wrapper that lets nothing be written."""

from __future__ import annotations

from collections.abc import Iterator

from tallac.errors import StoreReadOnlyError
from tallac.interfaces import Backend, Buffer, Expect, Item, Upload, Version


class ReadOnlyBackend:
    """Another backend, of which only the reading half works. Writing raises `StoreReadOnlyError`."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        raise self._refusal()

    def upload(self) -> Upload:
        raise self._refusal()

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        raise self._refusal()

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        return self._inner.get(name, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        return self._inner.get_versioned(name)

    def list(self, prefix: str) -> Iterator[Item]:
        return self._inner.list(prefix)

    def location(self) -> str:
        return self._inner.location()

    def _refusal(self) -> StoreReadOnlyError:
        return StoreReadOnlyError(f"{self._inner.location()} was opened for reading only: open it for writing to change it")
