"""A wrapper that has the store lock what is stored, so that for a while nobody can destroy it, whatever credentials they have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from tallac.backends.passing import BoundedBackend
from tallac.backends.patience import Patience
from tallac.errors import ObjectNotFoundError
from tallac.interfaces import Backend, Buffer, Expect, Upload, Version

UNLOCKED = ("sessions/", "probe/")
"""Names of objects that are gone after a while by themselves begin so."""


class Locks(Protocol):
    """The locks of a store's objects; see `S3Lock`."""

    def is_on(self) -> bool:
        """Whether there are any."""
        ...

    def until(self, name: str) -> float | None:
        """Return up to when an object is locked, in seconds since 1970; None where it is not."""
        ...

    def lock(self, name: str, until: float) -> None:
        """Lock an object up to a moment; a longer lock stays."""
        ...


class LockedUpload:
    """An upload whose object is locked once it has its name."""

    def __init__(self, inner: Upload, lock: Callable[[str], None]) -> None:
        self._inner = inner
        self._lock = lock

    def write(self, data: Buffer) -> None:
        self._inner.write(data)

    def commit(self, name: str) -> None:
        self._inner.commit(name)
        self._lock(name)

    def abort(self) -> None:
        self._inner.abort()


class LockingBackend(BoundedBackend):
    """Another backend, which locks each object for so many seconds after it was stored. Thread-safe.

    Killed between the two, an object is left without a lock, until `extend` comes to it.
    """

    def __init__(
        self, inner: Backend, locks: Locks, seconds: float, patience: Patience, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(inner)
        self._locks = locks
        self._seconds = seconds
        self._patience = patience
        self._clock = clock

    def __reduce__(self) -> tuple[Callable[..., LockingBackend], tuple[object, ...]]:
        """Return what another process needs."""
        return LockingBackend, (self._inner, self._locks, self._seconds, self._patience)

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        version = super().put(name, data, expect=expect)
        self._lock(name)
        return version

    def upload(self) -> LockedUpload:
        return LockedUpload(super().upload(), self._lock)

    def extend(self, names: Iterable[str]) -> int:
        """Lock objects anew of whose time less than half is left, and return how many."""
        count = 0
        for name in names:
            if name.startswith(UNLOCKED):
                continue
            try:
                until = self._patience.insist(partial(self._locks.until, name)) or 0.0
                if until - self._clock() < self._seconds / 2:
                    self._lock(name)
                    count += 1
            except ObjectNotFoundError:
                continue  # A prune was faster.
        return count

    def _lock(self, name: str) -> None:
        if not name.startswith(UNLOCKED):
            until = self._clock() + self._seconds
            self._patience.insist(lambda: self._locks.lock(name, until))
