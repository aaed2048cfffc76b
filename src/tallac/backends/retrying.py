"""A wrapper that tries calls to a distant store again, and finds out what became of those whose answer was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import IO, Protocol, TypeVar

from tallac.backends.object_store import SPOOLED_IN_MEMORY_MAX
from tallac.backends.patience import Patience
from tallac.backends.spooled_upload import SpooledUpload
from tallac.errors import ConflictError, StoreFullError
from tallac.interfaces import (
    Backend,
    Buffer,
    ConnectsAhead,
    Expect,
    Item,
    ListedObject,
    ListsVersions,
    MakesAhead,
    ReportsFreeSpace,
    RereadingBackend,
    Version,
)

T = TypeVar("T")


class WholeObjectBackend(Backend, Protocol):
    """A backend whose store takes an object as a whole."""

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """Store an object that never changes, unless there is one of this name. Calling it twice is harmless.

        Args:
            name: The object's name.
            file: Has all of its bytes, from its beginning on.
            size: How many these are.
        """
        ...

    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        ...

    def create(self) -> None:
        """Make ready for objects. Calling it twice is harmless."""
        ...

    def examine(self) -> None:
        """Find out whether the server does what this backend builds on, as far as `Probe` does not.

        Raises:
            UnsafeStoreError: It does not.
        """
        ...


class RetryingBackend:
    """Another backend, whose calls are tried again while its store can't be reached.

    A conditional put whose answer was lost may have succeeded, be still under way, or never have arrived. Before it is sent again
    the object is read: it is as it was, and the put is repeated; or it has the bytes that were to be put, and the put has
    succeeded; or it has others, and somebody else was faster. So who swaps states makes each of them unique, as a vault does.
    """

    def __init__(self, inner: WholeObjectBackend, patience: Patience) -> None:
        self.inner = inner
        self._patience = patience
        # Names with a put under way, or of which nobody knows the outcome, since when no other has succeeded.
        self._unsettled: set[str] = set()

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        content = bytes(data)
        is_settling = False

        def settle() -> Version | None:
            nonlocal is_settling
            is_settling = True
            found = self.inner.get_versioned(name) if expect is not None else None
            return found[1] if found is not None and found[0] == content else None

        def put() -> Version:
            is_first = name not in self._unsettled
            self._unsettled.add(name)
            try:
                return self.inner.put(name, content, expect=expect)
            except ConflictError:
                # The first try may have arrived after it was looked for.
                if is_settling and (settled := settle()) is not None:
                    return settled
                if is_first:
                    self._unsettled.discard(name)
                raise
            except StoreFullError as error:
                error.is_refusal = is_first and error.is_refusal
                if error.is_refusal:
                    self._unsettled.discard(name)
                raise

        version = self._patience.insist(put, settle=settle)
        # Whatever else is on its way was to follow the same state.
        self._unsettled.discard(name)
        return version

    def upload(self) -> SpooledUpload:
        if isinstance(self.inner, ConnectsAhead):
            self.inner.connect_ahead()
        return SpooledUpload(self.location(), self.add, SPOOLED_IN_MEMORY_MAX)

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """See `WholeObjectBackend`."""
        self._patience.insist(lambda: self.inner.add(name, file, size))

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        is_settling = False

        def settle() -> bool | None:
            nonlocal is_settling
            is_settling = True
            return True if expect is not None and self.inner.get_versioned(name) is None else None

        def delete() -> bool:
            try:
                self.inner.delete(name, expect=expect)
            except ConflictError:
                if not (is_settling and settle()):
                    raise
            return True

        self._patience.insist(delete, settle=settle)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        return self._insist(lambda: self.inner.get(name, start, stop))

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        return self._insist(lambda: self.inner.get_versioned(name))

    def get_again(self, name: str, unlike: bytes) -> tuple[bytes, Version] | None:
        """See `RereadingBackend`."""
        inner = self.inner
        return self._insist(lambda: inner.get_again(name, unlike)) if isinstance(inner, RereadingBackend) else None

    def list(self, prefix: str) -> Iterator[Item]:
        return self._insist(lambda: self.inner.list(prefix))

    def list_versions(self) -> Sequence[ListedObject] | None:
        """See `ListsVersions`."""
        inner = self.inner
        return self._insist(inner.list_versions) if isinstance(inner, ListsVersions) else None

    def room(self) -> int | None:
        """See `ReportsFreeSpace`."""
        inner = self.inner
        return self._insist(inner.room) if isinstance(inner, ReportsFreeSpace) else None

    def leave(self) -> None:
        """See `MakesAhead`."""
        if isinstance(self.inner, MakesAhead):
            self.inner.leave()

    def location(self) -> str:
        return self.inner.location()

    def is_empty(self) -> bool:
        """See `WholeObjectBackend`."""
        return self._insist(self.inner.is_empty)

    def create(self) -> None:
        """See `WholeObjectBackend`."""
        self._insist(self.inner.create)

    def examine(self) -> None:
        """See `WholeObjectBackend`."""
        self._insist(self.inner.examine)

    def _insist(self, function: Callable[[], T]) -> T:
        return self._patience.insist(function)
