"""Registers: sealed by whoever has the key, and believed only with the stamp of a writer or keeper."""

from __future__ import annotations

import os

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import CorruptObjectError
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory

KEY, STRANGER = WriterKey(bytes(range(32))), WriterKey(bytes(32))
SECRET = KEY.locator_key.structure_key


def register(backend: MemoryBackend, structure: Structure, name: str = "index") -> Register:
    """Give a register that is sealed with the vault's key."""
    return Register(backend, name, SECRET, structure, NoMemory(), os.urandom)


def test_only_writers_and_keepers_make_registers() -> None:
    """Another's signature, under the right seal, makes no register; the writer's and the keeper's do."""
    for key in (KEY, KEY.keeper_key):
        backend = MemoryBackend()
        register(backend, Structure(key, Signers.of(KEY))).swap(lambda _: b"text")
        state = register(backend, Structure(KEY.locator_key, Signers.of(KEY))).read()
        assert state is not None
        assert state.text == b"text"
    backend = MemoryBackend()
    register(backend, Structure(STRANGER, Signers.of(STRANGER))).swap(lambda _: b"text")
    with pytest.raises(CorruptObjectError, match="signature"):
        register(backend, Structure(KEY, Signers.of(KEY))).read()
