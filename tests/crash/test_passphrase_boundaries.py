"""Whenever a run that sets or changes a passphrase dies, a passphrase that was reported as set still opens all aliases."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tallac.backends.memory import MemoryBackend
from tallac.clock import SystemClock
from tallac.crypto.passphrases import PassphraseCost
from tallac.errors import WrongPassphraseError
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.determinism import SeededRandomness
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import EnvelopeKey, WriterKey
from tallac.vault.vault import create_vault, open_vault

CHEAP = PassphraseCost(memory_kib=64, passes=1, lanes=1)
SECRET = bytes(range(32))


class User:
    """Somebody with a vault key and an envelope, who makes aliases and changes passphrases through some backend."""

    def __init__(self, backend: Backend, key: WriterKey, seed: int) -> None:
        self._key = key
        header = read_header(backend)
        self._identity = header.identity
        randomness = SeededRandomness(seed)
        self.passphrases = Passphrases(backend, header.signers, randomness=randomness, clock=SystemClock(), cost=CHEAP)
        self._envelope_key = EnvelopeKey(SECRET, bytes.fromhex(self._identity))
        self._file = EnvelopeFile(backend, self._identity, self._envelope_key, randomness)

    def add(self, *names: str) -> None:
        """Put aliases behind the passphrases."""
        self._file.add(Envelope(self._key, frozenset((name, f"cap of {name}") for name in names)))

    def change(self, passphrase: str) -> None:
        """Set a passphrase in place of all others, as the command does."""
        replaced = self.passphrases.of(self._envelope_key)
        self.passphrases.add(passphrase, "label", self._envelope_key)
        for each in replaced:
            self.passphrases.remove(each.path)

    def names(self) -> set[str]:
        """Return the aliases that are in the envelope."""
        return {name for name, _ in self._file.read().aliases}

    def opens(self, passphrase: str) -> bool:
        """Whether a passphrase leads to the envelope."""
        with suppress(WrongPassphraseError):
            return self.passphrases.open(passphrase) == self._envelope_key
        return False


def make() -> tuple[MemoryBackend, WriterKey]:
    """Make a vault with a passphrase that was reported as set."""
    backend = MemoryBackend()
    key = create_vault(backend, randomness=SeededRandomness(1))
    user = User(backend, key, 2)
    user.add("home")
    user.change("old")
    return backend, key


def change(backend: Backend, key: WriterKey) -> None:
    """Make an alias, and change the passphrase."""
    user = User(backend, key, 3)
    user.add("home", "later")
    user.change("new")


def test_at_every_boundary(tmp_path: Path) -> None:
    """The old or the new passphrase opens; nothing counts as damage; the next run completes what was begun."""
    backend, key = make()
    counted = CrashingBackend(backend)
    change(counted, key)
    assert counted.boundaries > 10
    for boundary in range(counted.boundaries):
        backend, key = make()
        try:
            change(CrashingBackend(backend, boundary), key)
        except SimulatedCrash:
            user = User(backend, key, 4)
            assert user.opens("old") or user.opens("new"), boundary
            assert "home" in user.names()
            with open_vault(backend, key, state=tmp_path / str(boundary)) as vault:
                assert vault.check_structure(read_data=True).is_healthy, boundary
            user.add("home", "later")
            user.change("newest")
            assert (user.opens("old"), user.opens("new"), user.opens("newest")) == (False, False, True)
            assert user.names() == {"home", "later"}
            with open_vault(backend, key, state=tmp_path / str(boundary)) as vault:
                assert vault.check_structure(read_data=True).findings == []
        else:
            raise AssertionError(f"nothing died at boundary {boundary}")
