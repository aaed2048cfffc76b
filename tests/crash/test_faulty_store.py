import os
import random
import shutil
from pathlib import Path

import pytest
from tests.places import PLACES, InBucket, InMemory, Place
from tests.torture import scaled

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, MutableDirectoryWrite
from tallac.errors import TallacError
from tallac.interfaces import Backend
from tallac.testing.determinism import SeededRandomness
from tallac.testing.faulty_backend import Fault, FaultyBackend, Operation
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.keys import WriterKey
from tallac.vault.vault import Vault, create_vault, open_vault

SEEDS = 500
CHUNK = 50
SHARDS = 20
SEEDS_A_SHARD = 1_000


def tree(seed: int) -> Tree:
    """Make up a small tree; much of it is in every other one too."""
    chance = random.Random(seed)
    shared = {b"%d" % number: noise(number, 2_000 + number) for number in range(5)}
    changed = {b"x%d" % number: noise(chance.randrange(1 << 30), chance.randrange(3_000)) for number in range(3)}
    return {**shared, b"d": {**changed, b"text": b"%d " % chance.randrange(4) * 100}}


def fresh(backend: Backend, key: WriterKey, folder: Path) -> Vault:
    """Open as a client that has never seen the vault."""
    return open_vault(backend, key, state=folder / os.urandom(4).hex())


def snapshots(vault: Vault, target: MutableDirectoryWrite) -> dict[bytes, dict[bytes, object]]:
    """Read all snapshots."""
    archives = vault.read_directory(target.read_cap).get(b"Archives")
    assert archives is not None
    assert isinstance(archives.cap, DirectoryReadCap)
    return {
        entry.name: dict(read_tree(vault, entry.cap))
        for entry in vault.read_directory(archives.cap)
        if isinstance(entry.cap, DirectoryReadCap)
    }


def assert_right_or_an_error(folder: Path, seed: int, make_place: type[Place] = InMemory) -> None:
    """Back up four times through a store of which up to a tenth of all calls fail, and see what is there then."""
    place = make_place()
    backend = place.straight
    key = create_vault(backend, randomness=SeededRandomness(seed))
    target = create_target(fresh(backend, key, folder))
    assert isinstance(target, MutableDirectoryWrite)
    back_up(fresh(backend, key, folder), target, b"0", tree(seed))
    expected, possible = {b"0": dict(flatten(tree(seed)))}, {}
    chance = random.Random(seed)
    for number in range(1, 5):
        name, content = b"%d" % number, tree(seed + chance.randrange(3))
        faulty = place.rough(seed * 10 + number, chance.random() / 10)
        possible[name] = dict(flatten(content))
        try:
            # One folder for all, so that what one run believed, the next one finds.
            vault = open_vault(faulty, key, state=folder / "client", randomness=SeededRandomness(seed * 10 + number))
            back_up(vault, target, name, content)
            vault.close()
        except TallacError:
            continue
        expected[name] = possible[name]
    place.settle()
    reader = fresh(backend, key, folder)
    found = snapshots(reader, target)
    for name, whole in found.items():
        assert whole == (expected | possible)[name], seed
    assert set(expected) <= set(found), seed
    assert reader.check(target.read_cap, read_data=True).findings == [], seed
    structure = reader.check_structure(read_data=True)
    assert structure.is_healthy, (seed, structure.findings)
    shutil.rmtree(folder)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_right_or_an_error(states: Path, first: int) -> None:
    """With 0 to 10 % of all calls failing in any way, a backup is right or an error, and earlier snapshots stay whole."""
    for seed in range(first, first + CHUNK):
        assert_right_or_an_error(states / str(seed), seed)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_right_or_an_error_in_a_bucket(states: Path, first: int) -> None:
    """The same in an object store: its requests are dropped, answered to nobody, delayed and repeated, and its reads untrue."""
    for seed in range(first, first + CHUNK):
        assert_right_or_an_error(states / str(seed), seed, InBucket)


@pytest.mark.torture
@pytest.mark.parametrize("make_place", PLACES)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_often_right_or_an_error(states: Path, chance: random.Random, make_place: type[Place], shard: int) -> None:
    """The same, for 20,000 seeds in either."""
    for _ in range(scaled(SEEDS_A_SHARD)):
        seed = chance.getrandbits(48)
        assert_right_or_an_error(states / str(seed), seed, make_place)


@pytest.mark.parametrize("fault", [Fault.CUT_LISTING, Fault.STALE_LISTING])
def test_a_wrong_listing_only_costs(tmp_path: Path, fault: Fault) -> None:
    """Where a listing leaves packs out, what they hold is stored again; nothing is skipped wrongly, deleted or damaged (row 3)."""
    for seed in range(20):
        backend = MemoryBackend()
        key = create_vault(backend)
        target = create_target(fresh(backend, key, tmp_path))
        assert isinstance(target, MutableDirectoryWrite)

        def plan(operation: Operation, _name: str) -> Fault | None:
            return fault if operation is Operation.LIST else None

        # With one client throughout, a stale listing is that of the first time: of an empty vault.
        recording = RecordingBackend(backend)
        faulty = FaultyBackend(recording, plan, seed=seed)
        for number in range(4):
            back_up(open_vault(faulty, key, state=tmp_path / f"client {seed}"), target, b"%d" % number, tree(number))
        reader = fresh(backend, key, tmp_path)
        assert snapshots(reader, target) == {b"%d" % number: dict(flatten(tree(number))) for number in range(4)}
        assert reader.check(target.read_cap, read_data=True).findings == []
        assert reader.check_structure(read_data=True).is_healthy
        assert not [event for event in recording.writes if event.operation == "delete" and event.name.startswith("packs/")]


def test_a_lost_pack_behind_a_stale_listing(tmp_path: Path) -> None:
    """A listing that still shows a pack that is gone costs no earlier snapshot, and the next true listing heals it."""
    backend = MemoryBackend()
    key = create_vault(backend)
    stale: list[Fault] = []
    faulty = FaultyBackend(backend, lambda operation, _name: stale[0] if stale and operation is Operation.LIST else None)
    vault = fresh(faulty, key, tmp_path)
    target = create_target(vault)
    assert isinstance(target, MutableDirectoryWrite)
    back_up(vault, target, b"0", tree(0))
    list(faulty.list("packs/"))
    stale.append(Fault.STALE_LISTING)
    for item in list(backend.list("packs/")):
        backend.delete(item.name)
    back_up(vault, target, b"1", tree(0))
    assert not fresh(backend, key, tmp_path).check(target.read_cap, read_data=False).is_healthy
    back_up(fresh(backend, key, tmp_path), target, b"2", tree(0))
    healed = fresh(backend, key, tmp_path)
    assert snapshots(healed, target)[b"2"] == dict(flatten(tree(0)))
    assert healed.check(target.read_cap, read_data=True).findings == []
