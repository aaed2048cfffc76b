"""The settings of a vault: what writers find there, who may change it, and what is made of what nobody can read."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec
import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import AuthorityError, MalformedObjectError
from tallac.interfaces.compressing import Compression
from tallac.vault.format.keys import LocatorKey, WriterKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.settings import Settings

KEY = WriterKey(bytes(range(32)))
SECRET = KEY.locator_key.structure_key


def register(backend: MemoryBackend, key: WriterKey | LocatorKey = KEY) -> Register:
    """Return the register, for who has a key."""
    return Register(backend, "settings", SECRET, Structure(key, Signers.of(KEY)), NoMemory(), os.urandom)


def test_without_settings_all_is_by_default() -> None:
    """A vault that has no such register compresses as ever, and setting what is the default stores none."""
    backend = MemoryBackend()
    settings = Settings(register(backend))
    assert settings.compression() is Compression.AUTO
    settings.set_compression(Compression.AUTO)
    assert list(backend.list("")) == []


@pytest.mark.parametrize("compression", list(Compression))
def test_others_find_what_was_set(compression: Compression) -> None:
    """Whoever has any key of the vault reads what was set last."""
    backend = MemoryBackend()
    Settings(register(backend)).set_compression(Compression.FAST)
    Settings(register(backend)).set_compression(compression)
    assert Settings(register(backend, KEY.locator_key)).compression() is compression


def test_a_locator_key_sets_nothing() -> None:
    """Who may only find objects can't tell writers what to do."""
    backend = MemoryBackend()
    with pytest.raises(AuthorityError):
        Settings(register(backend, KEY.locator_key)).set_compression(Compression.OFF)
    assert Settings(register(backend)).compression() is Compression.AUTO


def _put(backend: MemoryBackend, settings: Mapping[str, object]) -> None:
    register(backend).swap(lambda _: msgspec.msgpack.encode(settings))


def test_newer_settings_are_left_alone() -> None:
    """Keys that only a newer Tallac knows stay, in the order of their bytes; its values count as the default."""
    backend = MemoryBackend()
    _put(backend, {"another": "1", "compression": "brotli", "some": "2"})
    settings = Settings(register(backend))
    assert settings.compression() is Compression.AUTO
    settings.set_compression(Compression.MAX)
    state = register(backend).read()
    assert state is not None
    assert list(msgspec.msgpack.decode(state.text).items()) == [("another", "1"), ("compression", "max"), ("some", "2")]


def test_malformed_settings_are_named_and_emptied() -> None:
    """What is no map of texts is damage; a dry run of a repair tells what the repair does, which empties it."""
    backend = MemoryBackend()
    _put(backend, {"compression": 3})
    settings = Settings(register(backend))
    with pytest.raises(MalformedObjectError, match="registers/settings"):
        settings.compression()
    before = backend.snapshot()
    foretold = settings.repair(is_dry_run=True)
    assert backend.snapshot() == before
    assert settings.repair(is_dry_run=False) == foretold != []
    assert settings.compression() is Compression.AUTO
    assert settings.repair(is_dry_run=False) == []
