from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, MutableDirectoryWrite, VerifyCap
from tallac.errors import DamageError, RollbackDetectedError, VaultNotFoundError
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.mirror.partial import PartialCopy
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault

SHARED = noise(1, 40_000)
MINE: Tree = {b"a": SHARED, b"d": {b"large": noise(2, 700_000)}}
MORE: Tree = {b"a": SHARED, b"b": noise(3, 30_000)}
THEIRS: Tree = {b"same": SHARED, b"secret": noise(4, 90_000)}


class Place:
    """A vault in memory with two targets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened = 0
        self.vault = MemoryBackend()
        self.mirror = MemoryBackend()
        self.key = create_vault(self.vault)
        with self.open() as vault:
            mine, theirs = create_target(vault), create_target(vault)
            assert isinstance(mine, MutableDirectoryWrite)
            self.mine, self.theirs = mine, theirs
            self.snapshot = back_up(vault, mine, b"1", MINE)
            self.other = back_up(vault, theirs, b"1", THEIRS)

    def open(self, backend: Backend | None = None) -> Vault:
        """Open as a client that has never seen the vault."""
        self.opened += 1
        return open_vault(backend or self.vault, self.key, state=self.folder / str(self.opened))

    def copy(self, *, mirror: Backend | None = None, is_dry_run: bool = False, cap: VerifyCap | None = None) -> MirrorReport:
        """Copy what hangs from the first target."""
        options = MirrorOptions(is_dry_run=is_dry_run, only=(cap or self.mine.verify_cap,))
        run = PartialCopy(self.vault, mirror or self.mirror, self.key.keeper_key, options)
        run.run()
        return run.report

    def look(self, cap: DirectoryReadCap, tree: Tree) -> None:
        """See that the mirror has a snapshot, and is whole as a vault of its own."""
        with self.open(self.mirror) as vault:
            assert dict(read_tree(vault, cap)) == dict(flatten(tree))
            report = vault.check(self.mine.read_cap, read_data=True)
            assert report.findings == []
            frame = vault.check_structure(read_data=True)
            assert frame.is_healthy, frame.findings


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault."""
    return Place(tmp_path)


def test_only_a_part_is_there(place: Place) -> None:
    """What hangs from the target is copied, nothing else; the next copy takes what is new; a prune finds all in use."""
    foretold = place.copy(is_dry_run=True)
    assert place.mirror.snapshot() == {}
    report = place.copy()
    assert (report.objects, report.object_bytes, report.states) == (foretold.objects, foretold.object_bytes, 2)
    place.look(place.snapshot, MINE)
    with place.open(place.mirror) as mirror:
        found = dict(read_tree(mirror, place.other))
        assert isinstance(next(iter(found.values())), DamageError)
        pruned = Prune(mirror.components, PruneOptions(unused_max=0)).run()
        assert (pruned.alive_objects, pruned.dead_objects) == (report.objects, 0)
    assert place.copy() == MirrorReport()
    with place.open() as vault:
        more = back_up(vault, place.mine, b"2", MORE)
    again = place.copy()
    assert 0 < again.objects <= 3
    place.look(place.snapshot, MINE)
    place.look(more, MORE)


def test_a_snapshot_alone(place: Place) -> None:
    """An immutable directory is copied without any slot."""
    verify_cap = place.snapshot.verify_cap
    assert verify_cap is not None
    assert place.copy(cap=verify_cap).states == 0
    with place.open(place.mirror) as mirror:
        assert dict(read_tree(mirror, place.snapshot)) == dict(flatten(MINE))


def test_the_slots_come_last(place: Place) -> None:
    """No slot is there before what it leads to, and no root before its slot."""
    recording = RecordingBackend(place.mirror)
    place.copy(mirror=recording)
    kinds = [event.name if event.name == "registers/roots" else event.name.split("/")[0] for event in recording.writes]
    last = {kind: at for at, kind in enumerate(kinds)}
    assert last["packs"] < kinds.index("slots") <= last["slots"] < last["registers/roots"]
    assert kinds.count("registers/roots") == 3


@pytest.mark.slow
def test_a_crash_at_every_boundary(place: Place) -> None:
    """Wherever a copy dies, the next one completes it."""
    # Objects go to one of two packs at random, so one copy may pass more boundaries than another.
    boundary = 0
    while True:
        place.mirror.restore({})
        try:
            place.copy(mirror=CrashingBackend(place.mirror, boundary))
        except SimulatedCrash:
            place.copy()
            place.look(place.snapshot, MINE)
            boundary += 1
        else:
            break
    assert boundary >= 24


def test_what_is_refused(place: Place) -> None:
    """Another vault, another thing, a vault that was rolled back: nothing is changed on the mirror."""
    other = MemoryBackend()
    create_vault(other)
    for content in (other.snapshot(), {"letters": b"x"}):
        place.mirror.restore(content)
        with pytest.raises(VaultNotFoundError):
            place.copy()
        assert place.mirror.snapshot() == content
    place.mirror.restore({})
    older = place.vault.snapshot()
    with place.open() as vault:
        back_up(vault, place.mine, b"2", MORE)
    place.copy()
    place.vault.restore(older)
    copied = {name: content for name, content in place.mirror.snapshot().items() if name.startswith("slots/")}
    with pytest.raises(RollbackDetectedError):
        place.copy()
    assert copied.items() <= place.mirror.snapshot().items()


def test_damage_holds_the_slots_back(place: Place) -> None:
    """What can't be followed is said, and the mirror's slots stay as they are."""
    for item in list(place.vault.list("packs/")):
        content = bytearray(place.vault.get(item.name))
        place.vault.put(item.name, bytes(len(content)))
    report = place.copy()
    assert "repair the vault first" in report.problems[0]
    assert list(place.mirror.list("slots/")) == []
