"""Another copy of the same vault, to get things from: packs by their names, objects by their stored hashes, slots and roots."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from tallac.caps import MutableDirectoryVerify
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import DamageError, ObjectNotFoundError, StoreError, VaultNotFoundError
from tallac.interfaces import Backend
from tallac.vault.format.footers import FooterEntry
from tallac.vault.format.header import Header, read_header
from tallac.vault.format.keys import KeeperKey
from tallac.vault.format.structure import Structure
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.marking.census import locations_of
from tallac.vault.marking.copies import is_right
from tallac.vault.marking.objects_in_pack import read_objects
from tallac.vault.mirror.verify import lacking
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.slots import Slots
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.prune.repack import Repacking


class PeerVault:
    """Another copy of the same vault. Nothing of it is believed before it was compared with its name or signature."""

    def __init__(self, backend: Backend, header: Header, keeper: KeeperKey) -> None:
        """Open the copy of the vault that has this header; its index is read when it is needed.

        Raises:
            VaultNotFoundError: It is another vault, or none.
        """
        if read_header(backend).signers != header.signers:
            raise VaultNotFoundError(f"{backend.location()} is another vault, not a copy of this one: give its own mirror")
        self._backend = backend
        self._keeper = keeper
        self._structure = Structure(keeper, header.signers)
        self._slots = Slots(backend, keeper.locator_key, NoMemory(), os.urandom)
        self._folder: Path | None = None
        self._index: VaultIndex | None = None

    def close(self) -> None:
        """Delete the local copy of its index."""
        if self._index is not None:
            self._index.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def pack(self, name: bytes) -> bytes | None:
        """Return a whole pack; None where the other vault lacks it, or has it damaged."""
        try:
            content = self._backend.get(pack_path(name))
        except ObjectNotFoundError:
            return None
        return content if hash_file_bytes(content) == name else None

    def fetch(self, hashes: Collection[bytes], repacking: Repacking) -> set[bytes]:
        """Take over objects by their stored hashes, sealed as they are, each after its bytes were compared; give what was there."""
        wanted: dict[bytes, list[FooterEntry]] = defaultdict(list)
        for copies in locations_of(self.index(), hashes).values():
            for name, each in copies:
                wanted[each.pack].append(FooterEntry(name, each.hash, each.offset, each.length, each.links_length))
        fetched: set[bytes] = set()
        taken: set[tuple[bytes, bytes]] = set()
        for pack, entries in wanted.items():
            left = sorted((each for each in entries if (each.name, each.hash) not in taken), key=lambda each: each.offset)
            with suppress(StoreError):  # Of what a damaged pack does not give out, another may have a copy.
                for entry, content, links in read_objects(self._backend, pack, left):
                    if is_right(entry.hash, content, links):
                        repacking.add(entry.name, entry.hash, bytes(content), bytes(links))
                        taken.add((entry.name, entry.hash))
                        fetched.add(entry.hash)
        return fetched

    def slot(self, path: str, cap: MutableDirectoryVerify) -> bytes | None:
        """Return a slot's state whose signature is right; None where the other vault has none."""
        found = self._backend.get_versioned(path)
        if found is None:
            return None
        try:
            self._slots.state_of(cap, found[0])
        except DamageError:
            return None
        return found[0]

    def slot_number(self, path: str) -> int:
        """Return the number of the state that the other vault has of a slot; 0 where it has none that opens."""
        found = self._backend.get_versioned(path)
        try:
            return 0 if found is None else self._slots.number_in(path, found[0])
        except DamageError:
            return 0

    def roots(self) -> list[MutableDirectoryVerify]:
        """Return the roots of all slots that the other vault has."""
        return self._slots.all_roots(self._keeper)

    def lacking(self, wrong: Mapping[bytes, Collection[int]]) -> list[str]:
        """Verify the copy from its roots down, and return what is not there, a sentence each; see `verify.lacking`."""
        return lacking(self._backend, self._keeper, self.index(), self._slots, self.roots(), wrong)

    def index(self) -> VaultIndex:
        """Return its index, with a local copy in a temporary folder; it is loaded on the first call."""
        if self._index is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tallac-"))
            register = Register(self._backend, "index", self._structure.secret, self._structure, NoMemory(), os.urandom)
            store = IndexStore(self._backend, self._structure, os.urandom)
            self._index = VaultIndex(register, store, self._folder, StoredPacks(self._backend, self._structure))
            self._index.refresh()
            self._index.look_at_packs()
        return self._index
