import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import Cap, DirectoryReadCap, MutableDirectoryWrite
from tallac.errors import AuthorityError, DamageError, LostStateError, RollbackDetectedError, StoreError, VaultNotFoundError
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.faulty_backend import Fault, FaultyBackend, Operation
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.footers import decode_body
from tallac.vault.format.header import read_identity
from tallac.vault.format.keys import KeeperKey, LocatorKey, WriterKey
from tallac.vault.mirror.full import VaultCopy
from tallac.vault.mirror.report import MirrorOptions
from tallac.vault.mirror.rollback_guard import MirrorMemory
from tallac.vault.mutable.sessions import RegisteredSession
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions, RepairReport
from tallac.vault.vault import Vault, create_vault, open_vault

SMALL: Tree = {f"{number}".encode(): noise(number, 20_000) for number in range(8)}
ONE: Tree = {**SMALL, b"large": noise(20, 700_000), b"lit": b"x"}
TWO: Tree = {**ONE, b"0": noise(30, 20_000), b"d": {b"e": noise(31, 30_000), b"f": {b"g": noise(32, 300)}}}
TREES: dict[bytes, Tree] = {b"1": ONE, b"2": TWO}
Found = dict[bytes, bytes | DamageError]


class Place:
    """A vault in memory with two snapshots."""

    def __init__(self, folder: Path) -> None:
        self.backend = MemoryBackend()
        self.folder = folder
        self.opened = 0
        self.key: WriterKey = create_vault(self.backend, randomness=SeededRandomness(1))
        with self.open() as vault:
            target = create_target(vault)
            assert isinstance(target, MutableDirectoryWrite)
            self.target = target
            self.snapshots: dict[bytes, DirectoryReadCap] = {}
            for name, tree in TREES.items():
                self.snapshots[name] = back_up(vault, target, name, tree)

    def open(self, backend: Backend | None = None, key: WriterKey | KeeperKey | LocatorKey | None = None) -> Vault:
        """Open as a client that has never seen the vault."""
        self.opened += 1
        state, randomness = self.folder / str(self.opened), SeededRandomness(self.opened)
        return open_vault(backend or self.backend, key or self.key, state=state, randomness=randomness)

    def mirror(self) -> MemoryBackend:
        """Make a mirror of the vault as it is."""
        mirror = MemoryBackend()
        VaultCopy(self.backend, mirror, None, MirrorMemory(None), MirrorOptions()).run()
        return mirror

    def repair(
        self, *, mirror: Backend | None = None, backend: Backend | None = None, with_caps: bool = True, is_dry_run: bool = False
    ) -> RepairReport:
        """Repair as a keeper, or as one who holds read caps as well."""
        caps: Iterable[Cap] = [self.target.read_cap] if with_caps else []
        with self.open(backend, self.key.keeper_key) as vault:
            return Repair(vault.components, RepairOptions(mirror=mirror, is_dry_run=is_dry_run)).run(caps)

    def restorable(self) -> Found:
        """Restore both snapshots by their caps as far as possible."""
        found: Found = {}
        with self.open() as vault:
            for name, cap in self.snapshots.items():
                for path, content in read_tree(vault, cap):
                    if not isinstance(content, DamageError):
                        found[name + b"/" + path] = content
        return found

    def back_up_again(self) -> None:
        """Store the newest tree again."""
        with self.open() as vault:
            assert back_up(vault, self.target, b"3", TWO) == self.snapshots[b"2"]

    def packs(self) -> list[str]:
        """List the packs."""
        return sorted(item.name for item in self.backend.list("packs/"))

    def flip(self, name: str, offset: int) -> None:
        """Change one bit."""
        content = bytearray(self.backend.get(name))
        content[offset % len(content)] ^= 1
        self.backend.put(name, bytes(content))

    def look(self) -> None:
        """See that all is well."""
        with self.open() as vault:
            report = vault.check(self.target, read_data=True)
            assert report.is_healthy, report.findings
            frame = vault.check_structure(read_data=True)
            assert frame.is_healthy, frame.findings
        assert self.restorable() == everything()


def everything() -> Found:
    """Give all files of both snapshots."""
    return {name + b"/" + path: content for name, tree in TREES.items() for path, content in flatten(tree)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault."""
    return Place(tmp_path)


def damage_something(place: Place, chance: random.Random) -> None:
    """Damage the vault in some ways, mildly or badly."""
    for _ in range(chance.randint(1, 3)):
        names = [item.name for item in place.backend.list("") if not item.name.startswith(("slots/", "sessions/"))]
        packs = place.packs()
        name = chance.choice(packs if packs and chance.random() < 0.7 else names)
        if name.startswith("registers/roots") and chance.random() < 0.5:
            continue
        match chance.randrange(4):
            case 0 if not name.startswith("header"):
                place.backend.delete(name)
            case 1:
                content = place.backend.get(name)
                place.backend.put(name, content[: chance.randrange(len(content))])
            case 2:
                content = place.backend.get(name)
                start = chance.randrange(len(content))
                place.backend.put(name, content[:start] + bytes(min(30_000, len(content) - start)) + content[start + 30_000 :])
            case _:
                place.flip(name, chance.randrange(1 << 30))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(24))
def test_repair_never_shrinks_what_can_be_restored(place: Place, chance: random.Random, number: int) -> None:
    """Whatever is damaged, whoever repairs, and however often: what was restorable stays so; a backup heals the rest (row 16)."""
    with suppress(StoreError):
        damage_something(place, chance)
    if not is_vault(place.backend):
        pytest.skip("without a header nothing opens")
    before = place.restorable()
    for with_caps in chance.sample([True, False, True], 3):
        report = place.repair(with_caps=with_caps)
        after = place.restorable()
        assert before.items() <= after.items(), report
        before = after
    with place.open() as vault, vault.session() as session, session.writing() as writer:
        assert not writer.has_losses
    place.back_up_again()
    found = place.restorable()
    assert {path: content for path, content in everything().items() if path.startswith(b"2/")}.items() <= found.items()
    assert before.items() <= found.items()


def is_vault(backend: Backend) -> bool:
    """Whether a header is left."""
    try:
        read_identity(backend)
    except StoreError:
        return False
    return True


@pytest.mark.parametrize("number", range(12))
def test_a_mirror_heals_everything(place: Place, chance: random.Random, number: int) -> None:
    """With a mirror all comes back, whatever was damaged, also where the mirror's packs are other ones by now."""
    mirror = place.mirror()
    if number % 2:
        with place.open(mirror) as vault:
            Prune(vault.components, PruneOptions(unused_max=0)).run()
    with suppress(StoreError):
        damage_something(place, chance)
    if not is_vault(place.backend):
        pytest.skip("without a header nothing opens")
    report = place.repair(mirror=mirror, with_caps=False)
    assert report.is_healthy, report.left
    place.look()
    assert place.repair(mirror=mirror).done == []


def test_repacked_packs_of_a_mirror_serve(place: Place) -> None:
    """Objects come from whichever pack of the mirror holds them, directories above before what is below."""
    mirror = place.mirror()
    with place.open(mirror) as vault:
        back_up(vault, create_target(vault), b"other", {b"z": noise(40, 5_000)})
    for pack in place.packs():
        place.backend.delete(pack)
    for name in list(mirror.snapshot()):
        if name.startswith("index/"):
            mirror.delete(name)
    place.backend.delete("registers/index")
    report = place.repair(mirror=mirror, with_caps=False)
    assert report.is_healthy, report.left
    assert report.fetched_objects > 10
    place.look()


def test_a_damaged_pack_is_taken_out_of_use(place: Place) -> None:
    """A pack with one bad bit is put aside; what is whole in it is stored again, and the next backup stores the rest."""
    pack = max(place.packs(), key=lambda name: len(place.backend.get(name)))
    bad = place.backend.get(pack)
    place.flip(pack, 5_000)
    before = place.restorable()
    foretold = place.repair(is_dry_run=True)
    assert (foretold.aside_packs, foretold.salvaged_objects) == (1, 0)
    report = place.repair()
    assert report.aside_packs == 1
    assert report.salvaged_objects > 0
    assert report.missing_objects == 1
    assert pack not in place.packs()
    aside = place.backend.get(pack.replace("packs/", "damaged/"))
    assert len(aside) == len(bad)
    assert sum(one != other for one, other in zip(aside, bad, strict=True)) == 1
    assert place.restorable() == before
    place.back_up_again()
    with place.open() as vault:
        back_up(vault, place.target, b"4", ONE)
    again = place.repair()
    assert (again.done, again.left) == ([], [])


def test_a_keeper_salvages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is whole in a damaged pack is known by its stored hash: a keeper stores it again, and opens no content for that."""
    pack = max(place.packs(), key=lambda name: len(place.backend.get(name)))
    place.flip(pack, 5_000)
    before = place.restorable()

    def refuse(*_: object, **__: object) -> bytes:
        raise AssertionError("a keeper opened content")

    with monkeypatch.context() as patch:
        patch.setattr("tallac.vault.reading.object_reader.open_content", refuse)
        report = place.repair(with_caps=False)
    assert report.salvaged_objects > 0
    assert report.missing_objects == 1
    assert place.restorable() == before
    assert place.repair().salvaged_objects == 0
    with place.open(key=place.key.locator_key) as vault, pytest.raises(AuthorityError, match="keeper key"):
        Repair(vault.components, RepairOptions()).run([])


def test_a_prune_goes_on_after_a_repair(place: Place) -> None:
    """Where directories lie aside, a prune still follows them, takes nothing that is in use, and leaves alone what lies aside."""
    for pack in place.packs():
        place.flip(pack, 100)
    before = place.restorable()
    place.repair(with_caps=False)
    with suppress(DamageError), place.open() as vault:
        Prune(vault.components, PruneOptions(unused_max=0)).run()
    assert before.items() <= place.restorable().items()
    place.back_up_again()
    with suppress(DamageError), place.open() as vault:
        Prune(vault.components, PruneOptions(unused_max=0)).run()
    assert before.items() <= place.restorable().items()


Breaking = Callable[[MemoryBackend], None]


def _lose(name: str) -> Breaking:
    return lambda backend: backend.delete(name)


def _spoil(name: str) -> Breaking:
    def spoil(backend: MemoryBackend) -> None:
        backend.put(name, b"spoilt " * 20)

    return spoil


@pytest.mark.parametrize("name", ["header", "header.copy", "registers/index", "registers/roots", "index"])
@pytest.mark.parametrize("breaking", [_lose, _spoil], ids=["lost", "spoilt"])
def test_the_frame_is_made_again(place: Place, name: str, breaking: Callable[[str], Breaking]) -> None:
    """Header, index and roots are made again from what is left; all is well then, and who has seen the roots goes on."""
    seen = place.open()
    back_up(seen, place.target, b"9", ONE)
    seen.close()
    if name == "index":
        name = next(item.name for item in place.backend.list("index/"))
    breaking(name)(place.backend)
    before = place.backend.snapshot()
    foretold = place.repair(is_dry_run=True)
    assert place.backend.snapshot() == before
    report = place.repair()
    assert report.is_healthy
    assert len(report.done) == len(foretold.done) == 1
    place.look()
    with open_vault(place.backend, place.key, state=place.folder / str(1)) as vault:
        back_up(vault, create_target(vault), b"10", ONE)
    assert place.repair().done == []


@pytest.mark.parametrize("name", ["registers/roots", "registers/quarantine"])
def test_a_lost_register_is_made_again_by_who_has_seen_it(place: Place, name: str) -> None:
    """What is gone is no older state: a machine that has seen it writes it anew, with a number above all that anybody has seen."""
    early, late = place.folder / "early", place.folder / "late"
    states = []
    for machine in (early, late):
        with open_vault(place.backend, place.key, state=machine) as vault:
            vault.components.pending_register().swap(lambda text: text or b"")
            create_target(vault)
        states.append(place.backend.get(name))
    place.backend.delete(name)
    with open_vault(place.backend, place.key, state=late) as vault:
        with pytest.raises(LostStateError, match="Run `tallac repair`"):
            Prune(vault.components, PruneOptions()).run()
        assert Repair(vault.components, RepairOptions()).run([]).is_healthy
        Prune(vault.components, PruneOptions(unused_max=0)).run()
    place.look()
    # Who has seen less goes on as well, and what is older than that is refused by both, in a repair too.
    with open_vault(place.backend, place.key, state=early) as vault:
        back_up(vault, place.target, b"4", ONE)
        create_target(vault)
    place.backend.put(name, states[0])
    for machine in (early, late):
        seen = open_vault(place.backend, place.key, state=machine)
        with seen, pytest.raises(RollbackDetectedError, match="was rolled back"):
            Repair(seen.components, RepairOptions()).run([])


def test_a_damaged_quarantine_is_emptied(place: Place) -> None:
    """What a prune can't get past is taken out of its way."""
    with place.open() as vault:
        Prune(vault.components, PruneOptions(unused_max=0)).run()
    place.backend.put("registers/quarantine", b"x" * 100)
    with place.open() as vault, pytest.raises(DamageError):
        Prune(vault.components, PruneOptions()).run()
    assert place.repair().is_healthy
    with place.open() as vault:
        Prune(vault.components, PruneOptions(unused_max=0)).run()
    place.look()


@pytest.mark.parametrize("breaking", [_lose, _spoil], ids=["lost", "spoilt"])
def test_slots_come_from_a_mirror(place: Place, breaking: Callable[[str], Breaking]) -> None:
    """A slot that is lost or damaged is named; a mirror gives it back, and a forged one of the mirror is not taken."""
    mirror = place.mirror()
    slots = [item.name for item in place.backend.list("slots/")]
    breaking(slots[0])(place.backend)
    alone = place.repair()
    assert len(alone.left) == 1
    assert "--from" in alone.left[0]
    forged = MemoryBackend(mirror.snapshot())
    forged.put(slots[0], mirror.get(slots[1]))
    assert not place.repair(mirror=forged).is_healthy
    assert place.repair(mirror=mirror).is_healthy
    place.look()


def test_left_sessions_are_ended_on_request(place: Place) -> None:
    """What lies among the sessions and is none stops nothing, and goes with the sessions that a repair is asked to end."""
    noise_path = f"sessions/{'0' * 32}"
    place.backend.put(noise_path, b"x" * 100)
    with place.open() as vault:
        path = RegisteredSession.register(
            place.backend, place.key.keeper_key.roots, vault.components.structure, SeededRandomness(9), FakeClock()
        ).path
    assert place.repair().is_healthy
    assert {noise_path, path} <= {item.name for item in place.backend.list("sessions/")}
    with place.open(key=place.key.keeper_key) as vault:
        assert Repair(vault.components, RepairOptions(ends_sessions=True)).run([]).is_healthy
    assert not list(place.backend.list("sessions/"))
    place.look()


def test_another_vault_is_no_mirror(place: Place) -> None:
    """What another vault has is not taken, and nothing is changed."""
    other = MemoryBackend()
    create_vault(other)
    before = place.backend.snapshot()
    with pytest.raises(VaultNotFoundError, match="another vault"):
        place.repair(mirror=other)
    assert place.backend.snapshot() == before


@pytest.mark.slow
@pytest.mark.parametrize("with_mirror", [False, True])
def test_a_crash_at_every_boundary(place: Place, with_mirror: bool) -> None:
    """Wherever a repair dies, what was restorable stays so, and the next repair completes it."""
    mirror = place.mirror() if with_mirror else None
    packs = sorted(place.packs(), key=lambda name: len(place.backend.get(name)))
    place.flip(packs[-1], 5_000)
    place.flip(packs[0], 90)
    place.backend.delete(packs[1])
    place.backend.delete("registers/roots")
    damaged = place.backend.snapshot()
    before = place.restorable()
    counting = CrashingBackend(place.backend)
    complete = place.repair(backend=counting, mirror=mirror)
    at_the_end = place.restorable()
    assert before.items() <= at_the_end.items()
    # Objects go to packs at random, so one repair may pass more boundaries than another.
    for boundary in count():
        place.backend.restore(damaged)
        try:
            place.repair(backend=CrashingBackend(place.backend, boundary), mirror=mirror)
        except SimulatedCrash:
            pass
        else:
            assert boundary > counting.boundaries // 2
            break
        assert before.items() <= place.restorable().items(), boundary
        assert place.repair(mirror=mirror).missing_objects == complete.missing_objects
        assert place.restorable() == at_the_end


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.CUT_LISTING, Fault.LOST_ANSWER])
def test_an_error_at_any_call(place: Place, fault: Fault) -> None:
    """Whichever call fails or leaves something out, nothing shrinks, and no whole pack is taken out of use for good."""
    packs = sorted(place.packs(), key=lambda name: len(place.backend.get(name)))
    place.flip(packs[-1], 5_000)
    damaged = place.backend.snapshot()
    before = place.restorable()
    for index in range(0, 300, 2):
        place.backend.restore(damaged)
        calls = [0]

        def plan(_operation: Operation, _name: str, index: int = index, calls: list[int] = calls) -> Fault | None:
            calls[0] += 1
            return fault if calls[0] == index + 1 else None

        with suppress(StoreError):
            place.repair(backend=FaultyBackend(place.backend, plan))
        assert before.items() <= place.restorable().items(), index
        if calls[0] <= index:
            break
        place.repair()
        assert before.items() <= place.restorable().items(), index
    else:
        raise AssertionError("a repair makes more calls than are tried")


def test_who_has_seen_more_is_told(place: Place) -> None:
    """A slot that a mirror gives back in an older state is refused by those who saw a newer one, as any rollback is."""
    mirror = place.mirror()
    seen = place.open()
    back_up(seen, place.target, b"3", ONE)
    seen.close()
    number = place.opened
    for item in list(place.backend.list("slots/")):
        place.backend.delete(item.name)
    assert place.repair(mirror=mirror).is_healthy
    with open_vault(place.backend, place.key, state=place.folder / str(number)) as vault, pytest.raises(RollbackDetectedError):
        vault.read_directory(place.target.read_cap)


def test_damaged_links_are_not_salvaged(place: Place) -> None:
    """An object's hash is that of its content and its links: nobody believes one whose links are damaged, and it stays aside."""
    with place.open() as vault:
        stored_packs = StoredPacks(place.backend, vault.components.structure)
    for pack in stored_packs.footers(stored_packs.sizes()):
        with_links = [stored for stored in decode_body(pack.body) if stored.links_length]
        for stored in with_links:
            place.flip(pack_path(pack.name), stored.offset + stored.length + 20)
    assert place.restorable() == {}
    report = place.repair()
    assert report.aside_packs > 0
    assert not report.is_healthy
    with place.open() as vault:
        for name, tree in TREES.items():
            back_up(vault, place.target, b"again " + name, tree)
    assert place.repair().is_healthy
    assert place.restorable() == everything()
