"""Conditional puts whose answer may get lost, and reads of what may be outdated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tallac.errors import ConflictError, CorruptObjectError, RollbackDetectedError
from tallac.interfaces import Backend, Expect, HighLatencyBackend, RereadingBackend, Version

REREADS_MAX = 10

_State = TypeVar("_State")


def has_cached(backend: Backend, path: str) -> bool:
    """Whether a backend can give a state of an object without asking its store."""
    return isinstance(backend, HighLatencyBackend) and backend.has_cached(path)


def get_allowing_stale(backend: Backend, path: str) -> tuple[bytes, Version] | None:
    """Get a state of an object that is the present one, as a swap is going to prove: without asking, where the backend can."""
    found = backend.get_cached(path) if isinstance(backend, HighLatencyBackend) and backend.has_cached(path) else None
    return backend.get_versioned(path) if found is None else found


def decode_or_reread(
    backend: Backend, path: str, found: tuple[bytes, Version], decode: Callable[[bytes, Version], _State]
) -> _State:
    """Decode an object that was got; where it does not open or is an old one, get it once more past what may be remembered of it.

    Raises:
        What decoding raises.
    """
    for _ in range(REREADS_MAX):
        try:
            return decode(*found)
        except (CorruptObjectError, RollbackDetectedError) as error:
            again = _read_again(backend, path, found, error)
            if again is None:
                raise
            found = again
    return decode(*found)


def _read_again(
    backend: Backend, path: str, found: tuple[bytes, Version], error: CorruptObjectError | RollbackDetectedError
) -> tuple[bytes, Version] | None:
    """Return another state than the one that was got; None where there is none.

    Since it was got, another process may have written a newer one, and this machine may have seen that.
    """
    if isinstance(backend, RereadingBackend):
        return backend.get_again(path, found[0])
    again = backend.get_versioned(path) if isinstance(error, RollbackDetectedError) else None
    return None if again is None or again[0] == found[0] else again


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
