"""Slots: signed, numbered states of the mutable directories. docs/format.md, "Slots", is the specification.

A slot's content is sealed under its read key and its links under its storage index, as in objects; the whole is sealed under the
vault's structure key, so that a store sees neither number nor size. A sealed copy of the slot's own verify cap, for keepers, lets
the roots be found again should the register of roots be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from tallac.caps import MutableDirectoryRead, MutableDirectoryVerify, MutableDirectoryWrite, MutableFormat
from tallac.crypto.hashing import hash_file_bytes, keyed, tag_key
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, open_sealed, seal_checked
from tallac.crypto.signing import SigningKey, is_signed_by
from tallac.dag import Entry, decode_table, encode_table
from tallac.errors import ConflictError, CorruptObjectError, DamageError, MalformedObjectError, MissingObjectError
from tallac.interfaces import Backend, PreparesPuts, Randomness, Version
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.header import list_objects
from tallac.vault.format.keys import KeeperKey, LocatorKey
from tallac.vault.format.links import links_of_entries
from tallac.vault.format.objects import object_name_of
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.mutable.conditional_put import Age, is_remembered, put_new, put_once, read_checked
from tallac.vault.mutable.registers import NO_PREDECESSOR, SWAPS_MAX, require_number
from tallac.vault.mutable.rollback import RollbackMemory

SLOT_PREFIX = "slots/"
ROOT_SIZE = 48

_SEED = tag_key("tallac vault 2 slot signing seed")
_FINGERPRINT = tag_key("tallac vault 2 slot fingerprint")
_CONTENT_KEY = tag_key("tallac vault 2 slot content key")
_LINKS_KEY = tag_key("tallac vault 2 slot links key")
_WRITE_CAPS_KEY = tag_key("tallac vault 2 slot write caps key")
_CONTEXT = b"slot" + bytes((FORMAT_VERSION,))


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A slot's inside.

    Attributes:
        number, predecessor: As in a register.
        public: The Ed25519 public key.
        root: The slot's storage index and fingerprint, sealed under the keeper key.
        content: The table of entries, compressed, sealed under the read key.
        links: Its links, sealed under the storage index.
        signature: Over all of the above and the storage index.
    """

    number: int
    predecessor: bytes
    public: bytes
    root: bytes
    content: bytes
    links: bytes
    signature: bytes


_decoder = msgspec.msgpack.Decoder(_Record)


def signing_key_of(writekey: bytes) -> SigningKey:
    """Derive the key that signs a slot's states."""
    return SigningKey(keyed(_SEED, writekey))


def fingerprint_of(public: bytes) -> bytes:
    """Return the fingerprint of a public key that a cap holds."""
    return keyed(_FINGERPRINT, public)


def make_write_cap(randomness: Randomness, mutable_format: MutableFormat = MutableFormat.SDMF) -> MutableDirectoryWrite:
    """Make up a new slot's write cap; nothing is stored."""
    writekey = randomness(16)
    return MutableDirectoryWrite(writekey, fingerprint_of(signing_key_of(writekey).public), mutable_format)


class SlotState(msgspec.Struct, frozen=True):
    """One state of a slot whose signature is right.

    Attributes:
        number: Counts the swaps, from 1.
        hash: BLAKE3 of the state as stored.
        version: The backend's token.
        root, content, links: Still sealed.
    """

    number: int
    hash: bytes
    version: Version
    root: bytes
    content: bytes
    links: bytes


class _Prepared(msgspec.Struct, frozen=True):
    """A state that the backend was given ahead of an edit.

    Attributes:
        before: The hash of the state that it follows.
        entries: The entries in it.
        sealed: The whole state.
    """

    before: bytes
    entries: list[Entry]
    sealed: bytes


class Slots:
    """All slots of one vault."""

    def __init__(self, backend: Backend, locator: LocatorKey, memory: RollbackMemory, randomness: Randomness) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._locator = locator
        self._memory = memory
        self._randomness = randomness
        self._codec = Codec()
        self._prepared: dict[str, _Prepared] = {}

    def path_of(self, storage_index: bytes) -> str:
        """Return the backend's name of a slot."""
        return SLOT_PREFIX + object_name_of(self._locator.naming, storage_index).hex()

    def read(self, cap: MutableDirectoryVerify, age: Age = Age.PRESENT) -> SlotState:
        """Read a slot's present state, or one that is no older than allowed, and check its signature.

        Raises:
            MissingObjectError: There is no such slot.
            CorruptObjectError: It is damaged, or signed by somebody else.
            RollbackDetectedError: This client has seen a later state.
        """
        path = self.path_of(cap.storage_index)
        state = read_checked(self._backend, path, self._memory, partial(self.state_of, cap), age)
        if state is None:
            raise MissingObjectError(
                f"the vault at {self._backend.location()} has no directory {cap}: it belongs elsewhere, or is lost"
            )
        return state

    def state_of(self, cap: MutableDirectoryVerify, sealed: bytes, version: Version = b"") -> SlotState:
        """Read a state that was got from somewhere, and check its signature; it is not compared with what this client has seen.

        Raises:
            CorruptObjectError: It is damaged, or signed by somebody else.
        """
        path = self.path_of(cap.storage_index)
        record = self._open(path, sealed)
        is_own = fingerprint_of(record.public) == cap.fingerprint
        if not is_own or not is_signed_by(record.public, record.signature, _signed(record, cap.storage_index)):
            raise CorruptObjectError(f"{path} in {self._backend.location()} is not signed by the holder of its write cap")
        return SlotState(record.number, hash_file_bytes(sealed), version, record.root, record.content, record.links)

    def entries(
        self, cap: MutableDirectoryRead, write: MutableDirectoryWrite | None = None, age: Age = Age.PRESENT
    ) -> tuple[list[Entry], SlotState]:
        """Read a mutable directory; with its write cap, the children's write caps are opened too.

        Raises:
            As `read` does.
        """
        state = self.read(cap.verify_cap, age)
        plain = open_sealed(_content_key(cap.readkey), state.content, _CONTEXT)
        entries = decode_table(unpad_plain(plain, self._codec, 0))
        if links_of_entries(entries) != self.links(cap.verify_cap, state):
            raise CorruptObjectError("a slot's links are not those of its content")
        if write is None:
            return [_without_write(entry) for entry in entries], state
        key = _write_caps_key(write.writekey)
        return [entry if entry.write is None else _with_write(entry, _opened(key, entry.write)) for entry in entries], state

    def links(self, cap: MutableDirectoryVerify, state: SlotState) -> bytes:
        """Open a state's links."""
        return open_sealed(keyed(_LINKS_KEY, cap.storage_index), state.links, _CONTEXT)

    def create(self, cap: MutableDirectoryWrite, keeper: KeeperKey, entries: Sequence[Entry] = ()) -> None:
        """Store a new directory, empty or with its first entries; durable when this returns."""
        verify = cap.read_cap.verify_cap
        root = seal_checked(keeper.roots, self._randomness(SALT_SIZE), verify.storage_index + verify.fingerprint, _CONTEXT)
        self._put(cap, list(entries), None, root)

    def edit(self, cap: MutableDirectoryWrite, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry]:
        """See `tallac.interfaces.CapEditor.edit_directory`."""
        path = self.path_of(cap.read_cap.verify_cap.storage_index)
        for turn in range(SWAPS_MAX):
            age = Age.ANY if turn == 0 and is_remembered(self._backend, path) else Age.PRESENT
            entries, state = self.entries(cap.read_cap, cap, age)
            edited = sorted(edit(entries), key=lambda entry: entry.name)
            if edited == entries and age is Age.ANY:
                continue  # What no swap proves is to be read.
            if edited == entries:
                return edited
            try:
                self._put(cap, edited, state, state.root)
            except ConflictError:
                continue
            return edited
        raise ConflictError(f"the directory {cap} was changed by others {SWAPS_MAX} times in a row: try again")

    def prepare(self, cap: MutableDirectoryWrite, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry] | None:
        """See `tallac.interfaces.PreparesEdits.prepare_edit`."""
        backend, path = self._backend, self.path_of(cap.read_cap.verify_cap.storage_index)
        if not isinstance(backend, PreparesPuts) or not backend.prepares_puts or not is_remembered(backend, path):
            return None
        entries, state = self.entries(cap.read_cap, cap, Age.ANY)
        edited = sorted(edit(entries), key=lambda entry: entry.name)
        if edited != entries:
            sealed = self._sealed(cap, edited, state, state.root)
            self._prepared[path] = _Prepared(state.hash, edited, sealed)
            backend.prepare(path, sealed)
        return edited

    def open_root(self, path: str, keeper: KeeperKey) -> MutableDirectoryVerify:
        """Return the verify cap of the slot at a path, for a keeper, who knows nothing else of it.

        Raises:
            CorruptObjectError: The slot is damaged.
        """
        found = self._backend.get_versioned(path)
        if found is None:
            raise MissingObjectError(f"{path} is missing")
        root = open_sealed(keeper.roots, self._open(path, found[0]).root, _CONTEXT)
        if len(root) != ROOT_SIZE or self.path_of(root[:16]) != path:
            raise MalformedObjectError(f"{path} in {self._backend.location()} does not follow the format")
        return MutableDirectoryVerify(root[:16], root[16:])

    def seen_paths(self) -> list[str]:
        """Return the names of all slots that this client has ever seen. No slot is ever deleted."""
        return self._memory.known(SLOT_PREFIX)

    def number_in(self, path: str, sealed: bytes) -> int:
        """Return the number of a state of the slot at a path; the signature is not checked.

        Raises:
            CorruptObjectError: It is damaged.
        """
        return self._open(path, sealed).number

    def all_roots(self, keeper: KeeperKey, paths: Iterable[str] | None = None) -> list[MutableDirectoryVerify]:
        """Read the roots from the slots themselves, for when their register is lost; damaged slots are left out.

        The slots are listed, unless somebody has just done so.
        """
        roots = []
        for path in paths if paths is not None else [item.name for item in list_objects(self._backend, SLOT_PREFIX)]:
            with suppress(DamageError):
                roots.append(self.open_root(path, keeper))
        return roots

    def _put(self, cap: MutableDirectoryWrite, entries: list[Entry], state: SlotState | None, root: bytes) -> None:
        path = self.path_of(cap.read_cap.verify_cap.storage_index)
        # Once: what is put again after an error is another state, whatever became of the first one.
        prepared = self._prepared.pop(path, None)
        if prepared is not None and state is not None and (prepared.before, prepared.entries) == (state.hash, entries):
            sealed = prepared.sealed
        else:
            sealed = self._sealed(cap, entries, state, root)
        if state is None:
            put_new(self._backend, path, sealed)
        else:
            put_once(self._backend, path, sealed, state.version)
        self._memory.remember(path, 1 if state is None else state.number + 1, hash_file_bytes(sealed))

    def _sealed(self, cap: MutableDirectoryWrite, entries: list[Entry], state: SlotState | None, root: bytes) -> bytes:
        """Return the state that follows another one, as it is stored."""
        verify = cap.read_cap.verify_cap
        write_key = _write_caps_key(cap.writekey)
        table = encode_table(
            [
                entry
                if entry.write is None
                else _with_write(entry, seal_checked(write_key, self._randomness(SALT_SIZE), entry.write, _CONTEXT))
                for entry in entries
            ]
        )
        # A table that no reader takes would be the end of the directory.
        decode_table(table)
        links = links_of_entries(entries)
        plain = pad_plain(table, self._codec, 0)
        record = _Record(
            1 if state is None else state.number + 1,
            NO_PREDECESSOR if state is None else state.hash,
            signing_key_of(cap.writekey).public,
            root,
            seal_checked(_content_key(cap.read_cap.readkey), self._randomness(SALT_SIZE), plain, _CONTEXT),
            seal_checked(keyed(_LINKS_KEY, verify.storage_index), self._randomness(SALT_SIZE), links, _CONTEXT),
            b"",
        )
        signature = signing_key_of(cap.writekey).sign(_signed(record, verify.storage_index))
        inside = pad_plain(msgspec.msgpack.encode(msgspec.structs.replace(record, signature=signature)), self._codec, SEAL_OVERHEAD)
        require_number(record.number)
        path = self.path_of(verify.storage_index)
        return seal_checked(self._locator.structure_key, self._randomness(SALT_SIZE), inside, _CONTEXT + path.encode())

    def _open(self, path: str, sealed: bytes) -> _Record:
        try:
            opened = open_sealed(self._locator.structure_key, sealed, _CONTEXT + path.encode())
            inside = unpad_plain(opened, self._codec, SEAL_OVERHEAD)
            record = _decoder.decode(inside)
            require_number(record.number)
            if len(record.predecessor) != len(NO_PREDECESSOR) or msgspec.msgpack.encode(record) != inside:
                raise MalformedObjectError("it does not follow the format")
            return record
        except msgspec.MsgspecError:
            raise MalformedObjectError(f"{path} in {self._backend.location()} does not follow the format") from None
        except CorruptObjectError as error:
            raise type(error)(f"{path} in {self._backend.location()} is damaged: {error}") from None


def _content_key(readkey: bytes) -> bytes:
    return keyed(_CONTENT_KEY, readkey)


def _write_caps_key(writekey: bytes) -> bytes:
    return keyed(_WRITE_CAPS_KEY, writekey)


def _opened(key: bytes, sealed: bytes) -> bytes:
    """Open an entry's write cap; where it does not open, which is damage of this entry alone, the text is empty, and so no cap."""
    try:
        return open_sealed(key, sealed, _CONTEXT)
    except CorruptObjectError:
        return b""


def _with_write(entry: Entry, write: bytes | None) -> Entry:
    return Entry(entry.name, entry.encoded, entry.metadata, write)


def _without_write(entry: Entry) -> Entry:
    return entry if entry.write is None else _with_write(entry, None)


def _signed(record: _Record, storage_index: bytes) -> bytes:
    """Return the bytes that a state's signature covers."""
    head = [record.number, record.predecessor, record.public, record.root, record.content, record.links]
    return _CONTEXT + storage_index + msgspec.msgpack.encode(head)
