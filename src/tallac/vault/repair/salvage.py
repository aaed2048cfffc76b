"""Salvage: find what is whole in damaged packs, and store it again as it is sealed. What is missing is known by its stored hash."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tallac.caps import MutableDirectoryVerify
from tallac.vault.check.by_links import top_link
from tallac.vault.components import VaultComponents
from tallac.vault.format.links import Link
from tallac.vault.marking.census import Census, locations_in
from tallac.vault.marking.copies import CopyVerifier
from tallac.vault.marking.walk import LinkWalk
from tallac.vault.mutable.slots import Slots
from tallac.vault.prune.repack import Repacking


def salvage(components: VaultComponents, hashes: Collection[bytes], repacking: Repacking) -> set[bytes]:
    """Store objects again that have a right copy in damaged packs; return the hashes of those that had.

    Args:
        components: The vault; its index was refreshed, and its packs were looked at.
        hashes: The stored hashes of what is missing.
        repacking: Where they go.
    """
    verifier = CopyVerifier(components.backend)
    rescued: set[bytes] = set()
    for stored_hash, copies in locations_in(components.index.damaged_runs(), hashes).items():
        names: set[bytes] = set()
        for name, location in copies:
            if name not in names and (found := verifier.read(location)) is not None:
                names.add(name)
                repacking.add(name, stored_hash, *found)
                rescued.add(stored_hash)
    return rescued


def missing_hashes(components: VaultComponents, slots: Slots, roots: Iterable[MutableDirectoryVerify]) -> set[bytes]:
    """Return the stored hashes of objects that links lead to and no pack in use has, as far as links can be followed."""
    components.index.refresh()
    components.index.look_at_packs()

    def slot_links(link: Link) -> bytes:
        cap = MutableDirectoryVerify(link.storage_index, link.hash)
        return slots.links(cap, slots.read(cap))

    # What is left in damaged packs is followed too.
    walk = LinkWalk(components.backend, components.locator, components.index, damaged=lambda *_: None, open_slot=slot_links)
    walk.follow(top_link(cap) for cap in roots)
    there = components.index.packs().keys() - components.index.absent_packs - components.index.unindexed_packs
    return Census(components.index, walk.hashes, there).missing
