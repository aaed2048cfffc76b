"""Registers: the vault's own mutable objects, got by name and never listed. docs/format.md, "Registers".

A register holds one text and a number that grows by one with each swap; it names its predecessor's hash. It is sealed under one of
the vault keys and stamped by a writer or a keeper, and a client that has seen a later state refuses an earlier one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

import msgspec

from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, open_sealed, seal_checked
from tallac.errors import ConflictError, CorruptObjectError, MalformedObjectError, RollbackDetectedError
from tallac.interfaces import Backend, Expect, Randomness, Version
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.format.structure import STAMP_SIZE, Structure
from tallac.vault.mutable.conditional_put import Age, is_remembered, put_once, read_checked
from tallac.vault.mutable.rollback import RollbackMemory

REGISTER_PREFIX = "registers/"
SWAPS_MAX = 1000
REWRITE_STEP = 1 << 20
NUMBER_MAX = (1 << 62) - 1
_HEAD = struct.Struct(">Q32s")
_PURPOSE = b"register"
NO_PREDECESSOR = bytes(32)


class State(msgspec.Struct, frozen=True):
    """One state of a register.

    Attributes:
        number: Counts the swaps, from 1, below 2^62.
        predecessor: BLAKE3 of the state before, as stored; zeros for the first.
        text: What it says.
        hash: BLAKE3 of this state, as stored.
        version: The backend's token.
    """

    number: int
    predecessor: bytes
    text: bytes
    hash: bytes
    version: Version


class Register:
    """One named register."""

    def __init__(
        self, backend: Backend, name: str, key: bytes, structure: Structure, memory: RollbackMemory, randomness: Randomness
    ) -> None:
        """Name a register; nothing is read yet. The key seals it, and the structure stamps it."""
        self.path = REGISTER_PREFIX + name
        self._backend = backend
        self._key = key
        self._structure = structure
        self._memory = memory
        self._randomness = randomness
        self._name = name.encode("ascii")
        self._context = _PURPOSE + bytes((FORMAT_VERSION,)) + self._name

    def read(self, age: Age = Age.PRESENT) -> State | None:
        """Read the present state, or one that is no older than allowed; None where nobody has written one.

        Raises:
            RollbackDetectedError: This client has seen a later state; LostStateError where there is none any more.
            CorruptObjectError: It is damaged, or somebody wrote it who may not.
        """
        return read_checked(self._backend, self.path, self._memory, self.decode, age)

    def decode(self, sealed: bytes, version: Version = b"") -> State:
        """Read a state that was got from somewhere; it is not compared with what this client has seen.

        Raises:
            CorruptObjectError: It is damaged, or somebody wrote it who may not.
        """
        try:
            plain = unpad_plain(open_sealed(self._key, sealed, self._context), Codec(), SEAL_OVERHEAD)
            if len(plain) < _HEAD.size + STAMP_SIZE:
                raise MalformedObjectError("it is cut short")
            number, predecessor = _HEAD.unpack_from(plain)
            stamp, text = plain[_HEAD.size : _HEAD.size + STAMP_SIZE], plain[_HEAD.size + STAMP_SIZE :]
            self._structure.check(_PURPOSE, self._stamped(number, predecessor, text), stamp)
            require_number(number)
        except CorruptObjectError as error:
            raise type(error)(f"the vault's {self.path} is damaged: {error}") from None
        return State(number, predecessor, text, hash_file_bytes(sealed), version)

    def swap(self, edit: Callable[[bytes | None], bytes | None]) -> State | None:
        """Read, edit and swap in; again where somebody else was faster. An edit that gives None leaves it as it is.

        The edit must be free of side effects, since it may be called again. Durable when this returns.
        """
        return self.swap_state(lambda state: edit(None if state is None else state.text))

    def renumber(self) -> State | None:
        """Swap in the same text under the next number. Durable when this returns."""
        return self.swap(lambda text: text or b"")

    def swap_state(self, edit: Callable[[State | None], bytes | None]) -> State | None:
        """Swap as `swap` does, where the edit depends on the number too."""
        for turn in range(SWAPS_MAX):
            age = Age.ANY if turn == 0 and is_remembered(self._backend, self.path) else Age.PRESENT
            state = self.read(age)
            text = edit(state)
            if text is None and age is Age.ANY:
                continue  # What no swap proves is to be read.
            if text is None:
                return state
            try:
                return self._put(state, text)
            except ConflictError:
                continue
        raise ConflictError(f"the vault's {self.path} was changed by others {SWAPS_MAX} times in a row: try again")

    def rewrite(self, text: bytes) -> None:
        """Put a text in place of a damaged or missing state, whatever its number was. Durable when this returns.

        The new number is far above all that this client has seen, and so above what any other client has.
        """
        found = self._backend.get_versioned(self.path)
        number = self._memory.highest(self.path)
        if found is not None:
            # One that is out of bounds, or that leaps, is what is being repaired.
            with suppress(CorruptObjectError, RollbackDetectedError):
                state = self.decode(*found)
                self._memory.check(self.path, state.number, state.hash)
                number = max(number, state.number)
        number += REWRITE_STEP
        if found is None:
            self._put(None, text, number)
        else:
            self._put(State(number, NO_PREDECESSOR, b"", hash_file_bytes(found[0]), found[1]), text)

    def _put(self, state: State | None, text: bytes, number: int = 1) -> State:
        predecessor = NO_PREDECESSOR
        if state is not None:
            number, predecessor = state.number + 1, state.hash
        require_number(number)
        stamp = self._structure.stamp(_PURPOSE, self._stamped(number, predecessor, text))
        plain = pad_plain(_HEAD.pack(number, predecessor) + stamp + text, Codec(), SEAL_OVERHEAD)
        sealed = seal_checked(self._key, self._randomness(SALT_SIZE), plain, self._context)
        version = put_once(self._backend, self.path, sealed, Expect.ABSENT if state is None else state.version)
        hashed = hash_file_bytes(sealed)
        self._memory.remember(self.path, number, hashed)
        return State(number, predecessor, text, hashed, version)

    def _stamped(self, number: int, predecessor: bytes, text: bytes) -> bytes:
        return self._name + b"\0" + _HEAD.pack(number, predecessor) + text


def require_number(number: int) -> None:
    """Require that a number can be one of a state.

    Raises:
        MalformedObjectError: It is out of bounds. Nobody gets there by editing: somebody has made it up.
    """
    if not 1 <= number <= NUMBER_MAX:
        raise MalformedObjectError("the number of its state is out of bounds")
