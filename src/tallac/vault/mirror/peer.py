"""Another copy of the same vault, to get things from: whole packs by their names, single objects by theirs, slots and roots."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tallac.caps import MutableDirectoryVerify
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import DamageError, ObjectNotFoundError, VaultNotFoundError
from tallac.interfaces import Backend
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import KeeperKey
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.slots import Slots
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.prune.repack import Repacking


class PeerVault:
    """Another copy of the same vault. Nothing of it is believed before it was compared with its name or signature."""

    def __init__(self, backend: Backend, identity: str, keeper: KeeperKey) -> None:
        """Open the copy; its index is read when it is needed.

        Raises:
            VaultNotFoundError: It is another vault, or none.
        """
        if read_header(backend).identity != identity:
            raise VaultNotFoundError(f"{backend.location()} is another vault, not a copy of this one: give its own mirror")
        self._backend = backend
        self._keeper = keeper
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

    def fetch(self, names: Iterable[bytes], repacking: Repacking) -> set[bytes]:
        """Take over objects, sealed as they are, from packs that are whole; give the names of those that were there."""
        index = self.index()
        wanted: dict[bytes, list[tuple[bytes, ObjectLocation]]] = defaultdict(list)
        for name in names:
            for location in index.locations(name, only_present=True):
                wanted[location.pack].append((name, location))
        fetched: set[bytes] = set()
        for pack, copies in wanted.items():
            left = [(name, location) for name, location in copies if name not in fetched]
            content = self.pack(pack) if left else None
            if content is None:
                continue
            for name, location in left:
                repacking.take(name, location, content)
                fetched.add(name)
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

    def index(self) -> VaultIndex:
        """Return its index, with a local copy in a temporary folder; it is loaded on the first call."""
        if self._index is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tallac-"))
            structure_key = self._keeper.locator_key.structure_key
            register = Register(self._backend, "index", structure_key, NoMemory(), os.urandom)
            store = IndexStore(self._backend, structure_key, os.urandom)
            self._index = VaultIndex(register, store, self._folder, StoredPacks(self._backend, structure_key))
            self._index.refresh()
            self._index.look_at_packs()
        return self._index
