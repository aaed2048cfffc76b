"""See whether packs are whole, byte for byte: a pack's name is the hash of it, so this takes no key."""

from __future__ import annotations

from tallac.crypto import Hasher
from tallac.errors import CorruptObjectError, DamageError, MissingObjectError, ObjectNotFoundError
from tallac.interfaces import Backend
from tallac.vault.packs import pack_path

STEP_SIZE = 4 << 20


class WholePacks:
    """Reads each pack that is asked about once, and remembers what came of it."""

    def __init__(self, backend: Backend) -> None:
        """Read from a backend; nothing is read yet."""
        self._backend = backend
        self._damage: dict[bytes, DamageError | None] = {}

    def require(self, name: bytes) -> int:
        """See that every byte of a pack is right, and tell how many bytes were read for it.

        Raises:
            MissingObjectError, CorruptObjectError: It is gone, or has other bytes.
        """
        bytes_read = 0
        if name not in self._damage:
            bytes_read, self._damage[name] = self._read(name)
        damage = self._damage[name]
        if damage is not None:
            raise damage
        return bytes_read

    def _read(self, name: bytes) -> tuple[int, DamageError | None]:
        hasher, offset = Hasher(), 0
        try:
            while part := self._backend.get(pack_path(name), offset, offset + STEP_SIZE):
                hasher.update(part)
                offset += len(part)
        except ObjectNotFoundError:
            return offset, MissingObjectError(f"pack {name.hex()[:12]} is missing in {self._backend.location()}")
        damage = None if hasher.digest() == name else CorruptObjectError(f"pack {name.hex()[:12]} is damaged")
        return offset, damage
