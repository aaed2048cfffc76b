"""The base class of all wrappers of a backend."""

from __future__ import annotations

from collections.abc import Iterator

from tallac.interfaces import (
    Backend,
    Buffer,
    Expect,
    Item,
    KeepsFormerStates,
    ReportsFreeSpace,
    RereadingBackend,
    Upload,
    Version,
)


class ForwardingBackend:
    """Another backend, to which every call is passed on. Subclasses have the calls that they are there for."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        return self._inner.put(name, data, expect=expect)

    def upload(self) -> Upload:
        return self._inner.upload()

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        self._inner.delete(name, expect=expect)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        return self._inner.get(name, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        return self._inner.get_versioned(name)

    def get_again(self, name: str, unlike: bytes) -> tuple[bytes, Version] | None:
        return self._inner.get_again(name, unlike) if isinstance(self._inner, RereadingBackend) else None

    def get_former(self, name: str) -> bytes | None:
        return self._inner.get_former(name) if isinstance(self._inner, KeepsFormerStates) else None

    def list(self, prefix: str) -> Iterator[Item]:
        return self._inner.list(prefix)

    def location(self) -> str:
        return self._inner.location()


class BoundedBackend(ForwardingBackend):
    """Another backend, whose store may have bounds."""

    def room(self) -> int | None:
        """See `ReportsFreeSpace`."""
        return self._inner.room() if isinstance(self._inner, ReportsFreeSpace) else None
