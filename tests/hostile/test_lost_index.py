"""The index is lost, and beside the packs lies what somebody has added (SECURITY 1a): nobody vouches for what nobody has proved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.caps import MutableDirectoryWrite
from tallac.crypto.hashing import hash_file_bytes
from tallac.interfaces import Buffer, Expect, Version
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.check.options import CheckOptions
from tallac.vault.check.vault_check import check_vault
from tallac.vault.format.footers import decode_body, names_in
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions
from tallac.vault.vault import Vault, create_vault, open_vault

TREE: Tree = {b"a": noise(1, 30_000), b"d": {b"e": noise(2, 5_000), b"large": noise(3, 1_200_000)}}
MORE: Tree = {**TREE, b"more": noise(4, 400)}


class FarBackend(ForwardingBackend):
    """A backend that is slow to answer, as far as anybody is told."""

    uploads_max = 2
    read_size = 1 << 20

    def put_new(self, name: str, data: Buffer) -> Version:
        """See `tallac.interfaces.HighLatencyBackend`."""
        return self.put(name, data, expect=Expect.ABSENT)

    def has_cached(self, name: str) -> bool:
        """See `tallac.interfaces.HighLatencyBackend`."""
        return False

    def get_cached(self, name: str) -> tuple[bytes, Version] | None:
        """See `tallac.interfaces.HighLatencyBackend`."""
        raise AssertionError("there is none")


class Place:
    """A vault in memory with a snapshot by one machine, the right packs, and copies of their footers behind noise."""

    def __init__(self, folder: Path) -> None:
        self.backend = MemoryBackend()
        self.key = create_vault(self.backend)
        self._folder = folder
        with self.open("one") as vault:
            target = create_target(vault)
            assert isinstance(target, MutableDirectoryWrite)
            self.target = target
            self.snapshot = back_up(vault, target, b"1", TREE)
        self.made = {bytes.fromhex(item.name[6:]) for item in self.backend.list("packs/")}
        self.forged = set()
        for item in list(self.backend.list("packs/")):
            whole = self.backend.get(item.name)
            forged = noise(item.size, item.size // 3) + whole[item.size // 3 :]
            self.forged.add(hash_file_bytes(forged))
            self.backend.put(pack_path(hash_file_bytes(forged)), forged)

    def open(self, machine: str, *, is_far: bool = False) -> Vault:
        """Open on a machine, by its name."""
        backend = FarBackend(self.backend) if is_far else self.backend
        return open_vault(backend, self.key, state=self._folder / machine)

    def vouched(self) -> set[bytes]:
        """Give the packs that the index names, in index objects that bear the stamp of a writer or keeper."""
        with self.open("a reader of the index") as vault:
            state = vault.components.index_register.read()
            names = names_in(None if state is None else state.text)
            return {pack.name for name in names for pack in vault.components.index_store.get(name)}

    def back_up(self, machine: str, *, is_far: bool = False) -> None:
        """Back up on a machine."""
        with self.open(machine, is_far=is_far) as vault:
            back_up(vault, self.target, machine.encode(), MORE)

    def prune(self) -> None:
        """Prune on a machine that has never seen the vault."""
        with self.open("a keeper") as vault:
            Prune(vault.components, PruneOptions(unused_max=0)).run()

    def repair(self) -> None:
        """Repair on a machine that has never seen the vault, without reading the packs that the index has."""
        with self.open("a repairer") as vault:
            Repair(vault.components, RepairOptions(is_quick=True)).run([])

    def require_whole(self) -> None:
        """Require that the snapshot comes back on a new machine, and that a check finds nothing."""
        with self.open("a new machine") as vault:
            assert dict(read_tree(vault, self.snapshot)) == dict(flatten(TREE))
            assert [each.message for each in check_vault(vault.components, None, CheckOptions()).findings if each.damaged] == []


def _register(backend: MemoryBackend) -> None:
    backend.delete("registers/index")


def _spoilt_register(backend: MemoryBackend) -> None:
    backend.put("registers/index", noise(9, 200))


def _objects(backend: MemoryBackend) -> None:
    for item in list(backend.list("index/")):
        backend.put(item.name, noise(item.size, item.size))


@pytest.fixture(params=[_register, _spoilt_register, _objects], ids=["register", "spoilt register", "objects"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Make a vault whose index is lost."""
    place = Place(tmp_path)
    lose: Callable[[MemoryBackend], None] = request.param
    lose(place.backend)
    return place


def test_a_backup_vouches_for_what_is_proved(place: Place) -> None:
    """A backup makes the index anew of the packs that it has read or made itself, and passes over the others."""
    place.back_up("two")
    assert place.vouched() >= place.made
    assert place.vouched().isdisjoint(place.forged)
    place.require_whole()


def test_where_packs_are_not_read_a_backup_vouches_for_its_own(place: Place) -> None:
    """On a far store another machine's packs are left to that machine, whose next backup enters them again."""
    place.back_up("two", is_far=True)
    assert place.vouched().isdisjoint(place.forged | place.made)
    place.require_whole()
    place.back_up("one", is_far=True)
    assert place.vouched() >= place.made
    assert place.vouched().isdisjoint(place.forged)
    place.require_whole()


@pytest.mark.parametrize("deed", [Place.prune, Place.repair], ids=["prune", "repair"])
def test_keepers_vouch_for_what_they_have_read(place: Place, deed: Callable[[Place], None]) -> None:
    """A prune and a repair read what they put their stamp on."""
    deed(place)
    assert place.vouched() == place.made
    place.require_whole()
    place.prune()
    place.require_whole()


def test_a_check_counts_no_copied_footer(tmp_path: Path) -> None:
    """All packs with files and the index are lost: a check says so, though there are footers for all that is missing."""
    place = Place(tmp_path)
    with place.open("a checker") as vault:
        for pack in StoredPacks(place.backend, vault.components.structure).footers(
            {name: _size(place, name) for name in place.made}
        ):
            if not any(each.links_length for each in decode_body(pack.body)):
                place.backend.delete(pack_path(pack.name))
        _register(place.backend)
        report = check_vault(vault.components, None, CheckOptions())
    damaged = [each.message for each in report.findings if each.damaged]
    assert any("has no copy that is whole" in message for message in damaged)


def _size(place: Place, name: bytes) -> int:
    return len(place.backend.get(pack_path(name)))
