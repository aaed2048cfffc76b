"""See whether packs are whole, byte for byte: a pack's name is the hash of it, so this takes no key."""

from __future__ import annotations

from collections.abc import Callable

from tallac.crypto.hashing import Hasher
from tallac.errors import CorruptObjectError, DamageError, MissingObjectError, ObjectNotFoundError
from tallac.interfaces import Backend
from tallac.vault.packs.pack import pack_path

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


class PackVerifier:
    """Reads each pack that is asked about once, and remembers what came of it."""

    def __init__(self, backend: Backend) -> None:
        """Read from a backend; nothing is read yet."""
        self._backend = backend
        self._damage: dict[bytes, DamageError | None] = {}
        self._bytes_read = 0

    def require(self, name: bytes) -> int:
        """Check every byte of a pack, and return how many bytes were read for it.

        Raises:
            MissingObjectError, CorruptObjectError: It is gone, or has other bytes.
        """
        before = self._bytes_read
        if name not in self._damage:
            self._damage[name] = self._read(name)
        damage = self._damage[name]
        if damage is not None:
            raise damage
        return self._bytes_read - before

    def _read(self, name: bytes) -> DamageError | None:
        try:
            is_right = hash_object(self._backend, pack_path(name), self._count) == name
        except ObjectNotFoundError:
            return MissingObjectError(f"pack {name.hex()[:12]} is missing in {self._backend.location()}")
        return None if is_right else CorruptObjectError(f"pack {name.hex()[:12]} is damaged")

    def _count(self, size: int) -> None:
        self._bytes_read += size
