import os
import pickle
from pathlib import Path

import pytest
from tests.unit.vault.prune.test_prune import FIRST, SECOND, Place

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.dag import Entry
from tallac.errors import StoreFullError
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.determinism import SeededRandomness
from tallac.testing.quota_backend import QuotaBackend
from tallac.testing.sample_vault import Tree, back_up, create_target, noise
from tallac.vault.prune.report import PruneOptions
from tallac.vault.prune.vault_stats import vault_stats
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions
from tallac.vault.reserve import PIECE_SIZE_MIN, RESERVE_SIZE_MAX, RESERVE_SIZE_MIN, Reserve, check_reserve, piece_sizes
from tallac.vault.vault import create_vault, open_vault

LARGE = 1 << 40


class BoundedCrashingBackend(CrashingBackend):
    """A backend that dies at a boundary, with bounds."""

    def __init__(self, inner: QuotaBackend, crash_at: int | None = None) -> None:
        super().__init__(inner, crash_at)
        self._bounds = inner

    def room(self) -> int:
        return self._bounds.room()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault with something to prune, which has no reserve."""
    return Place(tmp_path)


@pytest.fixture
def disk(place: Place) -> QuotaBackend:
    """Give the vault's place bounds, and the vault a reserve; no byte is free."""
    disk = QuotaBackend(place.backend, LARGE)
    Reserve(disk, SeededRandomness(7)).fit(0)
    disk.fill()
    return disk


def reserved(backend: Backend) -> list[int]:
    """Give the sizes of the pieces."""
    return sorted(item.size for item in backend.list("reserve/"))


@pytest.mark.parametrize("packs_size", [0, 1, 1 << 20, 100 << 20, 1 << 30, 1 << 40])
def test_the_sizes_of_the_pieces(packs_size: int) -> None:
    """The reserve has a least and a greatest size, never takes more than it should, and can be given up little by little."""
    sizes = piece_sizes(packs_size)
    assert sizes[0] == PIECE_SIZE_MIN
    assert RESERVE_SIZE_MIN <= sum(sizes) <= max(RESERVE_SIZE_MIN, min(packs_size // 128, RESERVE_SIZE_MAX))
    assert all(size == sum(sizes[:number]) for number, size in enumerate(sizes[1:], 1))


def test_who_makes_it(tmp_path: Path) -> None:
    """A new vault has a reserve, a growing one a larger one, and a store without bounds has none."""
    disk = QuotaBackend(MemoryBackend(), LARGE)
    key = create_vault(disk)
    assert reserved(disk) == piece_sizes(0)
    with open_vault(disk, key, state=tmp_path / "1") as vault:
        back_up(vault, create_target(vault), b"1", {b"a": noise(1, 65 << 20)})
    assert reserved(disk) == piece_sizes(65 << 20)
    assert len(reserved(disk)) > len(piece_sizes(0))
    assert not list(check_reserve(disk))
    unbounded = MemoryBackend()
    create_vault(unbounded)
    assert not reserved(unbounded)


def test_no_reserve_without_room() -> None:
    """Where there is little room, it takes at most half of what is left; a vault is made all the same."""
    disk = QuotaBackend(MemoryBackend(), 150_000)
    create_vault(disk)
    assert reserved(disk) == [PIECE_SIZE_MIN]
    assert disk.room() > PIECE_SIZE_MIN


def test_it_is_as_large_as_it_should_be(disk: QuotaBackend) -> None:
    """Pieces that are missing are added, and what is too much is deleted."""
    disk.size_max = LARGE
    reserve = Reserve(disk, os.urandom)
    reserve.give_up()
    reserve.fit(0)
    assert reserved(disk) == piece_sizes(0)
    reserve.fit(1 << 26)
    assert reserved(disk) == piece_sizes(1 << 26)
    reserve.fit(0)
    assert reserved(disk) == piece_sizes(0)


def test_a_full_store_is_pruned(place: Place, disk: QuotaBackend) -> None:
    """With no byte free, a prune deletes and moves all that is unused, and makes the reserve anew."""
    assert disk.room() == 0
    report = place.prune(backend=disk)
    assert report.freed_bytes > 1_000_000
    assert report.repacked_packs
    assert not report.unmoved_packs
    assert reserved(disk) == piece_sizes(0)
    assert place.prune(backend=disk).dead_objects == 0
    place.look(s2=SECOND)


def test_a_full_store_without_a_reserve(place: Place) -> None:
    """An older vault has no reserve: a prune changes nothing, and says what it takes."""
    disk = QuotaBackend(place.backend, LARGE)
    disk.fill()
    before = place.backend.snapshot()
    with pytest.raises(StoreFullError, match=r"deleted so far: nothing\. Make that much room"):
        place.prune(backend=disk)
    assert place.backend.snapshot() == before


def test_what_was_decided_makes_room(place: Place) -> None:
    """Without a reserve, packs that an interrupted prune has decided upon go first, and what they took serves the rest."""
    boundary, objects = 0, place.backend.snapshot()
    while True:  # Die between the decision and the first deletion.
        crashing = CrashingBackend(place.backend, boundary)
        with pytest.raises(SimulatedCrash):
            place.prune(PruneOptions(unused_max=1), backend=crashing)
        with place.open(key=place.key.keeper_key) as vault:
            if vault_stats(vault.components).decided_packs:
                break
        place.backend.restore(objects)
        boundary += 1
    disk = QuotaBackend(place.backend, LARGE)
    disk.fill()
    before = len(place.packs())
    assert place.prune(backend=disk).deleted_packs > 1
    assert len(place.packs()) < before
    assert place.prune(backend=disk).dead_objects == 0
    place.look(s2=SECOND)


def test_packs_that_do_not_fit_stay(place: Place, tmp_path: Path) -> None:
    """Where there is no room for what stays of a pack, the prune does the rest, says how much it takes, and later goes on."""
    # So many files that each of the two packs has some of either.
    kept: Tree = {b"kept %d" % number: noise(number, 30_000) for number in range(40)}
    gone: Tree = {b"gone %d" % number: noise(100 + number, 30_000) for number in range(40)}
    backend, folder = MemoryBackend(), tmp_path / "other"
    disk = QuotaBackend(backend, LARGE)
    key = create_vault(disk)
    with open_vault(disk, key, state=folder) as vault:
        target = create_target(vault)
        back_up(vault, target, b"1", {**kept, **gone})
        back_up(vault, target, b"2", kept)
        place.backend, place.key, place.target = backend, key, target
        place.forget(vault, b"1")
    disk.fill()
    report = place.prune(backend=disk)
    assert report.unmoved_packs
    assert 400_000 < report.room_needed < 1_200_000
    assert report.deleted_packs
    place.look(s2=kept)
    disk.size_max += report.room_needed
    report = place.prune(backend=disk)
    assert not report.unmoved_packs
    assert report.freed_bytes > 800_000
    assert place.prune(backend=disk).dead_objects == 0
    place.look(s2=kept)


@pytest.mark.slow
def test_a_crash_at_every_boundary_of_a_full_store(place: Place, disk: QuotaBackend) -> None:
    """Whenever a prune of a full store dies, what is entered restores, and the next prune, without more room, ends the work."""
    objects, size_max = place.backend.snapshot(), disk.size_max
    counting = BoundedCrashingBackend(disk)
    place.prune(backend=counting)
    for boundary in range(counting.boundaries):
        place.backend.restore(objects)
        crashing = QuotaBackend(place.backend, size_max)
        with pytest.raises(SimulatedCrash):
            place.prune(backend=BoundedCrashingBackend(crashing, boundary))
        again = QuotaBackend(place.backend, size_max)
        place.look(s2=SECOND)
        place.prune(backend=again)
        assert place.prune(backend=again).dead_objects == 0
        place.look(s2=SECOND)


def test_a_full_store_forgets(place: Place, disk: QuotaBackend) -> None:
    """With no byte free, an entry can be taken out of a directory; none can be added, and that leaves the reserve alone."""
    disk.size_max = LARGE
    with place.open(disk) as vault:
        back_up(vault, place.target, b"3", FIRST)
        disk.fill()
        before = reserved(disk)
        with pytest.raises(StoreFullError):
            back_up(vault, place.target, b"4", {b"a": noise(8, 1_000)})
        with pytest.raises(StoreFullError):
            vault.edit_directory(place.target, lambda entries: [*entries, Entry(b"x", entries[0].encoded)])
        assert reserved(disk) == before
        place.forget(vault, b"3")
        assert reserved(disk) == before[1:]
    place.prune(backend=disk)
    place.look(s2=SECOND)


def test_damaged_pieces(place: Place, disk: QuotaBackend) -> None:
    """A check that reads packs names a damaged piece, and a repair deletes it."""
    name = next(item.name for item in disk.list("reserve/"))
    place.backend.put(name, b"x" + place.backend.get(name)[1:])
    with place.open(place.backend) as vault:
        assert vault.check_structure(read_data=False).is_healthy
        (finding,) = vault.check_structure(read_data=True).findings
        assert finding.stored == name
        assert Repair(vault.components, RepairOptions()).run([]).done == [f"deleted, because it was damaged: {name}"]
        assert vault.check_structure(read_data=True).is_healthy
    assert len(reserved(disk)) == len(piece_sizes(0)) - 1


def test_workers_get_the_bare_backend(tmp_path: Path) -> None:
    """What is sent to another process has no reserve to spend."""
    sent = pickle.loads(pickle.dumps(Reserve(LocalBackend(tmp_path), os.urandom).backend()))  # noqa: S301 - it was made here
    assert isinstance(sent, LocalBackend)
