"""A store that lets its clients add and change, and neither delete nor overwrite what never changes: docs/guide/add-only.md.

It stands for the object store whose policy that page gives.
"""

from __future__ import annotations

from tallac.backends.passing import ForwardingBackend
from tallac.errors import StorePermissionError
from tallac.interfaces import Backend, Buffer, Expect, Version

CHANGING = ("registers/", "slots/", "sessions/", "envelopes/")
"""Prefixes of a vault's objects that a writer swaps for newer states."""


class AddOnlyBackend(ForwardingBackend):
    """Another backend, as a client sees it that may add and not delete. Thread-safe.

    Attributes:
        refused: The calls that were refused, in their order.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.refused: list[str] = []

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        if expect is not Expect.ABSENT and not name.startswith(CHANGING):
            raise self._refusal(f"overwrite {name}")
        if expect is None:
            raise self._refusal(f"overwrite {name} unseen")
        return super().put(name, data, expect=expect)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        raise self._refusal(f"delete {name}")

    def _refusal(self, call: str) -> StorePermissionError:
        self.refused.append(call)
        return StorePermissionError(f"{self._inner.location()} does not allow this client to {call}")
