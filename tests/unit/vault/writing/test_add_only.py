"""A client that may add and not delete does all that a backup does, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryWriteCap
from tallac.clock import SystemClock
from tallac.crypto.passphrases import PassphraseCost
from tallac.errors import StorePermissionError
from tallac.testing.add_only_backend import AddOnlyBackend
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import back_up, create_target, flatten, noise, read_tree
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import EnvelopeKey, WriterKey
from tallac.vault.index.loader import INDEX_OBJECTS_MAX
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import create_vault, open_vault

SNAPSHOTS = INDEX_OBJECTS_MAX + 3
"""So many that index objects are merged, which supersedes some."""


def tree(number: int) -> dict[bytes, bytes]:
    """Give what a snapshot holds."""
    return {b"file": noise(number, 3_000), b"same": noise(-1, 2_000)}


class Backed:
    """A vault in a store, the client that filled it through a narrower view of that store, and what it was refused meanwhile."""

    def __init__(self, state: Path) -> None:
        self.store = MemoryBackend()
        self.key: WriterKey = create_vault(self.store, randomness=SeededRandomness(1))
        self.client = AddOnlyBackend(self.store)
        self.target: DirectoryWriteCap
        with open_vault(self.client, self.key, state=state / "client", randomness=SeededRandomness(2)) as vault:
            self.target = create_target(vault)
            for number in range(SNAPSHOTS):
                back_up(vault, self.target, b"%03d" % number, tree(number))
        self.refused = tuple(self.client.refused)


@pytest.fixture(scope="module")
def backed(tmp_path_factory: pytest.TempPathFactory) -> Backed:
    """Fill a vault through a store that refuses deletions."""
    return Backed(tmp_path_factory.mktemp("add-only"))


def test_backups_need_no_deletion(backed: Backed, tmp_path: Path) -> None:
    """Every snapshot is whole, although sessions and merged index objects could not be deleted."""
    assert {message.split()[1].partition("/")[0] for message in backed.refused} == {"sessions", "index"}
    with open_vault(backed.store, backed.key, state=tmp_path / "state") as vault:
        report = vault.check_structure(read_data=True)
        assert report.is_healthy
        found = dict(read_tree(vault, backed.target.read_cap))
    for number in range(SNAPSHOTS):
        for path, content in flatten(tree(number)):
            assert found[b"Archives/%03d/%s" % (number, path)] == content


def test_the_keepers_prune_tidies_up(backed: Backed, tmp_path: Path) -> None:
    """Who may delete ends the sessions that were left behind, without waiting for them, and nothing in use is touched."""
    store = MemoryBackend(backed.store.snapshot())
    assert len(list(store.list("sessions/"))) == SNAPSHOTS
    with open_vault(store, backed.key.keeper_key, state=tmp_path / "keeper") as vault:
        Prune(vault.components, PruneOptions(fence_after_seconds=1e9)).run()
    assert list(store.list("sessions/")) == []
    with open_vault(store, backed.key, state=tmp_path / "state") as vault:
        found = dict(read_tree(vault, backed.target.read_cap))
    assert found[b"Archives/000/file"] == tree(0)[b"file"]


def test_such_a_client_can_not_prune(backed: Backed, tmp_path: Path) -> None:
    """A prune by the client is refused before any pack is gone."""
    store = MemoryBackend(backed.store.snapshot())
    with open_vault(AddOnlyBackend(store), backed.key, state=tmp_path / "client") as vault:
        vault.edit_directory(backed.target, lambda _: [])
        with pytest.raises(StorePermissionError):
            Prune(vault.components, PruneOptions(unused_max=0)).run()
    assert {item.name for item in backed.store.list("packs/")} <= {item.name for item in store.list("packs/")}


def test_what_was_cut_off_is_brought_back_with_the_older_state(backed: Backed, tmp_path: Path) -> None:
    """A client that empties its directories deletes nothing: with the slots' older versions, which the store keeps, all is back."""
    store = MemoryBackend(backed.store.snapshot())
    with open_vault(AddOnlyBackend(store), backed.key, state=tmp_path / "client") as vault:
        vault.edit_directory(backed.target, lambda _: [])
        assert list(vault.read_directory(backed.target.read_cap)) == []
    for item in list(store.list("slots/")):
        store.put(item.name, backed.store.get(item.name))
    with open_vault(store, backed.key, state=tmp_path / "state") as vault:
        found = dict(read_tree(vault, backed.target.read_cap))
    assert found[b"Archives/000/file"] == tree(0)[b"file"]


def test_passphrases_can_be_set_and_not_removed(backed: Backed) -> None:
    """Such a client can set a passphrase and let aliases come behind it, and can't take one away."""
    header = read_header(backed.store)
    identity = header.identity
    key, cost = EnvelopeKey(bytes(32), bytes.fromhex(identity)), PassphraseCost(memory_kib=64, passes=1, lanes=1)
    passphrases = Passphrases(backed.client, header.signers, randomness=SeededRandomness(3), clock=SystemClock(), cost=cost)
    file = EnvelopeFile(backed.client, identity, key, SeededRandomness(4))
    for name in ("one", "two"):
        file.add(Envelope(backed.key, frozenset({(name, "cap")})))
    path = passphrases.add("words", "label", key)
    with pytest.raises(StorePermissionError):
        passphrases.remove(path)
    assert passphrases.open("words") == key
    assert len(file.read().aliases) == 2
