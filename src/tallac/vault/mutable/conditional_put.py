"""Conditional puts whose answer may get lost, and reads of what may be outdated."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeVar

from tallac.errors import ConflictError, CorruptObjectError, RollbackDetectedError
from tallac.interfaces import Backend, Expect, HighLatencyBackend, RemembersStates, RereadingBackend, Version
from tallac.vault.mutable.rollback import RollbackMemory

REREADS_MAX = 10


class Age(Enum):
    """How old a state may be that is read.

    PRESENT: It is the present one.
    RECENT: It is as of some answer of the store about a register, just now.
    ANY: A swap is going to prove that it is the present one, or was proved by one just now.
    """

    PRESENT = "present"
    RECENT = "recent"
    ANY = "any"


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...

    @property
    def hash(self) -> bytes: ...


_State = TypeVar("_State", bound=_Numbered)


def is_remembered(backend: Backend, path: str) -> bool:
    """Whether a backend can give a state of an object, perhaps a former one, without asking its store."""
    if isinstance(backend, HighLatencyBackend):
        return backend.has_cached(path)
    return isinstance(backend, RemembersStates) and backend.remembered(path) is not None


def read_checked(
    backend: Backend, path: str, memory: RollbackMemory, decode: Callable[[bytes, Version], _State], age: Age = Age.PRESENT
) -> _State | None:
    """Read the present state of a mutable object and compare it with what this client has seen; None where there is none.

    What does not open, or is older than what was seen, is read again: since it was read, somebody else on this machine may have
    seen a newer one, and file systems of networks give old states for a while.

    Args:
        backend: Where it lies.
        path: Its name.
        memory: What this client has seen of it.
        decode: Opens it.
        age: How old the state may be.

    Raises:
        RollbackDetectedError: This client has seen a later state.
        CorruptObjectError: Its number has leapt.
        What decoding raises.
    """
    found = _get(backend, path, age)
    for _ in range(REREADS_MAX):
        try:
            return _check(path, memory, decode, found)
        except (CorruptObjectError, RollbackDetectedError) as error:
            again = _read_again(backend, path, found, error)
            if again is None:
                raise
            found = again
    return _check(path, memory, decode, found)


def _get(backend: Backend, path: str, age: Age) -> tuple[bytes, Version] | None:
    """Get a state of an object that is no older than allowed: without asking, where the backend can."""
    found = None
    if age is not Age.PRESENT and isinstance(backend, HighLatencyBackend) and backend.has_cached(path):
        found = backend.get_cached(path)
    elif age is Age.ANY and isinstance(backend, RemembersStates):
        found = backend.remembered(path)
    return backend.get_versioned(path) if found is None else found


def _check(
    path: str, memory: RollbackMemory, decode: Callable[[bytes, Version], _State], found: tuple[bytes, Version] | None
) -> _State | None:
    if found is None:
        memory.check(path, 0, b"")
        return None
    state = decode(*found)
    memory.check(path, state.number, state.hash)
    return state


def _read_again(
    backend: Backend, path: str, found: tuple[bytes, Version] | None, error: CorruptObjectError | RollbackDetectedError
) -> tuple[bytes, Version] | None:
    """Return another state than the one that was got; None where there is none."""
    content = None if found is None else found[0]
    if isinstance(error, RollbackDetectedError):
        if isinstance(backend, RemembersStates):
            # Others on this machine may have seen a newer state than the listing has told.
            backend.look_away()
        again = backend.get_versioned(path)
        if again is not None and again[0] != content:
            return again
    if content is None or not isinstance(backend, RereadingBackend):
        return None
    return backend.get_again(path, content)


def put_new(backend: Backend, path: str, data: bytes) -> Version:
    """Put under a name that nothing has ever had: a random one, or the hash of what was sealed just now."""
    if isinstance(backend, HighLatencyBackend):
        return _put_once(backend, path, data, lambda: backend.put_new(path, data))
    return put_once(backend, path, data, Expect.ABSENT)


def put_once(backend: Backend, path: str, data: bytes, expect: Expect | Version) -> Version:
    """Put conditionally; a conflict with one's own earlier attempt, whose answer was lost, counts as success."""
    return _put_once(backend, path, data, lambda: backend.put(path, data, expect=expect))


def _put_once(backend: Backend, path: str, data: bytes, put: Callable[[], Version]) -> Version:
    try:
        return put()
    except ConflictError:
        found = backend.get_versioned(path)
        if found is not None and found[0] == data:
            return found[1]
        raise
