"""The packs that the index names, for a check of the whole vault; their footers, 40 bytes an object, lie in a temporary file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

import msgspec

from tallac.buckets import Spill
from tallac.vault.format.footers import FinishedPack

HELD_SIZE_MAX = 4 << 20
"""So many bytes of footers are in memory, and more where the disk has no room for them."""


class _Kept(msgspec.Struct, frozen=True):
    """One pack: its size, the hash of its footer's content, and where that is; None while it is in memory."""

    size: int
    hash: bytes
    place: bytes | None


class IndexedPacks:
    """The packs that index objects name, with their footers' contents. Of a pack that comes again the last one counts.

    Raises (all methods):
        LocalStateError: What was put into a temporary file can't be read again, or is something else.
    """

    def __init__(self) -> None:
        """Begin without packs."""
        self._kept: dict[bytes, _Kept] = {}
        self._held: dict[bytes, bytes] = {}
        self._held_size = 0
        self._held_size_max = HELD_SIZE_MAX
        self._spill: Spill | None = None

    def add(self, packs: Iterable[FinishedPack]) -> None:
        """Take packs; their footers are in memory as long as there is room for all."""
        for pack in packs:
            self._held_size += len(pack.body) - len(self._held.get(pack.name, b""))
            self._kept[pack.name] = _Kept(pack.size, _hash_of(pack.body), None)
            self._held[pack.name] = pack.body
        if self._held_size > self._held_size_max:
            self._put_away()

    def sizes(self) -> Mapping[bytes, int]:
        """Return the packs' names and sizes."""
        return {name: kept.size for name, kept in self._kept.items()}

    def __iter__(self) -> Iterator[FinishedPack]:
        """Iterate over all of them."""
        return map(self._pack, self._kept)

    def get(self, name: bytes) -> FinishedPack | None:
        """Return a pack; None where the index does not name it."""
        return self._pack(name) if name in self._kept else None

    def has_other_footer(self, pack: FinishedPack) -> bool:
        """Whether the index names a pack, and says something else of its objects."""
        kept = self._kept.get(pack.name)
        return kept is not None and kept.hash != _hash_of(pack.body)

    def _pack(self, name: bytes) -> FinishedPack:
        kept = self._kept[name]
        if kept.place is None:
            return FinishedPack(name, kept.size, self._held[name])
        assert self._spill is not None
        return FinishedPack(name, kept.size, self._spill.read(kept.place))

    def _put_away(self) -> None:
        """Write what is in memory; where there is no room it stays, until there is twice as much."""
        try:
            self._spill = self._spill or Spill()
            places = self._spill.add(list(self._held.values()))
        except OSError:
            self._held_size_max = 2 * self._held_size
            return
        for name, place in zip(self._held, places, strict=True):
            self._kept[name] = msgspec.structs.replace(self._kept[name], place=place)
        self._held = {}
        self._held_size = 0


def _hash_of(body: bytes) -> bytes:
    return blake2b(body, digest_size=32).digest()
