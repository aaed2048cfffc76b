"""The components of an open vault, wired together once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tallac.errors import AuthorityError
from tallac.interfaces import Backend, Clock, ObjectCache, Randomness, RemembersStates
from tallac.interfaces.compressing import Compression
from tallac.vault.format.footers import FinishedPack
from tallac.vault.format.header import Header, prove
from tallac.vault.format.keys import KeeperKey, LocatorKey, WriterKey
from tallac.vault.format.structure import Structure
from tallac.vault.index.index import LoadedWhenAsked, VaultIndex
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.index.own_packs import OwnPacks
from tallac.vault.local_state import open_state_folder, remember_header
from tallac.vault.mutable.pending_deletions import PENDING_PATH, PENDING_REGISTER
from tallac.vault.mutable.registers import REGISTER_PREFIX, Register
from tallac.vault.mutable.rollback import MemoryOfPlace, SeenStates
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import Slots
from tallac.vault.packs.damaged import DamagedPacks
from tallac.vault.packs.pack import StoredPacks
from tallac.vault.reading.object_reader import ObjectReader
from tallac.vault.reserve import Reserve

if TYPE_CHECKING:
    from tallac.vault.mutable.own_sessions import OwnSessions
    from tallac.vault.mutable.settings import Settings

SLOTS_READ_MAX = 16
"""So many slots that were seen before are read at the beginning of a session where a store lists no versions."""


class VaultComponents:
    """One open vault. The keys that its user lacks are None."""

    def __init__(
        self,
        backend: Backend,
        header: Header,
        key: WriterKey | KeeperKey | LocatorKey,
        state: Path,
        clock: Clock,
        randomness: Randomness,
        client: Callable[[], str] = lambda: "",
        cache: ObjectCache | None = None,
    ) -> None:
        """Wire a vault together, once the key has proved itself. Local state is read at once, the vault as it is needed.

        Raises:
            AuthorityError: The key is none of the vault that has this header.
        """
        prove(header, key, backend.location())
        self.reserve = Reserve(backend, randomness)
        self.backend = backend = self.reserve.backend()
        self.header = header
        self.identity = header.identity
        self.structure = structure = Structure(key, header.signers)
        self.client = client
        self.writer_key = key if isinstance(key, WriterKey) else None
        self.keeper_key = None if isinstance(key, LocatorKey) else key.keeper_key
        self.locator = locator = key.locator_key
        self.clock = clock
        self.randomness = randomness
        self.state = open_state_folder(state / self.identity)
        remember_header(self.state, header)
        self.memory = SeenStates.shared(state / self.identity, self.state.folder, backend.location())
        place_memory = MemoryOfPlace(self.memory, backend.location())
        self.index_register = Register(backend, "index", structure.secret, structure, place_memory, randomness)
        self.index_store = IndexStore(backend, structure, randomness)
        self.damaged_packs = DamagedPacks(backend, structure, randomness)
        self.index = VaultIndex(
            self.index_register,
            self.index_store,
            self.state.folder,
            StoredPacks(backend, structure),
            self.damaged_packs.read,
            # What the lost part named nobody knows, and once the index is whole again nobody sees that there was more: so what was
            # recorded before says nothing from then on, on any machine.
            before_mending=lambda: self.pending_register().renumber(),
        )
        self.slots = Slots(backend, locator, self.memory, randomness)
        self.roots: Roots | None = None
        if self.keeper_key is not None:
            self.roots = Roots(Register(backend, "roots", self.keeper_key.roots, structure, self.memory, randomness))
        self._place_memory = place_memory
        self.chosen_compression: Compression | None = None
        """How much this client compresses, if its user has said so; otherwise the settings tell."""
        self.own_packs = OwnPacks(self.state.folder)
        self.cache = cache
        self.reader = ObjectReader(backend, locator, self.index if cache is None else LoadedWhenAsked(self.index), cache=cache)

    @cached_property
    def own_sessions(self) -> OwnSessions:
        """The sessions that this machine's processes have begun."""
        from tallac.vault.mutable.own_sessions import OwnSessions  # lazy import: what only reads has no session

        return OwnSessions(self.state.folder, self.clock, is_kept=not self.state.is_temporary)

    def reader_with_index(self) -> ObjectReader:
        """Return the reader; the index is loaded first if nobody has, but where the reader may do without it."""
        if self.cache is None:
            self.load_index()
        return self.reader

    def load_index(self) -> None:
        """Load the index if nobody has."""
        if not self.index.is_loaded:
            self.index.refresh()

    def vouched(self, packs: list[FinishedPack], *, reads_others: bool) -> list[FinishedPack]:
        """Return those of some packs that may enter the index with this client's stamp.

        These are the ones that this machine has made and, with `reads_others`, those whose every byte is what their maker stamped.
        """
        own = self.own_packs.names()
        others = [pack for pack in packs if pack.name not in own]
        return [pack for pack in packs if pack.name in own] + (self.index.prove(others) if reads_others else [])

    @cached_property
    def settings(self) -> Settings:
        """The settings that the vault's writers go by."""
        # lazy import: only writers and checks look at them
        from tallac.vault.mutable.settings import SETTINGS_REGISTER, Settings

        secret, structure = self.structure.secret, self.structure
        return Settings(Register(self.backend, SETTINGS_REGISTER, secret, structure, self._place_memory, self.randomness))

    def compression(self) -> Compression:
        """Return how much a writer compresses. Raises as `Settings.compression`."""
        return self.settings.compression() if self.chosen_compression is None else self.chosen_compression

    def fit_reserve(self) -> None:
        """Bring the reserve to the size that the vault asks for, as far as there is room."""
        self.reserve.fit(sum(self.index.packs().values()))

    def look(self, beside: Callable[[], object]) -> None:
        """Look at once, where that can be done, at what a batch builds on. Raises as `RemembersStates.look`, also elsewhere.

        Args:
            beside: What is done beside that, or where nothing is looked at yet, at once.
        """
        if not isinstance(self.backend, RemembersStates):
            beside()
            return
        slots = islice(self.slots.seen_paths(), SLOTS_READ_MAX)
        self.backend.look((PENDING_PATH, self.index.register_path, f"{REGISTER_PREFIX}settings", *slots), beside)

    def require_writer_key(self) -> WriterKey:
        """Return the writer key.

        Raises:
            AuthorityError: Only a weaker key is configured.
        """
        if self.writer_key is None:
            raise self._lacks("writer key", "weaker")
        return self.writer_key

    def require_keeper_key(self) -> KeeperKey:
        """Return the keeper key.

        Raises:
            AuthorityError: Only a locator key is configured.
        """
        if self.keeper_key is None:
            raise self._lacks("keeper key", "locator")
        return self.keeper_key

    def require_roots(self) -> Roots:
        """Return the roots.

        Raises:
            AuthorityError: Only a locator key is configured.
        """
        if self.roots is None:
            raise self._lacks("keeper key", "locator")
        return self.roots

    def end_dead_sessions(self) -> None:
        """End in the vault what killed runs on this machine have left open. Takes the keeper key."""
        from tallac.vault.mutable.sessions import RegisteredSession  # lazy import: what only reads has no session

        key = self.require_keeper_key().roots
        self.own_sessions.end_dead(
            self.backend, partial(RegisteredSession.load, self.backend, key, self.structure, self.randomness)
        )

    def pending_register(self) -> Register:
        """Return the register that holds the pending deletions.

        Raises:
            AuthorityError: Only a locator key is configured.
        """
        key = self.require_keeper_key().roots
        return Register(self.backend, PENDING_REGISTER, key, self.structure, self.memory, self.randomness)

    def _lacks(self, needed: str, present: str) -> AuthorityError:
        return AuthorityError(
            f"this needs the {needed} of the vault at {self.backend.location()}; only a {present} key is configured"
        )
