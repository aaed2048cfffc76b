"""The mutable objects of a vault and of its mirror, which may only go forward: registers and slots.

With the vault's keys their numbers are read. Without any key nobody can tell newer from older by looking; so the machine that
copies remembers what the mirror had, and refuses to bring it back to that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConflictError, DamageError, LocalStateError, RollbackDetectedError
from tallac.file_calls import REAL, FileCalls
from tallac.interfaces import Backend
from tallac.local_files import Durability, replace
from tallac.vault.format.header import list_objects
from tallac.vault.format.keys import KeeperKey, LocatorKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.pending_deletions import PENDING_PATH, PENDING_REGISTER
from tallac.vault.mutable.registers import REGISTER_PREFIX, Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.settings import SETTINGS_PATH, SETTINGS_REGISTER
from tallac.vault.mutable.slots import SLOT_PREFIX, Slots

INDEX_STATE = f"{REGISTER_PREFIX}index"
ROOTS_STATE = f"{REGISTER_PREFIX}roots"
# A slot comes before the roots that name it, and pending deletions before what may rely on what is deleted.
_ORDER = {INDEX_STATE: 0, PENDING_PATH: 1, ROOTS_STATE: 3}

READS_MAX = 10

_decoder = msgspec.json.Decoder(dict[str, list[str]])


def list_twice(backend: Backend, prefix: str) -> dict[str, int]:
    """Return the names and sizes that either of two listings shows: one may leave something out."""
    return {item.name: item.size for _ in range(2) for item in list_objects(backend, prefix)}


def read_states(backend: Backend) -> dict[str, bytes]:
    """Read all registers and slots, in the order in which a mirror takes them."""
    names = {INDEX_STATE, PENDING_PATH, ROOTS_STATE, SETTINGS_PATH, *list_twice(backend, SLOT_PREFIX)}
    found = {name: _read_twice(backend, name) for name in sorted(names, key=lambda name: (_ORDER.get(name, 2), name))}
    return {name: state for name, state in found.items() if state is not None}


def _read_twice(backend: Backend, name: str) -> bytes | None:
    """Read a state until the store gives the same twice in a row: without a key nothing else tells a bad read."""
    before = backend.get_versioned(name)
    for _ in range(READS_MAX):
        state, before = before, backend.get_versioned(name)
        if state == before:
            return None if state is None else state[0]
    raise ConflictError(f"{name} in {backend.location()} is another one each time it is read: copy again")


class Numbers:
    """Reads the numbers of states of registers and slots, as far as a key allows."""

    def __init__(self, backend: Backend, key: KeeperKey | LocatorKey | None, signers: Signers) -> None:
        """Use a key, and the signers of the vault; the backend is named in messages."""
        self._key = key
        self._registers: dict[str, Register] = {}
        if key is None:
            return
        memory, structure = NoMemory(), Structure(key, signers)
        self._slots = Slots(backend, key.locator_key, memory, os.urandom)
        for name in ("index", SETTINGS_REGISTER):
            self._registers[REGISTER_PREFIX + name] = Register(backend, name, structure.secret, structure, memory, os.urandom)
        if isinstance(key, KeeperKey):
            for name in ("roots", PENDING_REGISTER):
                self._registers[REGISTER_PREFIX + name] = Register(backend, name, key.roots, structure, memory, os.urandom)

    def number_of(self, name: str, content: bytes) -> int | None:
        """Return a state's number; None where the key does not open it.

        Raises:
            DamageError: The state is damaged.
        """
        if name in self._registers:
            return self._registers[name].decode(content).number
        if self._key is None or not name.startswith(SLOT_PREFIX):
            return None
        return self._slots.number_in(name, content)


class MirrorMemory:
    """The states that a mirror had, by their hashes, in a small file of the machine that copies."""

    def __init__(self, path: Path | None, calls: FileCalls = REAL) -> None:
        """Remember in a file, whose folder exists; None remembers nothing."""
        self._path = path
        self._calls = calls
        self._seen = self._load()

    def was(self, name: str, content: bytes) -> bool:
        """Whether the mirror had this state before."""
        return _short(content) in self._seen.get(name, [])

    def remember(self, states: Mapping[str, bytes]) -> None:
        """Remember what the mirror has now, durably.

        Raises:
            LocalStateError: The file can't be written.
        """
        for name, content in states.items():
            known = self._seen.setdefault(name, [])
            if _short(content) not in known:
                known.append(_short(content))
        if self._path is None:
            return
        try:
            replace(self._path, msgspec.json.encode(self._seen), Durability.FULL, calls=self._calls)
        except OSError as error:
            raise LocalStateError(f"can't write {self._path}: {error.strerror}") from error

    def _load(self) -> dict[str, list[str]]:
        if self._path is None:
            return {}
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise LocalStateError(f"can't read {self._path}: {error}; delete it to start its record anew") from error


def _short(content: bytes) -> str:
    return hash_file_bytes(content)[:16].hex()


class ForwardCheck:
    """Decides which states of a vault its mirror may take."""

    def __init__(
        self, source: Backend, mirror: Backend, key: KeeperKey | LocatorKey | None, signers: Signers, memory: MirrorMemory
    ) -> None:
        """Compare with the vault's key, or as far as memory goes without one."""
        self._source = Numbers(source, key, signers)
        self._mirror = Numbers(mirror, key, signers)
        self._memory = memory
        self._place = mirror.location()

    def require(self, name: str, content: bytes, mirrored: bytes | None) -> None:
        """Require that a state of the vault is newer than the mirror's, which is another one, or None.

        Raises:
            RollbackDetectedError: It is older, or neither follows from the other.
            DamageError: It is damaged.
        """
        number = self._source.number_of(name, content)
        if name == INDEX_STATE:
            return  # It can be made again from the packs at any time, and says nothing that they don't.
        if number is None:
            if mirrored is not None and self._memory.was(name, content):
                raise RollbackDetectedError(self._refusal(name))
            return
        try:
            last = 0 if mirrored is None else self._mirror.number_of(name, mirrored) or 0
        except DamageError:
            return  # A damaged state is healed by a whole one.
        if last >= number:
            raise RollbackDetectedError(self._refusal(name))

    def _refusal(self, name: str) -> str:
        return (
            f"the mirror at {self._place} has a newer state of {name} than the vault, or one of its own: the vault was rolled back "
            "to an older copy, or somebody changed the mirror. Nothing of it was replaced; copy from the newer one of the two"
        )
