"""The vault as a `Grid`."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tallac.caps import (
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    ImmutableDirectory,
    ImmutableFile,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableDirectoryWrite,
    ReadCap,
)
from tallac.dag import Entry
from tallac.errors import AuthorityError, ConflictError, DamageError, FencedError, NotAVaultError
from tallac.interfaces import Backend, BinaryReader, CapWriter, CheckReport, Clock, Directory, Randomness
from tallac.vault.checking import CapCheck, Progress
from tallac.vault.claims import Claims
from tallac.vault.files import VaultFile
from tallac.vault.frame import FrameCheck
from tallac.vault.header import Header, read_header, write_header
from tallac.vault.index import IndexStore, VaultIndex
from tallac.vault.keys import KeeperKey, LocatorKey, WriterKey
from tallac.vault.links import links_of_packed, require_issued
from tallac.vault.memory import NoMemory, RollbackMemory, SeenStates
from tallac.vault.objects import FORMAT_VERSION, NAME_SIZE
from tallac.vault.packs import StoredPacks
from tallac.vault.reading import ObjectReader
from tallac.vault.registers import Register
from tallac.vault.roots import Roots
from tallac.vault.sessions import RegisteredSession
from tallac.vault.slots import Slots, make_write_cap
from tallac.vault.state import open_state_folder
from tallac.vault.tables import EntriesDirectory, TableDirectory
from tallac.vault.trees import Child
from tallac.vault.writer import VaultWriter


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Give nanoseconds since 1970, UTC."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def read_identity(backend: Backend) -> str:
    """Give the identity of the vault at a location: 32 hexadecimal digits.

    Raises:
        NotAVaultError, NewerFormatError, CorruptObjectError: There is no vault that this Tallac can use.
    """
    return read_header(backend).identity


def create_vault(backend: Backend, *, randomness: Randomness = os.urandom) -> WriterKey:
    """Make a vault in an empty place; durable when this returns. The key that is returned is the only one there is.

    Raises:
        NotAVaultError: Something is there already.
    """
    if next(iter(backend.list("")), None) is not None:
        raise NotAVaultError(f"{backend.location()} is not empty: a new vault needs an empty folder")
    key = WriterKey(randomness(32))
    try:
        # The header comes last: what has one is whole.
        _register(backend, "roots", key.keeper_key.roots, NoMemory(), randomness).swap(lambda _: b"")
        _register(backend, "index", key.locator_key.frame, NoMemory(), randomness).swap(lambda _: b"")
        write_header(backend, Header(FORMAT_VERSION, randomness(16).hex()))
    except ConflictError:
        raise NotAVaultError(f"{backend.location()} is not empty: another vault was made there meanwhile") from None
    return key


def open_vault(
    backend: Backend,
    key: WriterKey | KeeperKey | LocatorKey,
    *,
    state: Path,
    clock: Clock | None = None,
    randomness: Randomness = os.urandom,
) -> Vault:
    """Open a vault with one of its keys.

    Args:
        backend: Where it is.
        key: What the caller may do with it.
        state: A folder for the index copy and for what this machine has seen; made where missing. Losing it costs time, and the
            protection from a vault that was rolled back.
        clock, randomness: As a test bends them.

    Raises:
        NotAVaultError, NewerFormatError, CorruptObjectError: There is no vault that this Tallac can use.
    """
    return Vault(backend, read_identity(backend), key, state, clock or SystemClock(), randomness)


class Vault:
    """See `tallac.interfaces.Grid`. Not thread-safe."""

    def __init__(
        self,
        backend: Backend,
        identity: str,
        key: WriterKey | KeeperKey | LocatorKey,
        state: Path,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Use `open_vault`. The local state is read at once, the vault as it is needed."""
        self.identity = identity
        self._backend = backend
        self._writer_key = key if isinstance(key, WriterKey) else None
        self._keeper_key = None if isinstance(key, LocatorKey) else key.keeper_key
        self._locator = key.locator_key
        self._clock = clock
        self._randomness = randomness
        self._state = open_state_folder(state / identity)
        self._memory = SeenStates(self._state.folder, backend.location())
        self._index_register = _register(backend, "index", self._locator.frame, NoMemory(), randomness)
        self._index_store = IndexStore(backend, self._locator.frame, randomness)
        self._index = VaultIndex(
            self._index_register, self._index_store, self._state.folder, StoredPacks(backend, self._locator.frame)
        )
        self._slots = Slots(backend, self._locator, self._memory, randomness)
        self._roots: Roots | None = None
        if self._keeper_key is not None:
            self._roots = Roots(_register(backend, "roots", self._keeper_key.roots, self._memory, randomness))
        self._reader = ObjectReader(backend, self._locator, self._index)
        self._has_index = False

    # Reading

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        """See `tallac.interfaces.CapReader`."""
        if isinstance(cap, LiteralFile):
            return io.BytesIO(cap.data)
        if not isinstance(cap, ImmutableFile):
            raise AuthorityError(f"{cap} can't be read from a vault: it belongs to another grid")
        require_issued(cap)
        self._require_index()
        return VaultFile(self._reader, Child(b"", cap.key + cap.hash, cap.size))

    def read_directory(self, cap: DirectoryReadCap) -> Directory:
        """See `tallac.interfaces.CapReader`."""
        if isinstance(cap, LiteralDirectory) and not cap.data:
            return EntriesDirectory([])
        if isinstance(cap, MutableDirectoryRead):
            return EntriesDirectory(self._slots.entries(cap)[0])
        if not isinstance(cap, ImmutableDirectory):
            raise AuthorityError(f"{cap} can't be read from a vault: it belongs to another grid")
        require_issued(cap)
        self._require_index()
        return TableDirectory(self._reader, Child(b"", cap.key + cap.hash, cap.size))

    # Editing

    def create_directory(self) -> DirectoryWriteCap:
        """See `tallac.interfaces.CapEditor`."""
        key = self._require_writer_key()
        assert self._roots is not None
        cap = make_write_cap(self._randomness)
        self._slots.create(cap, key.keeper_key)
        self._roots.add(cap.read_cap.verify_cap)
        return cap

    def edit_directory(self, cap: DirectoryWriteCap, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry]:
        """See `tallac.interfaces.CapEditor`."""
        return self._slots.edit(_require_mutable(cap), edit)

    def read_mutable_directory(self, cap: DirectoryWriteCap) -> list[Entry]:
        """Read a mutable directory together with its children's write caps."""
        cap = _require_mutable(cap)
        return self._slots.entries(cap.read_cap, cap)[0]

    # Writing

    @contextmanager
    def session(self) -> Iterator[VaultSession]:
        """See `tallac.interfaces.Grid`."""
        key = self._require_writer_key()
        registered = RegisteredSession.register(self._backend, key.keeper_key.roots, self._randomness, self._clock)
        try:
            yield VaultSession(self, key, registered)
        finally:
            registered.end()

    # Checking

    def check(self, cap: Cap, *, read_data: bool, progress: Progress | None = None) -> CheckReport:
        """See `tallac.interfaces.CapChecker`."""
        self._index.refresh()
        self._has_index = True
        self._index.look_at_packs()
        check = CapCheck(self._reader, self._slots, self._index, self._locator, read_data=read_data, progress=progress)
        check.check(cap)
        return check.report

    def check_frame(self, *, read_data: bool, progress: Progress | None = None) -> CheckReport:
        """See `tallac.interfaces.CapChecker`."""
        check = FrameCheck(
            self._backend,
            self.identity,
            self._locator,
            self._keeper_key,
            self._slots,
            self._roots,
            self._index_register,
            self._index_store,
        )
        check.check(read_data=read_data, progress=progress)
        return check.report

    def close(self) -> None:
        """See `tallac.interfaces.Grid`. What this machine has seen is remembered."""
        self._index.close()
        self._state.save(self._memory)

    def __enter__(self) -> Vault:
        """Give this vault."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def _require_index(self) -> None:
        if not self._has_index:
            self._index.refresh()
            self._has_index = True

    def _require_writer_key(self) -> WriterKey:
        if self._writer_key is None:
            raise AuthorityError(
                f"this needs the writer key of the vault at {self._backend.location()}; a weaker key is configured"
            )
        return self._writer_key


class VaultSession:
    """See `tallac.interfaces.Session`."""

    def __init__(self, vault: Vault, key: WriterKey, registered: RegisteredSession) -> None:
        """Begin after the session object is durable."""
        self._vault = vault
        self._key = key
        self._registered = registered
        self._quarantine = _register(vault._backend, "quarantine", key.keeper_key.roots, vault._memory, vault._randomness)
        self._quarantine_number = 0

    @contextmanager
    def writing(self) -> Iterator[CapWriter]:
        """See `tallac.interfaces.Session`."""
        vault, index = self._vault, self._vault._index
        self._look_at_quarantine()
        index.refresh()
        vault._has_index = True
        found = index.look_at_packs()
        if found:
            index.publish(found)
        with Claims() as claims:
            writer = VaultWriter(vault._backend, self._key, index, claims, vault._randomness)
            try:
                yield writer
            except BaseException:
                writer.abort()
                raise
            writer.publish()

    def commit(self, caps: Iterable[ReadCap]) -> None:
        """See `tallac.interfaces.Session`."""
        caps = list(caps)
        links = b"".join(links_of_packed(Entry.of(b"-", cap).packed) for cap in caps)
        self._registered.commit(links)
        before = self._quarantine_number
        self._look_at_quarantine()
        if self._quarantine_number != before:
            self._require_all(caps)

    def _look_at_quarantine(self) -> None:
        state = self._quarantine.read()
        self._quarantine_number = 0 if state is None else state.number
        text = b"" if state is None else state.text
        self._vault._index.quarantined = frozenset(text[at : at + NAME_SIZE] for at in range(0, len(text), NAME_SIZE))

    def _require_all(self, caps: list[ReadCap]) -> None:
        """Look up again everything that is about to be linked, since a prune has begun meanwhile."""
        for cap in caps:
            try:
                report = self._vault.check(cap, read_data=False)
            except DamageError as error:
                raise FencedError(f"{error}: a prune took it while this run was under way; run the command again") from error
            if not report.is_healthy:
                raise FencedError(f"{report.findings[0].what}: a prune took it while this run was under way; run the command again")


def _register(backend: Backend, name: str, key: bytes, memory: RollbackMemory, randomness: Randomness) -> Register:
    return Register(backend, name, key, memory, randomness)


def _require_mutable(cap: DirectoryWriteCap) -> MutableDirectoryWrite:
    if not isinstance(cap, MutableDirectoryWrite):
        raise AuthorityError(f"{cap} can't be changed in a vault: it belongs to another grid")
    return cap
