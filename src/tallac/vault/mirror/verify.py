"""Verify what a mirror has: packs as they are read back, and all that is in use from the roots down. Nothing is opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tallac.caps import MutableDirectoryVerify
from tallac.crypto.hashing import Hasher
from tallac.errors import CorruptObjectError, DamageError, ObjectNotFoundError
from tallac.interfaces import Backend
from tallac.vault.format.footers import FooterEntries, FooterEntry
from tallac.vault.format.keys import KeeperKey
from tallac.vault.format.links import Link, encode_link, link_of
from tallac.vault.format.structure import Structure
from tallac.vault.index.index import VaultIndex
from tallac.vault.marking.census import Census, locations_of
from tallac.vault.marking.copies import CopyVerifier, is_right
from tallac.vault.marking.walk import LinkWalk
from tallac.vault.mutable.slots import Slots
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.packs.verifier import STEP_SIZE


class PackReader:
    """Reads packs to the end, each byte once."""

    def __init__(self, backend: Backend, structure: Structure | None) -> None:
        """Read packs of a backend. Without any key nobody knows where objects are in them."""
        self._backend = backend
        self._stored = None if structure is None else StoredPacks(backend, structure)
        self.wrong: dict[bytes, set[int]] = {}
        """For packs that were read, the offsets of the objects whose bytes are not those that the pack's footer has the hash of."""

    def is_whole(self, name: bytes, size: int) -> bool:
        """Read a pack, and say whether it is the one of this name."""
        entries, wrong = self._entries(name, size), set()
        hasher, start, block = Hasher(), 0, b""
        for entry in entries:
            while start + len(block) < entry.end:
                part = self._backend.get(pack_path(name), start + len(block), start + len(block) + STEP_SIZE)
                if not part:
                    return False
                hasher.update(part)
                block, start = block[entry.offset - start :] + part, entry.offset
            whole = memoryview(block)[entry.offset - start : entry.end - start]
            if not is_right(entry.hash, whole[: entry.length], whole[entry.length :]):
                wrong.add(entry.offset)
        end = start + len(block)
        while part := self._backend.get(pack_path(name), end, end + STEP_SIZE):
            hasher.update(part)
            end += len(part)
        self.wrong.pop(name, None)  # It may have been copied anew since it was read.
        if wrong:
            self.wrong[name] = wrong
        return hasher.digest() == name

    def _entries(self, name: bytes, size: int) -> Sequence[FooterEntry]:
        if self._stored is None:
            return []
        try:
            return FooterEntries.of(self._stored.footer(name, size).pack.body)
        except (CorruptObjectError, ObjectNotFoundError):
            return []  # What nobody has made who may counts for nobody, whatever is in it.


def lacking(
    backend: Backend,
    keeper: KeeperKey,
    index: VaultIndex,
    slots: Slots,
    roots: Collection[MutableDirectoryVerify],
    wrong: Mapping[bytes, Collection[int]],
) -> list[str]:
    """Follow all links of a copy of a vault from its roots, comparing each list and directory, and say what of it is not there.

    Args:
        backend: The copy.
        keeper: Its keeper key.
        index: Its index, whose packs were looked at.
        slots: Its slots.
        roots: Where to begin.
        wrong: For some packs the offsets of objects that have other bytes than they should.

    Returns:
        A sentence each.
    """
    damaged: list[str] = []
    broken: set[bytes] = set()

    def note(link: Link, error: DamageError) -> None:
        damaged.append(str(error))
        broken.add(link.hash)

    def slot_links(link: Link) -> bytes:
        cap = MutableDirectoryVerify(link.storage_index, link.hash)
        return slots.links(cap, slots.read(cap))

    walk = LinkWalk(backend, keeper.locator_key, index, damaged=note, open_slot=slot_links, only_present=True)
    walk.follow(encode_link(link_of(cap)) for cap in roots)
    there = index.packs().keys() - index.absent_packs - index.unindexed_packs
    missing = Census(index, walk.hashes, there, wrong).missing - broken
    # What lies in packs that no index object names is claimed by footers alone.
    verifier = CopyVerifier(backend)
    for stored_hash, copies in (locations_of(index, missing) if missing and index.unindexed_packs else {}).items():
        if any(copy.pack in index.unindexed_packs and verifier.is_right(copy) for _, copy in copies):
            missing.discard(stored_hash)
    return damaged + [f"object {each.hex()[:12]} has no copy that is whole in {backend.location()}" for each in sorted(missing)]
