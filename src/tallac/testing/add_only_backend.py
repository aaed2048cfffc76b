"""A store whose clients may add objects and swap mutable ones, but neither delete nor overwrite: docs/guide/add-only.md.

It stands for an object store with the policy of that page.
"""

from __future__ import annotations

from tallac.backends.passing import ForwardingBackend
from tallac.errors import StorePermissionError
from tallac.interfaces import Backend, Buffer, Expect, Version

CHANGING = ("registers/", "slots/", "sessions/", "envelopes/")
"""Name prefixes of the mutable objects of a vault."""


class AddOnlyBackend(ForwardingBackend):
    """Another backend, as a client without the right to delete sees it. Thread-safe.

    Attributes:
        refused: The refused calls, in order.
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
