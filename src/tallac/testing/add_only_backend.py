"""A store that lets its clients add and change, and neither delete nor overwrite what never changes: docs/guide/add-only.md.

It stands for the object store whose policy that page gives.
"""

from __future__ import annotations

from collections.abc import Iterator

from tallac.errors import StoreReadOnlyError
from tallac.interfaces import Backend, Buffer, Expect, Item, Upload, Version

CHANGING = ("registers/", "slots/", "sessions/", "envelopes/")
"""Prefixes of a vault's objects that a writer swaps for newer states."""


class AddOnlyBackend:
    """Another backend, as a client sees it that may add and not delete. Thread-safe.

    Attributes:
        refused: The calls that were refused, in their order.
    """

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.refused: list[str] = []

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        if expect is not Expect.ABSENT and not name.startswith(CHANGING):
            raise self._refusal(f"overwrite {name}")
        if expect is None:
            raise self._refusal(f"overwrite {name} unseen")
        return self._inner.put(name, data, expect=expect)

    def upload(self) -> Upload:
        return self._inner.upload()

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        raise self._refusal(f"delete {name}")

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        return self._inner.get(name, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        return self._inner.get_versioned(name)

    def list(self, prefix: str) -> Iterator[Item]:
        return self._inner.list(prefix)

    def location(self) -> str:
        return self._inner.location()

    def _refusal(self, what: str) -> StoreReadOnlyError:
        self.refused.append(what)
        return StoreReadOnlyError(f"{self._inner.location()} does not allow this client to {what}")
