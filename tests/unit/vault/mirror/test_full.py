from contextlib import suppress
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, DirectoryWriteCap, parse
from tallac.errors import AuthorityError, RollbackDetectedError, StoreError, VaultNotFoundError
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.faulty_backend import Fault, FaultyBackend, Operation
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import ARCHIVES, Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.keys import KeeperKey, LocatorKey
from tallac.vault.mirror.full import VaultCopy
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.vault.mirror.rollback_guard import MirrorMemory
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault

TREES: dict[bytes, Tree] = {
    b"1": {b"a": noise(1, 100_000), b"d": {b"large": noise(2, 1_200_000)}, b"same": noise(3, 500)},
    b"2": {b"a": noise(4, 90_000), b"d": {b"large": noise(2, 1_200_000)}, b"same": noise(3, 500)},
    b"3": {b"a": noise(5, 90_000), b"e": {b"new": noise(6, 120_000)}},
}
MIRROR = MirrorOptions()
DELETING = MirrorOptions(deletes=True)


class Place:
    """A vault in memory and the place of its mirror."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened = 0
        self.vault = MemoryBackend()
        self.mirror = MemoryBackend()
        self.key = create_vault(self.vault)
        with self.open() as vault:
            self.target = create_target(vault)
        self.back_up(b"1")

    def open(self, backend: Backend | None = None) -> Vault:
        """Open as a client that has never seen the vault."""
        self.opened += 1
        return open_vault(backend or self.vault, self.key, state=self.folder / str(self.opened))

    def back_up(self, name: bytes) -> None:
        """Add a snapshot."""
        with self.open() as vault:
            back_up(vault, self.target, name, TREES[name])

    def archives(self, vault: Vault) -> DirectoryWriteCap:
        """Find Archives."""
        entry = next(entry for entry in vault.edit_directory(self.target, lambda entries: entries) if entry.name == ARCHIVES)
        assert entry.write is not None
        cap = parse(entry.write.decode())
        assert isinstance(cap, DirectoryWriteCap)
        return cap

    def forget_and_prune(self, name: bytes) -> None:
        """Drop a snapshot and its space."""
        with self.open() as vault:
            vault.edit_directory(self.archives(vault), lambda entries: [entry for entry in entries if entry.name != name])
            Prune(vault.components, PruneOptions(unused_max=0)).run()

    def copy(
        self,
        options: MirrorOptions = MIRROR,
        *,
        key: KeeperKey | LocatorKey | None = None,
        source: Backend | None = None,
        mirror: Backend | None = None,
        memory: Path | None = None,
    ) -> MirrorReport:
        """Copy to the mirror."""
        run = VaultCopy(source or self.vault, mirror or self.mirror, key, MirrorMemory(memory), options)
        run.run()
        return run.report

    def look(self, *names: bytes) -> None:
        """See that the mirror holds just these snapshots, whole."""
        with self.open(self.mirror) as vault:
            entries = vault.edit_directory(self.archives(vault), lambda entries: entries)
            assert {entry.name for entry in entries} == set(names)
            for entry in entries:
                assert isinstance(entry.cap, DirectoryReadCap)
                assert dict(read_tree(vault, entry.cap)) == dict(flatten(TREES[entry.name]))
            assert vault.check(self.target, read_data=True).is_healthy
            assert vault.check_structure(read_data=True).is_healthy

    def keys(self) -> list[KeeperKey | LocatorKey | None]:
        """Give the keys with which one may copy."""
        return [None, self.key.locator_key, self.key.keeper_key]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault with a snapshot."""
    return Place(tmp_path)


@pytest.mark.parametrize("number", range(3))
def test_a_mirror_follows(place: Place, number: int) -> None:
    """With any key and with none the mirror becomes the vault, and takes only what is new when it is copied again."""
    key = place.keys()[number]
    first = place.copy(key=key)
    assert first.packs == len(list(place.vault.list("packs/")))
    place.look(b"1")
    assert place.copy(key=key) == MirrorReport()
    place.back_up(b"2")
    second = place.copy(key=key)
    assert 0 < second.packs < first.packs + second.packs == len(list(place.vault.list("packs/")))
    place.look(b"1", b"2")
    shared = {name: content for name, content in place.vault.snapshot().items() if not name.startswith("sessions/")}
    assert place.mirror.snapshot() == shared


def test_a_dry_run_changes_nothing(place: Place) -> None:
    """A dry run foretells what is copied."""
    foretold = place.copy(MirrorOptions(is_dry_run=True))
    assert place.mirror.snapshot() == {}
    assert place.copy() == foretold


def test_the_order_of_writes(place: Place) -> None:
    """Header, packs, index, quarantine, slots, roots: nothing is named before it is there."""
    place.forget_and_prune(b"none")
    recording = RecordingBackend(place.mirror)
    place.copy(mirror=recording)
    kinds = [event.name if "registers" in event.name else event.name.split("/")[0] for event in recording.writes]
    order = ["header", "header.copy", "packs", "index", "registers/index", "registers/quarantine", "slots", "registers/roots"]
    assert sorted(set(kinds), key=kinds.index) == [kind for kind in order if kind in kinds]
    assert kinds == sorted(kinds, key=order.index)


@pytest.mark.slow
def test_a_crash_at_every_boundary(place: Place) -> None:
    """Wherever a copy dies, all that the mirror shows is whole, and the next copy completes it."""
    place.copy()
    before = place.mirror.snapshot()
    place.back_up(b"2")
    place.forget_and_prune(b"1")
    place.back_up(b"3")
    for start, shown in (({}, [()]), (before, [(b"1",), (b"2", b"3")])):
        place.mirror.restore(start)
        counting = CrashingBackend(place.mirror)
        place.copy(mirror=counting)
        for boundary in range(counting.boundaries):
            place.mirror.restore(start)
            with pytest.raises(SimulatedCrash):
                place.copy(mirror=CrashingBackend(place.mirror, boundary))
            if start:
                with place.open(place.mirror) as vault:
                    names = tuple(entry.name for entry in vault.edit_directory(place.archives(vault), lambda entries: entries))
                assert names in shown
                place.look(*names)
            place.copy()
            place.look(b"2", b"3")


@pytest.mark.slow
@pytest.mark.parametrize("side", ["vault", "mirror"])
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.FLIPPED_BIT, Fault.SHORT_READ, Fault.CUT_LISTING, Fault.LOST_ANSWER])
def test_an_error_at_any_call(place: Place, side: str, fault: Fault) -> None:
    """Whichever call on either side fails or lies, the mirror stays whole, and the next copy completes it."""
    place.copy(key=place.key.keeper_key)
    before = place.mirror.snapshot()
    place.back_up(b"2")
    for index in range(200):
        place.mirror.restore(before)
        calls = [0]

        def plan(_operation: Operation, _name: str, index: int = index, calls: list[int] = calls) -> Fault | None:
            calls[0] += 1
            return fault if calls[0] == index + 1 else None

        bad = FaultyBackend(place.vault if side == "vault" else place.mirror, plan)
        with suppress(StoreError):
            place.copy(
                key=place.key.keeper_key,
                source=bad if side == "vault" else None,
                mirror=bad if side == "mirror" else None,
            )
        if calls[0] <= index:
            break
        with place.open(place.mirror) as vault:
            names = [entry.name for entry in vault.edit_directory(place.archives(vault), lambda entries: entries)]
        place.look(*names)
        if index % 4 == 0:
            place.copy(key=place.key.keeper_key)
            place.look(b"1", b"2")
    else:
        raise AssertionError("a copy makes more calls than are tried")


def test_what_a_prune_took_goes_with_the_keeper_key(place: Place) -> None:
    """Packs that a prune has deleted leave the mirror on request; what is lost from the vault otherwise stays."""
    place.back_up(b"2")
    place.copy()
    place.forget_and_prune(b"1")
    with pytest.raises(AuthorityError, match="keeper key"):
        place.copy(DELETING, key=place.key.locator_key)
    lost = next(iter(place.vault.list("packs/"))).name
    place.copy()
    place.vault.delete(lost)
    report = place.copy(DELETING, key=place.key.keeper_key)
    assert report.deleted_packs > 0
    assert _packs(place.mirror) == _packs(place.vault) | {lost}
    place.look(b"2")
    assert lost in place.mirror.snapshot()


def test_a_prune_in_between(place: Place) -> None:
    """Where a prune takes packs while they are copied, the copy begins again, and the mirror is whole."""
    place.back_up(b"2")

    class Pruning(RecordingBackend):
        """A mirror at whose first pack the vault is pruned."""

        pruned = False

        def upload(self):  # type: ignore[no-untyped-def]
            """Prune once."""
            if not self.pruned:
                self.pruned = True
                place.forget_and_prune(b"1")
            return super().upload()

    place.copy(mirror=Pruning(place.mirror))
    place.look(b"2")


def test_damage_holds_the_mirror_back(place: Place) -> None:
    """A damaged pack is not copied, and the mirror keeps showing what it has whole; other packs are copied."""
    place.copy()
    before = {item.name for item in place.vault.list("packs/")}
    place.back_up(b"2")
    new = sorted({item.name for item in place.vault.list("packs/")} - before)
    content = bytearray(place.vault.get(new[0]))
    content[100] ^= 1
    place.vault.put(new[0], bytes(content))
    report = place.copy()
    assert len(report.problems) == 1
    assert "is damaged" in report.problems[0]
    assert report.states == 0
    assert report.packs == len(new) - 1
    place.look(b"1")


def test_a_damaged_mirror_is_healed(place: Place) -> None:
    """What is cut is noticed in any case, what is changed on request; both are replaced from the vault."""
    place.copy()
    name = next(iter(place.mirror.list("packs/"))).name
    whole = place.mirror.get(name)
    place.mirror.put(name, whole[:-1])
    assert place.copy().replaced_packs == 1
    place.mirror.put(name, bytes(len(whole)))
    assert place.copy().replaced_packs == 0
    assert place.copy(MirrorOptions(verifies=True)).replaced_packs == 1
    place.look(b"1")


@pytest.mark.parametrize("number", [1, 2])
def test_a_vault_that_was_rolled_back_is_refused(place: Place, number: int) -> None:
    """With a key the numbers tell: neither an older vault nor a mirror that went its own way is copied over."""
    key = place.keys()[number]
    older = place.vault.snapshot()
    place.back_up(b"2")
    place.copy(key=key)
    place.vault.restore(older)
    with pytest.raises(RollbackDetectedError, match="rolled back"):
        place.copy(key=key)
    place.back_up(b"3")
    with pytest.raises(RollbackDetectedError, match="of its own"):
        place.copy(key=key)
    place.look(b"1", b"2")


def test_without_a_key_memory_tells(place: Place, tmp_path: Path) -> None:
    """Without a key the machine that copies remembers what the mirror had, and does not bring it back to that."""
    memory = tmp_path / "memory.json"
    place.copy(memory=memory)
    older = place.vault.snapshot()
    place.back_up(b"2")
    place.copy(memory=memory)
    place.vault.restore(older)
    with pytest.raises(RollbackDetectedError, match="rolled back"):
        place.copy(memory=memory)
    place.look(b"1", b"2")


def test_a_foreign_place_is_refused(place: Place) -> None:
    """Neither another vault nor a place with something else becomes a mirror, and nothing is changed there."""
    other = MemoryBackend()
    create_vault(other)
    for content, match in ((other.snapshot(), "another vault"), ({"letters": b"x"}, "other than a vault")):
        place.mirror.restore(content)
        with pytest.raises(VaultNotFoundError, match=match):
            place.copy()
        assert place.mirror.snapshot() == content
    with pytest.raises(VaultNotFoundError):
        place.copy(source=MemoryBackend())


def test_a_damaged_slot_is_not_copied(place: Place) -> None:
    """With a key a damaged slot is noticed, and the mirror's whole one stays."""
    place.copy()
    place.back_up(b"2")
    name = next(iter(place.vault.list("slots/"))).name
    place.vault.put(name, bytes(1000))
    report = place.copy(key=place.key.keeper_key)
    assert any(name in problem for problem in report.problems)
    place.look(b"1")


def _packs(backend: MemoryBackend) -> set[str]:
    return {item.name for item in backend.list("packs/")}
