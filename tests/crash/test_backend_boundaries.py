import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.places import PLACES, InBucket, InMemory, Place

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, MutableDirectoryWrite
from tallac.dag import Entry
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.keys import WriterKey, make_writer_key
from tallac.vault.vault import Vault, create_vault, open_vault

FIRST: Tree = {b"a": noise(1, 100_000), b"d": {b"large": noise(2, 1_200_000), b"empty": {}}, b"same": b"same " * 100}
SECOND: Tree = {b"a": noise(3, 90_000), b"d": {b"large": noise(2, 1_200_000) + noise(4, 1000)}, b"same": b"same " * 100}
THIRD: Tree = {**SECOND, b"new": noise(5, 1000)}
Work = Callable[[Vault, MutableDirectoryWrite], object]


def fresh(backend: Backend, key: WriterKey, folder: Path, seed: int | None = None) -> Vault:
    """Open as a client that has never seen the vault; with a seed it does the same each time."""
    randomness = os.urandom if seed is None else SeededRandomness(seed)
    return open_vault(backend, key, state=folder / os.urandom(4).hex(), randomness=randomness)


def snapshot_work(vault: Vault, target: MutableDirectoryWrite) -> None:
    """Make a snapshot: store files and directories, commit, enter."""
    back_up(vault, target, b"2", SECOND)


def directory_work(vault: Vault, target: MutableDirectoryWrite) -> None:
    """Make a mutable directory and link it."""
    made = vault.create_directory()
    vault.edit_directory(target, lambda entries: [*entries, Entry.of(b"made", made)])


def file_work(vault: Vault, target: MutableDirectoryWrite) -> None:
    """Put one file and link it, in a session with two batches."""
    with vault.session() as session:
        with session.writing() as writer:
            writer.put_file(io.BytesIO(noise(6, 2_000)))
        with session.writing() as writer:
            cap = writer.put_file(io.BytesIO(noise(7, 600_000)))
        session.commit([cap])
        vault.edit_directory(target, lambda entries: [*entries, Entry.of(b"put", cap)])


def many_index_objects(vault: Vault, target: MutableDirectoryWrite) -> None:
    """Make so many snapshots that the index is compacted."""
    for number in range(33):
        back_up(vault, target, b"2", {b"%d" % number: noise(number, 100), **SECOND})


def archived(vault: Vault, target: MutableDirectoryWrite, name: bytes) -> dict[bytes, bytes]:
    """Read a snapshot; damage makes the test fail."""
    entry = vault.read_directory(target.read_cap).get(b"Archives")
    assert entry is not None
    assert isinstance(entry.cap, DirectoryReadCap)
    snapshot = vault.read_directory(entry.cap).get(name)
    assert snapshot is not None
    assert isinstance(snapshot.cap, DirectoryReadCap)
    found: dict[bytes, bytes] = {}
    for path, content in read_tree(vault, snapshot.cap):
        assert isinstance(content, bytes), (path, content)
        found[path] = content
    return found


def assert_recovers(backend: Backend, key: WriterKey, target: MutableDirectoryWrite, folder: Path) -> None:
    """Assert that earlier snapshots are intact, checks find no damage, and the next session works."""
    vault = fresh(backend, key, folder)
    assert archived(vault, target, b"1") == dict(flatten(FIRST))
    assert vault.check(target.read_cap, read_data=True).findings == []
    structure = vault.check_structure(read_data=True)
    assert structure.is_healthy, structure.findings
    vault = fresh(backend, key, folder)
    back_up(vault, target, b"3", THIRD)
    assert archived(vault, target, b"3") == dict(flatten(THIRD))
    assert archived(vault, target, b"1") == dict(flatten(FIRST))
    vault = fresh(backend, key, folder)
    assert vault.check(target.read_cap, read_data=True).findings == []
    structure = vault.check_structure(read_data=True)
    assert structure.is_healthy
    # What the killed run had stored has been entered in the index.
    assert not [finding.message for finding in structure.findings if finding.message.startswith("pack ")]


@pytest.mark.parametrize(
    ("work", "make_place"),
    [
        *((work, InMemory) for work in (snapshot_work, directory_work, file_work, many_index_objects)),
        *((work, InBucket) for work in (snapshot_work, directory_work, file_work)),
        pytest.param(many_index_objects, InBucket, marks=pytest.mark.torture),
    ],
    ids=lambda value: value.__name__,
)
def test_a_crash_at_every_boundary(tmp_path: Path, work: Work, make_place: type[Place]) -> None:
    """Wherever the program dies, before or after a change of the store: what was there before is whole, and work goes on."""
    place = make_place()
    backend = place.straight
    key = create_vault(backend)
    target = create_target(fresh(backend, key, tmp_path))
    assert isinstance(target, MutableDirectoryWrite)
    back_up(fresh(backend, key, tmp_path), target, b"1", FIRST)
    before = place.snapshot()
    work(fresh(place.crashing(), key, tmp_path, 1), target)
    boundaries = range(place.boundaries)
    assert len(boundaries) >= 6
    if work is many_index_objects:
        boundaries = range(place.boundaries - 32, place.boundaries)
    for boundary in boundaries:
        place.restore(before)
        vault = fresh(place.crashing(boundary), key, tmp_path, 1)
        with pytest.raises(SimulatedCrash):
            work(vault, target)
        assert_recovers(backend, key, target, tmp_path)


@pytest.mark.parametrize("make_place", PLACES)
def test_a_crash_while_recovering(tmp_path: Path, make_place: type[Place]) -> None:
    """A second crash, in the session after the first one, changes nothing in that."""
    place = make_place()
    backend = place.straight
    key = create_vault(backend)
    target = create_target(fresh(backend, key, tmp_path))
    assert isinstance(target, MutableDirectoryWrite)
    back_up(fresh(backend, key, tmp_path), target, b"1", FIRST)
    before = place.snapshot()
    snapshot_work(fresh(place.crashing(), key, tmp_path, 1), target)
    boundaries = place.boundaries
    for boundary in range(1, boundaries, 3):
        for second in range(0, boundaries, 5):
            place.restore(before)
            for seed, crash_at in ((1, boundary), (2, second)):
                with suppress(SimulatedCrash):
                    snapshot_work(fresh(place.crashing(crash_at), key, tmp_path, seed), target)
            assert_recovers(backend, key, target, tmp_path)


@pytest.mark.parametrize("make_place", PLACES)
def test_a_crash_while_the_vault_is_made(tmp_path: Path, make_place: type[Place]) -> None:
    """With the key kept before, making the vault goes on where it ended; without a key there is no vault that has been used."""
    counted = make_place()
    create_vault(counted.crashing())
    assert counted.boundaries >= 8
    for boundary in range(counted.boundaries):
        place = make_place()
        backend = place.straight
        key = make_writer_key()
        with pytest.raises(SimulatedCrash):
            create_vault(place.crashing(boundary), key=key)
        create_vault(backend, key=key)
        vault = fresh(backend, key, tmp_path)
        target = create_target(vault)
        assert isinstance(target, MutableDirectoryWrite)
        back_up(vault, target, b"1", FIRST)
        assert_recovers(backend, key, target, tmp_path)


def test_what_was_stored_before_a_crash_is_used(tmp_path: Path) -> None:
    """The session after a crash finds the packs that are durable, and stores only the rest."""
    backend = MemoryBackend()
    key = create_vault(backend, randomness=SeededRandomness(1))
    target = create_target(fresh(backend, key, tmp_path))
    assert isinstance(target, MutableDirectoryWrite)
    tree: Tree = {b"%d" % number: noise(number, 1 << 20) for number in range(50)}
    with pytest.raises(SimulatedCrash):
        back_up(fresh(CrashingBackend(backend, 9), key, tmp_path, 2), target, b"1", tree)
    kept = sum(item.size for item in backend.list("packs/"))
    assert kept > 10 << 20
    back_up(fresh(backend, key, tmp_path), target, b"1", tree)
    assert sum(item.size for item in backend.list("packs/")) < 52 << 20
    assert archived(fresh(backend, key, tmp_path), target, b"1") == dict(flatten(tree))
