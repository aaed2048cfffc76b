"""A backend that caches answers, as one with a slow store does."""

from __future__ import annotations

from tallac.backends.passing import ForwardingBackend
from tallac.interfaces import Backend, Buffer, Expect, Version

_Seen = dict[str, tuple[bytes, Version]]


class CachingBackend(ForwardingBackend):
    """Another backend that caches, with each answer, all objects whose names have the same first part, as a listing returns them.

    Attributes:
        asked: The names that were read from the wrapped backend, in order.
    """

    def __init__(self, inner: Backend, store: Backend) -> None:
        """Wrap a backend.

        Args:
            inner: The backend that is asked.
            store: The store below it, where the rest of a listing is read without leaving a trace in the records of `inner`.
        """
        super().__init__(inner)
        self._store = store
        self._seen: dict[str, _Seen] = {}
        self.asked: list[str] = []

    @property
    def uploads_max(self) -> int:
        return 1

    @property
    def read_size(self) -> int:
        return 1 << 20

    def put_new(self, name: str, data: Buffer) -> Version:
        version = self._inner.put(name, data, expect=Expect.ABSENT)
        self._saw(name, (bytes(data), version))
        return version

    def has_cached(self, name: str) -> bool:
        return _first(name) in self._seen

    def get_cached(self, name: str) -> tuple[bytes, Version] | None:
        return self._seen[_first(name)].get(name)

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        version = self._inner.put(name, data, expect=expect)
        self._saw(name, (bytes(data), version))
        return version

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        self.asked.append(name)
        found = self._inner.get_versioned(name)
        listed = ((item.name, self._store.get_versioned(item.name)) for item in self._store.list(_first(name)))
        self._seen[_first(name)] = {other: state for other, state in listed if state is not None}
        self._saw(name, found)
        return found

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        self._inner.delete(name, expect=expect)
        self._saw(name, None)

    def _saw(self, name: str, state: tuple[bytes, Version] | None) -> None:
        if _first(name) not in self._seen:
            return
        if state is None:
            self._seen[_first(name)].pop(name, None)
        else:
            self._seen[_first(name)][name] = state


def _first(name: str) -> str:
    return name.partition("/")[0] + "/"
