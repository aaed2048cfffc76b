"""The vault as a `Grid`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tallac.caps import (
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    FileWriteCap,
    ImmutableDirectory,
    LiteralDirectory,
    MutableDirectoryRead,
    MutableDirectoryWrite,
    MutableFormat,
)
from tallac.clock import SystemClock
from tallac.dag import Entry, EntryList
from tallac.errors import AuthorityError, ConflictError, StoreError, StoreFullError, VaultNotFoundError
from tallac.interfaces import (
    Announce,
    Backend,
    BinaryReader,
    CheckProgress,
    CheckReport,
    Clock,
    Directory,
    DistantBackend,
    FileContent,
    FileReader,
    ForkableBackend,
    HighLatencyBackend,
    ObjectCache,
    Randomness,
    StoredObject,
    WorkerRecipe,
)
from tallac.interfaces.compressing import Compression
from tallac.vault.components import VaultComponents
from tallac.vault.distance import ask_anew
from tallac.vault.format.header import HEADER_NAMES, Header, prove, read_header, write_header
from tallac.vault.format.keys import KeeperKey, LocatorKey, WriterKey, make_writer_key
from tallac.vault.format.links import require_issued
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.format.tables import TableDirectory
from tallac.vault.mutable.pending_deletions import NO_PENDING_DELETIONS
from tallac.vault.mutable.registers import REGISTER_PREFIX, Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.slot_contents import require_directory
from tallac.vault.reading.files import VaultFiles
from tallac.vault.reserve import RESERVE_PREFIX, Reserve

if TYPE_CHECKING:
    from tallac.vault.reading.stored_sizes import StoredSizesTable
    from tallac.vault.writing.mutable_files import MutableFiles
    from tallac.vault.writing.session import VaultSession

_MADE_FIRST = {f"{REGISTER_PREFIX}roots", f"{REGISTER_PREFIX}index", *HEADER_NAMES}


def create_vault(backend: Backend, *, key: WriterKey | None = None, randomness: Randomness = os.urandom) -> WriterKey:
    """Make a vault in an empty place; durable when this returns. The key that is returned is the only one there is.

    Who gives a key, made before and kept already, may call this again after it was interrupted: it goes on where it was.

    Raises:
        VaultNotFoundError: Something else is there already.
        CorruptObjectError, AuthorityError: What is there was made with another key.
    """
    present = {item.name for item in backend.list("") if not item.name.startswith(RESERVE_PREFIX)}
    if present and (key is None or not present <= _MADE_FIRST):
        raise VaultNotFoundError(f"{backend.location()} is not empty: a new vault needs an empty folder")
    key = key or make_writer_key(randomness)
    try:
        # The header comes last: what has one is whole.
        structure = Structure(key, Signers.of(key))
        for name, secret in (("roots", key.keeper_key.roots), ("index", structure.secret)):
            Register(backend, name, secret, structure, NoMemory(), randomness).swap(lambda text: None if text == b"" else b"")
        begun = present.intersection(HEADER_NAMES)
        if begun:
            prove(read_header(backend), key, backend.location())
        write_header(backend, Header.of(key), except_for=begun)
    except ConflictError:
        raise VaultNotFoundError(f"{backend.location()} is not empty: another vault was created there meanwhile") from None
    Reserve(backend, randomness).fit(0)
    return key


def open_vault(
    backend: Backend,
    key: WriterKey | KeeperKey | LocatorKey,
    *,
    state: Path,
    header: Header | None = None,
    clock: Clock | None = None,
    randomness: Randomness = os.urandom,
    client: Callable[[], str] = lambda: "",
    cache: ObjectCache | None = None,
) -> Vault:
    """Open a vault with one of its keys, once the key has proved that it is one.

    Args:
        backend: Where it is.
        key: What the caller may do with it.
        state: A folder for the index copy and for what this machine has seen; made where missing. Losing it costs time, and the
            protection from a vault that was rolled back.
        header: The vault's, where it was read just now.
        clock: The time; a test bends it.
        randomness: Likewise.
        client: Gives what people call this machine: who waits for its sessions sees it.
        cache: Keeps directories, and lists of large files, on this machine; checks do without.

    Raises:
        VaultNotFoundError, UnsupportedFormatError, CorruptObjectError: There is no vault that this Tallac can use.
        AuthorityError: The key is none of this vault's; nothing was remembered.
    """
    header = header or read_header(backend)
    return Vault(VaultComponents(backend, header, key, state, clock or SystemClock(), randomness, client, cache))


class Vault:
    """See `tallac.interfaces.Grid`. Not thread-safe.

    Attributes:
        components: For the jobs on a vault as a whole: `Prune`, `Repair`, `check_vault` and `vault_stats` take them.
    """

    # A listing reads directories and no more: what writes, checks, measures and starts workers is imported where it is used.

    def __init__(self, components: VaultComponents) -> None:
        """Use `open_vault`."""
        self.components = components
        self._files = VaultFiles(components.reader_with_index, components.slots)
        self._sizes: StoredSizesTable | None = None

    @property
    def identity(self) -> str:
        """See `tallac.interfaces.Grid`: the vault's 32 hexadecimal digits."""
        return self.components.identity

    # Reading

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        """See `tallac.interfaces.CapReader`."""
        return self._files.open_file(cap)

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        """See `tallac.interfaces.FileReader`."""
        return self._files.read_small_files(encoded)

    def reader_recipe(self) -> WorkerRecipe[FileReader] | None:
        """See `tallac.interfaces.CapReader`."""
        components = self.components
        if isinstance(components.backend, HighLatencyBackend):
            return None
        from tallac.vault.reading.worker_reader import VaultReaderRecipe  # lazy import: see above
        from tallac.workers.task import can_be_sent  # lazy import: likewise

        # It reads the index for the first time, if nobody has.
        components.load_index()
        index = components.index
        recipe = VaultReaderRecipe(
            components.backend, components.locator.secret, index.run_paths(), index.absent_packs, index.pending
        )
        return recipe if can_be_sent(recipe) else None

    def announcer(self) -> Announce | None:
        """See `tallac.interfaces.AnnouncingReader`: of use where the store is behind a line."""
        components = self.components
        if not isinstance(components.backend, DistantBackend):
            return None
        from tallac.vault.reading.announced import AnnouncedFiles  # lazy import: see above

        components.load_index()
        index = components.index
        return AnnouncedFiles(components.backend, components.locator, index, index.packs()).announce

    def prepare_fork(self) -> bool:
        """See `tallac.interfaces.ForkableReader`."""
        backend = self.components.backend
        if not isinstance(backend, ForkableBackend) or not backend.may_be_forked():
            return False
        self.components.load_index()
        return True

    def read_directory(self, cap: DirectoryReadCap) -> Directory:
        """See `tallac.interfaces.CapReader`."""
        if isinstance(cap, LiteralDirectory):
            from tallac.dag.literal_table import decode_literal  # lazy import: few directories are in their caps

            return EntryList(decode_literal(cap.data))
        if isinstance(cap, MutableDirectoryRead):
            return EntryList(require_directory(self.components.slots.entries(cap)[0]))
        if not isinstance(cap, ImmutableDirectory):
            raise AuthorityError(f"{cap} can't be read from a vault: it belongs to another grid")
        require_issued(cap)
        return TableDirectory(self.components.reader_with_index(), NodeRef.root(cap))

    def sole_objects(self, caps: Mapping[bytes, int]) -> tuple[dict[bytes, int], list[bytes]]:
        """See `tallac.interfaces.StoredSizes`."""
        from tallac.vault.reading.stored_sizes import sole_objects  # lazy import: see above

        return sole_objects(caps)

    def objects_of(self, encoded: bytes) -> Sequence[StoredObject]:
        """See `tallac.interfaces.StoredSizes`."""
        from tallac.vault.reading.stored_sizes import objects_of  # lazy import: see above

        return objects_of(self.components.reader_with_index(), encoded)

    def stored_sizes(self, names: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
        """See `tallac.interfaces.StoredSizes`."""
        from tallac.vault.reading.stored_sizes import StoredSizesTable  # lazy import: see above

        self.components.reader_with_index()
        self._sizes = self._sizes or StoredSizesTable(self.components.index)
        return self._sizes.of(names)

    # Editing

    def create_directory(self, mutable_format: MutableFormat = MutableFormat.SDMF) -> DirectoryWriteCap:
        """See `tallac.interfaces.CapEditor`."""
        from tallac.vault.writing.mutable_files import create_slot  # lazy import: see above

        return create_slot(self.components, mutable_format)

    def edit_directory(self, cap: DirectoryWriteCap, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry]:
        """See `tallac.interfaces.CapEditor`. What leaves fewer entries may spend the reserve: so a full store can forget."""
        mutable, is_smaller = _require_mutable(cap), False

        def edit_directory(entries: list[Entry]) -> list[Entry]:
            nonlocal is_smaller
            left = edit(require_directory(entries))
            is_smaller = len(left) < len(entries)
            return left

        try:
            return self.components.slots.edit(mutable, edit_directory)
        except StoreFullError as error:
            if not is_smaller:
                raise
            try:
                with self.components.reserve.spending():
                    return self.components.slots.edit(mutable, edit_directory)
            except StoreFullError as again:
                again.is_refusal = error.is_refusal and again.is_refusal
                raise

    def prepare_edit(self, cap: DirectoryWriteCap, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry] | None:
        """See `tallac.interfaces.PreparesEdits`: of use where a put takes several waits."""
        return self.components.slots.prepare(_require_mutable(cap), lambda entries: edit(require_directory(entries)))

    def create_file(self, content: FileContent, mutable_format: MutableFormat = MutableFormat.SDMF) -> FileWriteCap:
        """See `tallac.interfaces.CapEditor`."""
        with self.session() as session:
            return self._mutable_files().create(session, content, mutable_format)

    def write_file(self, cap: FileWriteCap, content: FileContent, *, offset: int | None = None) -> None:
        """See `tallac.interfaces.CapEditor`."""
        with self.session() as session:
            self._mutable_files().write(session, cap, content, offset)

    def _mutable_files(self) -> MutableFiles:
        from tallac.vault.writing.mutable_files import MutableFiles  # lazy import: see above

        return MutableFiles(self.components, self._files)

    # Writing

    def choose_compression(self, compression: Compression | None) -> None:
        """See `tallac.interfaces.compressing.CompressingGrid`."""
        self.components.chosen_compression = compression

    @contextmanager
    def session(self) -> Iterator[VaultSession]:
        """See `tallac.interfaces.Grid`."""
        from tallac.vault.mutable.sessions import RegisteredSession, heartbeat, new_session_path  # lazy import: see above
        from tallac.vault.writing.session import VaultSession  # lazy import: see above

        components = self.components
        key = components.require_writer_key()
        components.end_dead_sessions()
        path = new_session_path(components.randomness)
        register = partial(
            RegisteredSession.register,
            components.backend,
            key.keeper_key.roots,
            components.structure,
            components.randomness,
            components.clock,
            components.client(),
            path,
        )
        begun: list[RegisteredSession] = []
        with components.own_sessions.noted(path):
            try:
                components.look(lambda: begun.append(register()))
                session = VaultSession(components, key, begun[0])
                with heartbeat(begun[0]):
                    yield session
                    session.confirm()
            except BaseException as error:
                # The error that led here is the one to report; a session that stays is ended by a later run here, or by a prune.
                with suppress(StoreError):
                    for registered in begun:
                        components.own_sessions.end_or_leave(registered, components.backend, error)
                raise
            finally:
                components.index.pending = NO_PENDING_DELETIONS
                ask_anew(components.backend)
            session.end()
            components.own_sessions.forget(path)
        if session.has_stored:
            components.fit_reserve()

    # Checking

    def check(self, cap: Cap, *, read_data: bool, progress: CheckProgress | None = None) -> CheckReport:
        """See `tallac.interfaces.CapChecker`."""
        from tallac.vault.check.below import check_below  # lazy import: see above

        return check_below(self.components, cap, read_data=read_data, progress=progress)

    def check_structure(self, *, read_data: bool, progress: CheckProgress | None = None) -> CheckReport:
        """See `tallac.interfaces.CapChecker`."""
        from tallac.vault.check.options import PackSubset  # lazy import: see above
        from tallac.vault.check.read_data_progress import ReadDataProgress  # lazy import: see above
        from tallac.vault.check.vault_check import structure_check  # lazy import: see above

        check = structure_check(self.components, progress)
        check.check(check.look(), ReadDataProgress(PackSubset(), self.components.state.folder) if read_data else None)
        return check.report

    def close(self) -> None:
        """See `tallac.interfaces.Grid`. What this machine has seen is remembered."""
        self.components.index.close()
        self.components.state.save(self.components.memory)

    def __enter__(self) -> Self:
        """Return this vault."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


def _require_mutable(cap: DirectoryWriteCap) -> MutableDirectoryWrite:
    if not isinstance(cap, MutableDirectoryWrite):
        raise AuthorityError(f"{cap} can't be changed in a vault: it belongs to another grid")
    return cap
