"""A wrapper that lets nothing be written."""

from __future__ import annotations

from tallac.backends.passing import ForwardingBackend
from tallac.errors import StorePermissionError
from tallac.interfaces import Buffer, Expect, Upload, Version


class ReadOnlyBackend(ForwardingBackend):
    """Another backend, of which only the reading half works. Writing raises `StorePermissionError`."""

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        raise self._refusal()

    def upload(self) -> Upload:
        raise self._refusal()

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        raise self._refusal()

    def _refusal(self) -> StorePermissionError:
        return StorePermissionError(f"{self._inner.location()} was opened for reading only: open it for writing to change it")
