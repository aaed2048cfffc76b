"""Hash stored objects of any size: a pack's name is the hash of it, so to see whether it is whole takes no key."""

from __future__ import annotations

from collections.abc import Callable

from tallac.crypto.hashing import Hasher
from tallac.errors import ObjectNotFoundError, StoreError
from tallac.interfaces import Backend

STEP_SIZE = 4 << 20


def hash_object(backend: Backend, name: str, read: Callable[[int], None]) -> bytes:
    """Return the hash of a stored object of any size; `read` is called with the size of each block that was read.

    Raises:
        ObjectNotFoundError: There is no such object.
    """
    hasher, offset = Hasher(), 0
    while part := backend.get(name, offset, offset + STEP_SIZE):
        hasher.update(part)
        offset += len(part)
        read(len(part))
    return hasher.digest()


def hash_as_far_as_read(backend: Backend, name: str, read: Callable[[int], None]) -> bytes:
    """Return what `hash_object` does; nothing where a disk does not give out all of it."""
    try:
        return hash_object(backend, name, read)
    except ObjectNotFoundError:
        raise
    except StoreError:
        return b""
