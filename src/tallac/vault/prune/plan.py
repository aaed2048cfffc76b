"""The plan of a prune: decided here, from marks and index alone, and carried out elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from tallac.vault.format.footers import ObjectLocation
from tallac.vault.index.index import VaultIndex
from tallac.vault.mutable.pending_deletions import PendingDeletions, PendingPack
from tallac.vault.prune.mark import Marks

OFFSETS_MAX = 250_000
"""Copies that one round names singly among the pending deletions, which every writer holds in memory."""


class PackUse(msgspec.Struct):
    """How much of one pack is in use.

    Attributes:
        alive, dead: Objects.
        alive_size, dead_size: Their bytes.
        offsets: Where the dead ones begin.
    """

    alive: int = 0
    dead: int = 0
    alive_size: int = 0
    dead_size: int = 0
    offsets: list[int] = msgspec.field(default_factory=list)

    def add(self, location: ObjectLocation, *, is_alive: bool) -> None:
        """Count one copy."""
        if is_alive:
            self.alive += 1
            self.alive_size += location.size
        else:
            self.dead += 1
            self.dead_size += location.size
            self.offsets.append(location.offset)


class Survey:
    """Which copies are in use.

    An object that was reached is in use in one of its copies: the one in the pack whose name comes first, among those that are
    there and not pending deletion. So what is stored twice becomes free, and two prunes never count on each other's victims.
    """

    def __init__(self, index: VaultIndex, marks: Marks) -> None:
        """Survey an index whose packs were looked at."""
        self._index = index
        self._marks = marks
        self._indexed = index.packs().keys() - index.unindexed_packs
        self._there = self._indexed - index.absent_packs

    def uses(self, pending: PendingDeletions) -> dict[bytes, PackUse]:
        """Count each pack's use; packs with pending deletions are left out."""
        uses = {pack: PackUse() for pack in self._indexed if pack not in pending.packs}
        for name, location in self._index.records():
            use = uses.get(location.pack)
            if use is not None:
                use.add(location, is_alive=self.is_in_use(name, location, pending))
        # Of a pack that is not there nothing can be moved; it stays in the index, so that it is there again when it comes back.
        return {pack: use for pack, use in uses.items() if not use.alive or pack in self._there}

    def needed(self, pending: PendingDeletions) -> set[bytes]:
        """Return the packs with a pending deletion of a copy that turns out to be needed."""
        return {
            location.pack
            for name, location in self._index.records()
            if pending.is_pending(location) and name in self._marks and self._kept_copy(name, pending) is None
        }

    def is_in_use(self, name: bytes, location: ObjectLocation, pending: PendingDeletions) -> bool:
        """Whether a copy of an object is the one that is in use."""
        if name not in self._marks:
            return False
        kept = self._kept_copy(name, pending)
        return kept is None or kept == location

    def _kept_copy(self, name: bytes, pending: PendingDeletions) -> ObjectLocation | None:
        there = [copy for copy in self._index.copies(name) if copy.pack in self._there and not pending.is_pending(copy)]
        # Who empties a pack may leave behind what another pack has, so packs with pending deletions are counted on last.
        return min(there, key=lambda copy: (copy.pack in pending.packs, copy.pack, copy.offset), default=None)


def propose(uses: Mapping[bytes, PackUse], unused_max: float, since: int) -> Iterator[PendingPack]:
    """Choose the packs that are worth it: those wholly dead, and those with a larger share of dead bytes than is put up with.

    Those with the largest share come first, since one round names a limited number of copies.
    """
    left = OFFSETS_MAX
    for pack, use in sorted(uses.items(), key=lambda item: (-_dead_share(item[1]), item[0])):
        if not use.alive:
            yield PendingPack(pack, since, is_decided=False, offsets=None)
        elif use.dead and _dead_share(use) > unused_max and left > 0:
            left -= len(use.offsets)
            yield PendingPack(pack, since, is_decided=False, offsets=frozenset(use.offsets))


def total(uses: Iterable[PackUse]) -> PackUse:
    """Add up."""
    sum_ = PackUse()
    for use in uses:
        sum_.alive += use.alive
        sum_.dead += use.dead
        sum_.alive_size += use.alive_size
        sum_.dead_size += use.dead_size
    return sum_


def _dead_share(use: PackUse) -> float:
    size = use.alive_size + use.dead_size
    return use.dead_size / size if size else 1.0
