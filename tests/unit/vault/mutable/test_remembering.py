"""A vault over a backend that remembers what it was told: it asks less, and comes to the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.frugal_backend import CachingBackend
from tallac.testing.sample_vault import ARCHIVES, Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.conditional_put import put_new
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.vault import Vault, create_vault, open_vault

KEY = WriterKey(bytes(32))
STRUCTURE = Structure(KEY, Signers.of(KEY))


@pytest.fixture
def store() -> MemoryBackend:
    """Give what two clients share."""
    return MemoryBackend()


def register(store: MemoryBackend) -> tuple[Register, CachingBackend]:
    """Open a register as a client that remembers."""
    backend = CachingBackend(store, store)
    return Register(backend, "words", bytes(32), STRUCTURE, NoMemory(), SeededRandomness(1)), backend


def adder(word: bytes) -> Callable[[bytes | None], bytes]:
    """Give an edit that adds a word."""
    return lambda text: (text or b"") + word


def test_a_swap_need_not_be_read_before(store: MemoryBackend) -> None:
    """Who has written last swaps again without reading."""
    words, backend = register(store)
    words.swap(adder(b"one "))
    words.read()
    backend.asked.clear()
    words.swap(adder(b"two "))
    assert backend.asked == []
    state = words.read()
    assert state is not None
    assert state.text == b"one two "


def test_nobodys_swap_is_lost(store: MemoryBackend) -> None:
    """Two clients that remember former states swap in turn, and every word is there."""
    first, _ = register(store)
    second, _ = register(store)
    for words in (first, second):
        words.read()
    for number in range(10):
        (first, second)[number % 3 == 0].swap(adder(b"%d " % number))
    state = first.read()
    assert state is not None
    assert state.text == b"0 1 2 3 4 5 6 7 8 9 "


def test_an_edit_that_changes_nothing_is_not_believed_before_it_is_read(store: MemoryBackend) -> None:
    """What no swap proves is read: another client's change is seen."""
    first, _ = register(store)
    second, _ = register(store)
    first.swap(lambda _: b"before")
    first.read()
    second.swap(lambda _: b"after")
    state = first.swap(lambda text: None)  # noqa: ARG005 - it changes nothing.
    assert state is not None
    assert state.text == b"after"


def test_a_lost_answer_to_a_new_object_is_no_conflict(store: MemoryBackend) -> None:
    """Putting the same bytes again under a name of one's own succeeds."""
    _, backend = register(store)
    version = put_new(backend, "sessions/a", b"sealed")
    assert put_new(backend, "sessions/a", b"sealed") == version


def open_both(store: MemoryBackend, folder: Path) -> tuple[Vault, Vault]:
    """Make a vault and open it as two clients that remember."""
    key: WriterKey = create_vault(store, randomness=SeededRandomness(7))
    vaults = [open_vault(CachingBackend(store, store), key, state=folder / str(number), clock=FakeClock()) for number in range(2)]
    return vaults[0], vaults[1]


def test_two_clients_back_up_in_turn(store: MemoryBackend, tmp_path: Path) -> None:
    """Each sees what the other has entered meanwhile, and loses none of it."""
    first, second = open_both(store, tmp_path)
    target = create_target(first)
    trees: dict[bytes, Tree] = {b"%d" % number: {b"a": noise(number, 3000), b"same": noise(99, 500)} for number in range(6)}
    for number, (name, tree) in enumerate(trees.items()):
        back_up((first, second)[number % 2], target, name, tree)
    entries = second.edit_directory(target, lambda entries: entries)
    archives = next(entry.cap for entry in entries if entry.name == ARCHIVES)
    assert isinstance(archives, DirectoryReadCap)
    for entry in second.read_directory(archives):
        assert isinstance(entry.cap, DirectoryReadCap)
        assert dict(read_tree(first, entry.cap)) == dict(flatten(trees.pop(entry.name)))
    assert trees == {}
    for vault in (first, second):
        vault.close()
