"""Reads that another client on this machine overtakes: between the read and the comparison, it has seen a newer state."""

import os
from pathlib import Path

import pytest
from tests.remembering import remembering

from tallac.backends.local import LocalBackend
from tallac.backends.passing import ForwardingBackend
from tallac.errors import RollbackDetectedError
from tallac.interfaces import Backend, Version
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import SeenStates
from tallac.vault.mutable.slots import Slots, make_write_cap
from tallac.vault.vault import create_vault

PATH = "registers/roots"
OWN = WriterKey(bytes(32))
STRUCTURE = Structure(OWN, Signers.of(OWN))


class _Overtaken(ForwardingBackend):
    """Lets somebody else go on once a read has its answer."""

    overtaker: Register | None = None
    turns = 0

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        found = super().get_versioned(name)
        if self.overtaker is not None and self.turns:
            self.turns -= 1
            self.overtaker.swap(lambda text: (text or b"") + b".")
        return found


def _register(backend: Backend, seen: SeenStates) -> Register:
    return Register(backend, "roots", bytes(32), STRUCTURE, seen, os.urandom)


@pytest.fixture
def store(tmp_path: Path) -> LocalBackend:
    """Make a folder on a disk of this machine, where no state is ever remembered."""
    folder = tmp_path / "vault"
    folder.mkdir()
    backend = LocalBackend(folder)
    create_vault(backend)
    backend.delete(PATH)
    return backend


@pytest.mark.parametrize("turns", [1, 4])
@pytest.mark.parametrize("is_new", [False, True], ids=["newer", "first"])
def test_an_overtaken_read_gives_the_newer_state(store: LocalBackend, tmp_path: Path, turns: int, *, is_new: bool) -> None:
    """A read that was overtaken is made again; a store that goes back afterwards is refused all the same."""
    seen = SeenStates(tmp_path, "somewhere")
    other = _register(store, seen)
    if not is_new:
        other.swap(lambda _: b"one")
    overtaken = _Overtaken(store)
    overtaken.overtaker, overtaken.turns = other, turns
    state = _register(overtaken, seen).read()
    assert state is not None
    assert state == other.read()
    assert state.text.endswith(b"." * turns)
    older = store.get(PATH)
    other.swap(lambda _: b"two")
    store.put(PATH, older)
    with pytest.raises(RollbackDetectedError):
        _register(overtaken, seen).read()


def test_a_listing_that_others_overtake(store: LocalBackend, tmp_path: Path) -> None:
    """What was listed before another client on this machine has swapped is no rollback, and is asked for again."""
    seen = SeenStates(tmp_path, "somewhere")
    other = _register(store, seen)
    other.swap(lambda _: b"one")
    backend = remembering(store, store)
    register = _register(backend, seen)
    register.read()
    backend.look()
    other.swap(lambda _: b"two")
    state = register.read()
    assert state is not None
    assert state.text == b"two"


def test_an_overtaken_read_of_a_slot(store: LocalBackend, tmp_path: Path) -> None:
    """Mutable directories are read in the same way."""
    seen = SeenStates(tmp_path, "somewhere")
    keeper = WriterKey(bytes(32)).keeper_key
    locator = WriterKey(bytes(32)).locator_key
    cap = make_write_cap(os.urandom)
    Slots(store, locator, seen, os.urandom).create(cap, keeper)

    class Overtaken(ForwardingBackend):
        turns = 3

        def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
            found = super().get_versioned(name)
            if self.turns:
                self.turns -= 1
                newer = Slots(store, locator, seen, os.urandom)
                newer._put(cap, [], newer.read(cap.read_cap.verify_cap), b"")
            return found

    assert Slots(Overtaken(store), locator, seen, os.urandom).read(cap.read_cap.verify_cap).number == 4
