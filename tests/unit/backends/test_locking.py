"""What is stored is locked once it is there, and what is there is locked anew when half of its time is over."""

from __future__ import annotations

import pytest

from tallac.backends.locking import LockingBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.patience import Patience
from tallac.errors import ConflictError, ObjectNotFoundError, StorePermissionError
from tallac.interfaces import Expect

HOUR = 3600.0


class FakeLocks:
    """Locks that are noted."""

    def __init__(self) -> None:
        self.locked: dict[str, float] = {}
        self.is_refusing = False

    def is_on(self) -> bool:
        """Whether there are any."""
        return True

    def until(self, name: str) -> float | None:
        """Return up to when an object is locked."""
        if name.endswith("gone"):
            raise ObjectNotFoundError(name)
        return self.locked.get(name)

    def lock(self, name: str, until: float) -> None:
        """Note a lock."""
        if self.is_refusing:
            raise StorePermissionError("these credentials may not")
        self.locked[name] = until


def make(locks: FakeLocks, now: float) -> LockingBackend:
    """Give an empty store whose objects are locked for an hour, at a moment."""
    return LockingBackend(MemoryBackend(), locks, HOUR, Patience(0), clock=lambda: now)


def test_what_is_stored_is_locked() -> None:
    """A put and an upload are, an aborted upload and a session are not; a put that fails locks nothing."""
    locks = FakeLocks()
    backend = make(locks, 1000)
    version = backend.put("slots/a", b"1", expect=Expect.ABSENT)
    backend.put("sessions/a", b"1")
    backend.put("probe/x/a", b"1")
    upload = backend.upload()
    upload.write(b"pack")
    assert locks.locked == {"slots/a": 4600}
    upload.commit("packs/a")
    aborted = backend.upload()
    aborted.write(b"pack")
    aborted.abort()
    assert locks.locked == {"slots/a": 4600, "packs/a": 4600}
    locks.locked.clear()
    backend.put("slots/a", b"2", expect=version)
    with pytest.raises(ConflictError):
        backend.put("slots/a", b"3", expect=version)
    assert locks.locked == {"slots/a": 4600}
    assert backend.get("packs/a") == b"pack"


def test_what_is_there_is_locked_anew() -> None:
    """Only where less than half of the time is left, or no lock is there; what is gone and what is a session's is passed over."""
    locks = FakeLocks()
    locks.locked = {"packs/old": 1700, "packs/young": 2900}
    names = ["packs/old", "packs/young", "packs/none", "packs/gone", "sessions/a"]
    assert make(locks, 1000).extend(names) == 2
    assert locks.locked == {"packs/old": 4600, "packs/young": 2900, "packs/none": 4600}


def test_a_refusal_is_an_error() -> None:
    """Who may not lock is told so: what was to be safe is not."""
    locks = FakeLocks()
    locks.is_refusing = True
    with pytest.raises(StorePermissionError):
        make(locks, 1000).put("slots/a", b"1")
