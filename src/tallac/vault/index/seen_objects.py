"""Which objects a walk over the vault has looked at: one bit for each record of the index."""

from __future__ import annotations

from tallac.vault.index.index import VaultIndex


class SeenObjects:
    """Which objects were looked at already: one bit for each record of the index. All is forgotten when the index changes."""

    def __init__(self, index: VaultIndex) -> None:
        """Nothing is seen yet."""
        self._index = index
        self._bits = bytearray()
        self._generation = -1

    def has(self, name: bytes, stored_hash: bytes) -> bool:
        """Whether an object with this stored hash was seen."""
        number = self._number_of(name, stored_hash)
        return number is not None and bool(self._bits[number >> 3] >> (number & 7) & 1)

    def add(self, name: bytes, stored_hash: bytes) -> None:
        """Remember an object that the index knows; others are not remembered."""
        number = self._number_of(name, stored_hash)
        if number is not None:
            self._bits[number >> 3] |= 1 << (number & 7)

    def _number_of(self, name: bytes, stored_hash: bytes) -> int | None:
        if self._generation != self._index.generation:
            self._bits = bytearray(self._index.count() // 8 + 1)
            self._generation = self._index.generation
        return self._index.number_of(name, stored_hash)
