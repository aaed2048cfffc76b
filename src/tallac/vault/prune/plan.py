"""The plan of a prune: decided here, from marks and index alone, and carried out elsewhere."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from tallac.vault.format.footers import FooterEntry
from tallac.vault.index.index import VaultIndex
from tallac.vault.marking.census import locations_of
from tallac.vault.marking.copies import CopyVerifier
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
    offsets: array[int] = msgspec.field(default_factory=lambda: array("I"))


class Survey:
    """Which copies are in use, as of one mark.

    An object is in use by its stored hash, in one of its copies: the one in the pack whose name comes first, among those that are
    indexed, there, not pending deletion, and have the right bytes, which are read wherever there is more than one. So what is
    stored twice becomes free, two prunes never count on each other's victims, and no copy goes for the sake of a worthless one.
    """

    def __init__(self, index: VaultIndex, marks: Marks, verifier: CopyVerifier) -> None:
        """Survey an index whose packs were looked at."""
        self._index = index
        self._marks = marks
        self._verifier = verifier
        self._there = frozenset(index.packs().keys() - marks.unindexed - index.absent_packs)

    def uses(self, pending: PendingDeletions) -> dict[bytes, PackUse]:
        """Count each pack's use; packs with pending deletions are left out."""
        unindexed, in_use = self._marks.unindexed, self._marks.census.in_use
        uses = {pack: PackUse() for pack in self._index.packs() if pack not in pending.packs}
        spares = self.spares(pending)
        spares_in_new: dict[bytes, list[int]] = {}
        number = 0
        for run in self._index.runs():
            by_pack = [uses.get(name) for name, _ in run.packs]
            new = [spares_in_new.setdefault(name, []) if name in unindexed else None for name, _ in run.packs]
            for _, _, pack, offset, length, links_length in run.columns():
                use = by_pack[pack]
                if use is not None:
                    if number in in_use and number not in spares:
                        use.alive += 1
                        use.alive_size += length + links_length
                    else:
                        use.dead += 1
                        use.dead_size += length + links_length
                        use.offsets.append(offset)
                        if number in in_use and (found := new[pack]) is not None:
                            found.append(number)
                number += 1
        # The writer of a pack that is in no index yet may be about to delete the copies that it was made from. Where one of its own
        # copies is wrong, it is no such pack.
        left = {pack for pack, numbers in spares_in_new.items() if numbers and all(map(self._is_right, numbers))}
        # Of a pack that is not there nothing can be moved; it stays in the index, so that it is there again when it comes back.
        # What is in no index is left to its writer, unless nothing in it is in use.
        return {pack: use for pack, use in uses.items() if pack not in left and (pack in self._there or not use.alive)}

    def _is_right(self, number: int) -> bool:
        return self._verifier.is_right(self._index.location_of(number))

    def needed(self, pending: PendingDeletions, *, counts_unindexed: bool = False) -> set[bytes]:
        """Return the packs with a pending deletion of a copy that is in use, and of which no other copy is right and stays.

        With `counts_unindexed`, one may also lie in a pack that its writer has yet to enter in the index.
        """
        spares, in_use = self.spares(pending, counts_unindexed=counts_unindexed), self._marks.census.in_use
        needed: set[bytes] = set()
        number = 0
        for run in self._index.runs():
            entries = [pending.packs.get(name) for name, _ in run.packs]
            if any(entry is not None for entry in entries):
                for count, (_, _, pack, offset, _, _) in enumerate(run.columns(), number):
                    entry = entries[pack]
                    if entry is not None and count in in_use and entry.is_pending(offset) and count not in spares:
                        needed.add(entry.pack)
            number += run.count
        return needed

    def contradicted(self, going: Mapping[bytes, Sequence[FooterEntry]], pending: PendingDeletions) -> set[bytes]:
        """Return the packs of whose objects, as their own footers list them, one is in use that has no other copy that stays.

        Args:
            going: For each pack, what would be deleted with it.
            pending: The present state.
        """
        listed = {entry.hash for entries in going.values() for entry in entries}
        used = self._marks.walk.hashes.intersection(listed)
        copies = locations_of(self._index, used)

        def stays(entry: FooterEntry) -> bool:
            return any(
                name == entry.name
                and location.pack in self._there
                and not pending.is_pending(location)
                and self._verifier.is_right(location)
                for name, location in copies.get(entry.hash, ())
            )

        return {pack for pack, entries in going.items() if not all(entry.hash not in used or stays(entry) for entry in entries)}

    def spares(self, pending: PendingDeletions, *, counts_unindexed: bool = False) -> set[int]:
        """Return the records of copies that are in use, and which can go since another copy stays whose bytes are right.

        With `counts_unindexed`, that one may also lie in a pack that no index names.
        """
        packs = self._there | self._marks.unindexed if counts_unindexed else self._there
        spares: set[int] = set()
        for group in self._marks.census.repeated:
            copies = [(number, self._index.location_of(number)) for number in group]
            there = [copy for copy in copies if copy[1].pack in packs and not pending.is_pending(copy[1])]
            # Who empties a pack may leave behind what another pack has, so packs with pending deletions are counted on last.
            there.sort(key=lambda copy: (copy[1].pack in pending.packs, copy[1].pack, copy[1].offset))
            kept = next((location for _, location in there if self._verifier.is_right(location)), None)
            if kept is not None:
                # One pack may be in two index objects, and one copy in two records.
                place = kept.pack, kept.offset
                spares.update(number for number, location in copies if (location.pack, location.offset) != place)
        return spares


def propose(uses: Mapping[bytes, PackUse], unused_max: float, since: int, count_max: int = OFFSETS_MAX) -> Iterator[PendingPack]:
    """Choose the packs that are worth it: those wholly dead, and more while a larger share of all is dead than is put up with.

    Those with the largest share come first: they free most for what is moved, and one round names a limited number of copies.
    """
    left = count_max
    partly = [use for use in uses.values() if use.alive]
    dead_size = sum(use.dead_size for use in partly)
    alive_size = sum(use.alive_size for use in partly)
    for pack, use in sorted(uses.items(), key=lambda item: (-_dead_share(item[1]), item[0])):
        if not use.alive:
            yield PendingPack(pack, since, is_decided=False, offsets=None)
        elif use.dead and dead_size > unused_max * (alive_size + dead_size) and left > 0:
            left -= len(use.offsets)
            dead_size -= use.dead_size
            yield PendingPack(pack, since, is_decided=False, offsets=frozenset(use.offsets))


def is_all_of(proposals: PendingDeletions, deleted: Collection[bytes]) -> bool:
    """Whether no other round would find more to delete than was proposed in this state, once some packs are deleted.

    That is so where nobody else has proposed packs, or begun to empty some: of these it could not be told what else in them is
    unused. What became unused since then is left to the next prune.
    """
    own = {pack for pack, entry in proposals.packs.items() if entry.since == proposals.number}
    others = [entry for pack, entry in proposals.packs.items() if pack not in own]
    return own <= set(deleted) and all(entry.is_decided and entry.offsets is None for entry in others)


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
