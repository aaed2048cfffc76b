"""What an open vault is made of, wired together once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tallac.errors import AuthorityError
from tallac.interfaces import Backend, Clock, Randomness
from tallac.vault.format.keys import KeeperKey, LocatorKey, WriterKey
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.local_state import StateFolder, open_state_folder
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory, SeenStates
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import Slots
from tallac.vault.packs.damaged import DamagedPacks
from tallac.vault.packs.pack import StoredPacks
from tallac.vault.reading.object_reader import ObjectReader
from tallac.vault.reserve import Reserve


class VaultParts(msgspec.Struct):
    """One open vault. The keys that its user lacks are None."""

    backend: Backend
    reserve: Reserve
    identity: str
    writer_key: WriterKey | None
    keeper_key: KeeperKey | None
    locator: LocatorKey
    clock: Clock
    randomness: Randomness
    state: StateFolder
    memory: SeenStates
    index_register: Register
    index_store: IndexStore
    index: VaultIndex
    aside: DamagedPacks
    slots: Slots
    roots: Roots | None
    reader: ObjectReader

    def reader_with_index(self) -> ObjectReader:
        """Give the reader, after the index was read for the first time."""
        if not self.index.is_loaded:
            self.index.refresh()
        return self.reader

    def fit_reserve(self) -> None:
        """Let the reserve be as large as the vault asks for, as far as there is room."""
        self.reserve.fit(sum(self.index.packs().values()))

    def require_writer_key(self) -> WriterKey:
        """Give the writer key.

        Raises:
            AuthorityError: Only a weaker key is configured.
        """
        if self.writer_key is None:
            raise self._lacks("writer key", "weaker")
        return self.writer_key

    def require_keeper_key(self) -> KeeperKey:
        """Give the keeper key.

        Raises:
            AuthorityError: Only a locator key is configured.
        """
        if self.keeper_key is None:
            raise self._lacks("keeper key", "locator")
        return self.keeper_key

    def require_roots(self) -> Roots:
        """Give the roots.

        Raises:
            AuthorityError: Only a locator key is configured.
        """
        if self.roots is None:
            raise self._lacks("keeper key", "locator")
        return self.roots

    def _lacks(self, needed: str, present: str) -> AuthorityError:
        return AuthorityError(
            f"this needs the {needed} of the vault at {self.backend.location()}; only a {present} key is configured"
        )


def open_parts(
    backend: Backend,
    identity: str,
    key: WriterKey | KeeperKey | LocatorKey,
    state: Path,
    clock: Clock,
    randomness: Randomness,
) -> VaultParts:
    """Wire a vault together. Local state is read at once, the vault as it is needed."""
    reserve = Reserve(backend, randomness)
    backend = reserve.backend()
    locator = key.locator_key
    keeper = None if isinstance(key, LocatorKey) else key.keeper_key
    folder = open_state_folder(state / identity)
    memory = SeenStates(folder.folder, backend.location())
    index_register = Register(backend, "index", locator.frame, NoMemory(), randomness)
    index_store = IndexStore(backend, locator.frame, randomness)
    aside = DamagedPacks(backend, locator.frame, randomness)
    index = VaultIndex(index_register, index_store, folder.folder, StoredPacks(backend, locator.frame), aside.read)
    return VaultParts(
        backend=backend,
        reserve=reserve,
        identity=identity,
        writer_key=key if isinstance(key, WriterKey) else None,
        keeper_key=keeper,
        locator=locator,
        clock=clock,
        randomness=randomness,
        state=folder,
        memory=memory,
        index_register=index_register,
        index_store=index_store,
        index=index,
        aside=aside,
        slots=Slots(backend, locator, memory, randomness),
        roots=None if keeper is None else Roots(Register(backend, "roots", keeper.roots, memory, randomness)),
        reader=ObjectReader(backend, locator, index),
    )
