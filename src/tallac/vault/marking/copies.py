"""Whether single copies of objects have the bytes that their stored hash promises. No key is needed for that."""

from __future__ import annotations

from tallac.errors import DamageError
from tallac.interfaces import Backend, Buffer
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.objects import Kind, stored_hash_of
from tallac.vault.packs.read_cache import PackReadCache

_NODES = (Kind.DIRECTORY, Kind.LIST)


def is_right(stored_hash: bytes, content: Buffer, links: Buffer) -> bool:
    """Whether an object's stored bytes have a stored hash. An object with links is a list or a directory: either will do."""
    if not links:
        return stored_hash_of(Kind.CHUNK, content) == stored_hash
    return any(stored_hash_of(kind, content, links) == stored_hash for kind in _NODES)


class CopyVerifier:
    """Reads single copies and compares them; remembers what was right. Not thread-safe."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is read yet."""
        self._windows = PackReadCache(backend)
        self._known: dict[tuple[bytes, int], bool] = {}
        self.bytes_read = 0

    def is_right(self, location: ObjectLocation) -> bool:
        """Whether a copy has the stored hash that who stored it says; False where it can't be read because it is gone or cut."""
        place = location.pack, location.offset
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = self.read(location) is not None
        return known

    def read(self, location: ObjectLocation) -> tuple[bytes, bytes] | None:
        """Return a copy's content and links, as stored; None where these are not the right ones, or can't be read."""
        try:
            whole = self._windows.read(location.pack, location.offset, location.offset + location.size)
        except DamageError:
            return None
        self.bytes_read += len(whole)
        content, links = whole[: location.length], whole[location.length :]
        return (content, links) if is_right(location.hash, content, links) else None
