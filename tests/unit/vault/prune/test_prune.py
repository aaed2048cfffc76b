import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.caps import DirectoryReadCap, DirectoryWriteCap, parse
from tallac.dag import Entry, encode_cap
from tallac.errors import AuthorityError, DamageError, FencedError, MissingObjectError, StoreError, StoreFullError, StoreLockedError
from tallac.interfaces import Backend, Buffer, Expect, Item, Upload, Version
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.faulty_backend import Fault, FaultyBackend, Operation
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import (
    ARCHIVES,
    Tree,
    back_up,
    create_target,
    enter,
    flatten,
    noise,
    put_tree,
    read_file,
    read_tree,
)
from tallac.vault.format.keys import KeeperKey, WriterKey
from tallac.vault.format.links import links_of_encoded
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.pending_deletions import PendingPack
from tallac.vault.mutable.sessions import RegisteredSession, SessionState, decode_session
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.repack import Repacking
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions
from tallac.vault.vault import Vault, create_vault, open_vault

FIRST: Tree = {b"a": noise(1, 100_000), b"d": {b"large": noise(2, 1_200_000)}, b"same": noise(3, 500)}
SECOND: Tree = {b"a": noise(4, 90_000), b"d": {b"large": noise(5, 1_200_000)}, b"same": noise(3, 500)}
EVERYTHING = PruneOptions(unused_max=0)


class Place:
    """A vault in memory with two snapshots, the first of which is forgotten."""

    def __init__(self, folder: Path) -> None:
        self.backend = MemoryBackend()
        self.folder = folder
        self.opened = 0
        self.key: WriterKey = create_vault(self.backend, randomness=SeededRandomness(1))
        self.structure = Structure(self.key, Signers.of(self.key))
        with self.open() as vault:
            self.target = create_target(vault)
            self.first = back_up(vault, self.target, b"1", FIRST)
            self.second = back_up(vault, self.target, b"2", SECOND)
            self.forget(vault, b"1")

    def open(
        self, backend: Backend | None = None, key: WriterKey | KeeperKey | None = None, clock: FakeClock | None = None
    ) -> Vault:
        """Open as a client that has never seen the vault."""
        self.opened += 1
        state, randomness = self.folder / str(self.opened), SeededRandomness(self.opened)
        return open_vault(backend or self.backend, key or self.key, state=state, clock=clock or FakeClock(), randomness=randomness)

    def prune(self, options: PruneOptions = EVERYTHING, backend: Backend | None = None) -> PruneReport:
        """Prune as a keeper."""
        with self.open(backend, self.key.keeper_key) as vault:
            return Prune(vault.components, options).run()

    def archives(self, vault: Vault) -> DirectoryWriteCap:
        """Find Archives."""
        entry = next(entry for entry in vault.edit_directory(self.target, lambda entries: entries) if entry.name == ARCHIVES)
        assert entry.write is not None
        cap = parse(entry.write.decode())
        assert isinstance(cap, DirectoryWriteCap)
        return cap

    def forget(self, vault: Vault, name: bytes) -> None:
        """Take a snapshot out of Archives."""
        vault.edit_directory(self.archives(vault), lambda entries: [entry for entry in entries if entry.name != name])

    def look(self, **trees: Tree) -> None:
        """See that the snapshots read back, and that the vault is whole."""
        with self.open() as vault:
            for entry in vault.edit_directory(self.archives(vault), lambda entries: entries):
                cap = entry.cap
                assert isinstance(cap, DirectoryReadCap)
                assert dict(read_tree(vault, cap)) == dict(flatten(trees[f"s{entry.name.decode()}"])), entry.name
            assert vault.check(self.target, read_data=True).is_healthy
            frame = vault.check_structure(read_data=True)
            assert frame.is_healthy, frame.findings

    def packs(self) -> dict[str, int]:
        """Give the packs with their sizes."""
        return {item.name: item.size for item in self.backend.list("packs/")}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault with something to prune."""
    return Place(tmp_path)


def test_exactly_what_is_reachable_is_left(place: Place) -> None:
    """What is left is as large as a vault that never had more, and the report says what was freed (prune = reachability)."""
    before = sum(place.packs().values())
    foreseen = place.prune(PruneOptions(is_dry_run=True, unused_max=0))
    assert sum(place.packs().values()) == before
    report = place.prune()
    after = sum(place.packs().values())
    assert report.freed_bytes == before - after
    assert (foreseen.deleted_packs, foreseen.deleted_bytes) == (report.deleted_packs, report.deleted_bytes)
    assert (foreseen.alive_objects, foreseen.dead_objects) == (report.alive_objects, report.dead_objects)
    assert abs(foreseen.freed_bytes - report.freed_bytes) < before // 20
    again = place.prune()
    assert (again.alive_objects, again.alive_bytes) == (report.alive_objects, report.alive_bytes)
    assert (again.dead_objects, again.deleted_packs) == (0, 0)
    alone = MemoryBackend()
    # With the same key, since that decides where files are cut into chunks, and so how many objects there are.
    with open_vault(alone, create_vault(alone, key=place.key), state=place.folder / "alone") as vault:
        back_up(vault, create_target(vault), b"2", SECOND)
        only = Prune(vault.components, EVERYTHING).run()
    assert (only.alive_objects, only.alive_bytes) == (report.alive_objects, report.alive_bytes)
    place.look(s2=SECOND)


def test_unused_space_is_put_up_with(place: Place) -> None:
    """A pack with less unused space than is allowed stays; one with more is repacked; what is wholly dead goes in any case."""
    report = place.prune(PruneOptions(unused_max=1.0))
    assert report.repacked_packs == 0
    assert report.deleted_packs > 0
    assert place.prune(PruneOptions(unused_max=1.0)).dead_objects > 0
    assert place.prune().repacked_packs > 0
    assert place.prune().dead_objects == 0
    place.look(s2=SECOND)


def test_a_keeper_opens_no_content(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prune with the keeper key opens no content, and a locator key can't prune."""

    def refuse(*_: object, **__: object) -> bytes:
        raise AssertionError("a keeper opened content")

    monkeypatch.setattr("tallac.vault.reading.object_reader.open_content", refuse)
    assert place.prune().deleted_packs
    with (
        open_vault(place.backend, place.key.locator_key, state=place.folder / "locator") as vault,
        pytest.raises(AuthorityError, match="keeper key"),
    ):
        Prune(vault.components, EVERYTHING).run()


def test_the_order_of_writes(place: Place) -> None:
    """Pending deletions, new packs, index object, register, deletions, pending deletions: nothing goes before its replacement."""
    recording = RecordingBackend(place.backend)
    place.prune(backend=recording)
    writes = [
        f"{event.operation} {event.name if 'registers' in event.name else event.name.split('/')[0]}" for event in recording.writes
    ]
    assert writes[0] == writes[1] == "put registers/quarantine"
    assert writes.index("put registers/index") < writes.index("delete packs")
    last = {write: at for at, write in enumerate(writes)}
    assert last["commit packs"] < last["put index"] < last["put registers/index"] < last["delete packs"]
    assert writes[-1] == "put registers/quarantine"


@pytest.mark.slow
def test_a_crash_at_every_boundary_harms_nothing(place: Place) -> None:
    """Whenever a prune dies, all snapshots restore, what was forgotten can be backed up, and the next prune finishes (row 10)."""
    objects = place.backend.snapshot()
    counting = CrashingBackend(place.backend)
    place.prune(backend=counting)
    left = len(place.packs())
    for boundary in range(counting.boundaries):
        place.backend.restore(objects)
        with pytest.raises(SimulatedCrash):
            place.prune(backend=CrashingBackend(place.backend, boundary))
        place.look(s2=SECOND)
        crashed = place.backend.snapshot()
        with place.open() as vault:
            back_up(vault, place.target, b"3", FIRST)
        place.look(s2=SECOND, s3=FIRST)
        place.prune()
        place.look(s2=SECOND, s3=FIRST)
        place.backend.restore(crashed)
        place.prune()
        assert place.prune().dead_objects == 0
        assert len(place.packs()) <= left + 2
        place.look(s2=SECOND)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.TIMEOUT, Fault.FULL, Fault.LOST_ANSWER, Fault.DUPLICATE])
def test_an_error_at_any_call_harms_nothing(place: Place, fault: Fault) -> None:
    """Whichever call fails, nothing that is in use is lost, and the next prune works."""
    objects = place.backend.snapshot()
    for index in range(400):
        place.backend.restore(objects)
        calls = [0]

        def plan(_operation: Operation, _name: str, index: int = index, calls: list[int] = calls) -> Fault | None:
            calls[0] += 1
            return fault if calls[0] == index + 1 else None

        with suppress(StoreError):
            place.prune(backend=FaultyBackend(place.backend, plan))
        if calls[0] <= index:
            break
        if index % 5 == 0:
            place.look(s2=SECOND)
            place.prune()
            place.look(s2=SECOND)
    else:
        raise AssertionError("a prune makes more calls than are tried")


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["packs/", "slots/", "sessions/"])
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.CUT_LISTING, Fault.STALE_LISTING])
def test_no_listing_is_believed(place: Place, prefix: str, fault: Fault) -> None:
    """Whichever listing fails or is cut short, nothing that is in use is taken for its sake (rows 2 and 3)."""
    with place.open() as vault, vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, FIRST)
        session.commit([cap])
        for bad in range(8):
            listed = [0]

            def plan(operation: Operation, name: str, bad: int = bad, listed: list[int] = listed) -> Fault | None:
                if operation is not Operation.LIST or not name.startswith(prefix):
                    return None
                listed[0] += 1
                return fault if listed[0] == bad + 1 else None

            with suppress(StoreError):
                place.prune(backend=FaultyBackend(place.backend, plan, seed=bad))
        vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])
    place.look(s2=SECOND, s3=FIRST)


@pytest.mark.slow
def test_damaged_links_stop_a_prune(place: Place) -> None:
    """Where something in use can't be followed, nothing is deleted, and the error says so."""
    place.prune()
    with place.open() as vault:
        back_up(vault, place.target, b"3", FIRST)
        place.forget(vault, b"3")
    stopped = 0
    before = place.backend.snapshot()
    for name, size in place.packs().items():
        for start in range(20, size - 200, max(1, size // 12)):
            content = bytearray(before[name])
            content[start] ^= 1
            place.backend.put(name, bytes(content))
            try:
                place.prune()
            except DamageError as error:
                stopped += 1
                assert "nothing is deleted" in str(error)
                assert place.packs().keys() == {each for each in before if each.startswith("packs/")}
            place.backend.restore(before)
    assert stopped
    place.look(s2=SECOND)


def test_an_open_session_is_waited_for_and_fenced(place: Place) -> None:
    """A writer that sleeps for days while others prune finds its session fenced, and nothing it linked is missing (row 4)."""
    with place.open() as vault:
        with vault.session() as session:
            with session.writing() as writer:
                cap = put_tree(writer, FIRST)
            assert place.prune().deleted_packs
            with pytest.raises(FencedError):
                session.commit([cap])
        back_up(vault, place.target, b"3", FIRST)
    place.look(s2=SECOND, s3=FIRST)


def test_a_committing_session_keeps_what_it_needs(place: Place) -> None:
    """What a writer that sleeps is about to enter survives any number of prunes."""
    with place.open() as vault, vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, FIRST)
        session.commit([cap])
        for _ in range(3):
            place.prune()
        vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])
    place.look(s2=SECOND, s3=FIRST)


def test_a_session_of_a_dead_machine_is_named_and_ended(place: Place) -> None:
    """A session that was left behind while its snapshot was entered is named once it is a day old, and a repair can end it."""
    clock, started = FakeClock(), FakeClock()
    session = RegisteredSession.register(
        place.backend, place.key.keeper_key.roots, place.structure, os.urandom, started, "an old machine"
    )
    session.commit(links_of_encoded(encode_cap(place.first)))

    def prune() -> PruneReport:
        with place.open(key=place.key.keeper_key, clock=clock) as keeper:
            return Prune(keeper.components, EVERYTHING).run()

    clock.advance(23 * 3600)
    assert prune().lasting_sessions == []
    clock.advance(2 * 3600)
    report = prune()
    assert report.deleted_packs == 0
    [said] = report.lasting_sessions
    assert session.path in said
    assert "of an old machine, is committing since 20" in said
    with place.open() as vault:
        Repair(vault.components, RepairOptions(ends_sessions=True)).run([])
    report = prune()
    assert report.lasting_sessions == []
    assert report.deleted_packs > 0
    place.look(s2=SECOND)


def test_a_writer_rescues_what_is_merely_proposed(place: Place) -> None:
    """A session that commits while a prune waits for it takes what it needs out of the quarantine, and need not begin again."""
    with place.open() as vault, vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, FIRST)

        class Waiting(FakeClock):
            def sleep(self, seconds: float) -> None:
                session.commit([cap])

        with place.open(key=place.key.keeper_key, clock=Waiting()) as keeper:
            Prune(keeper.components, EVERYTHING).run()
        vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])
    place.look(s2=SECOND, s3=FIRST)


class Proposing(ForwardingBackend):
    """Another backend, where something is done just before a prune's first proposal is stored."""

    def __init__(self, inner: Backend, action: Callable[[], None]) -> None:
        super().__init__(inner)
        self.actions = [action]

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        while name == "registers/quarantine" and self.actions:
            self.actions.pop()()
        return super().put(name, data, expect=expect)


def test_what_came_alive_before_it_was_proposed_is_no_alarm(place: Place) -> None:
    """A writer that has ended between a prune's look and its proposal is never asked again: its packs stay, without a word."""
    with place.open() as vault, ExitStack() as stack:
        session = stack.enter_context(vault.session())
        with session.writing() as writer:
            cap = put_tree(writer, FIRST)
        packs = set(place.packs())

        def enter() -> None:
            session.commit([cap])
            vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])
            session.confirm()
            stack.close()
            assert not list(place.backend.list("sessions/"))

        backend = Proposing(place.backend, enter)
        report = place.prune(backend=backend)
        assert not backend.actions
        assert report.skipped == []
        assert report.deleted_packs < len(packs)
    place.look(s2=SECOND, s3=FIRST)


def test_what_was_taken_is_not_linked(place: Place) -> None:
    """A cap of what a prune took can't be linked any more, by whoever held it."""
    place.prune()
    with place.open() as vault:
        for is_writing in (False, True):
            with vault.session() as session:
                if is_writing:
                    with session.writing():
                        pass
                with pytest.raises(FencedError, match="a prune deleted it"):
                    session.commit([], found=[place.first])
        assert [item.name for item in place.backend.list("sessions/")] == []
        assert list(read_tree(vault, place.second))


class Sweeping(ForwardingBackend):
    """Another backend, where somebody deletes some packs as soon as the slots were listed."""

    def __init__(self, inner: Backend, packs: list[str]) -> None:
        super().__init__(inner)
        self.packs = packs

    def list(self, prefix: str) -> Iterator[Item]:
        while prefix == "slots/" and self.packs:
            super().delete(self.packs.pop())
        return super().list(prefix)


@pytest.mark.slow
def test_what_a_session_names_is_taken_while_a_prune_looks(place: Place) -> None:
    """Packs that another prune has decided upon and deletes do not count as lost when a session names what they held."""
    objects, counting = place.backend.snapshot(), CrashingBackend(place.backend)
    place.prune(backend=counting)
    taken = 0
    for boundary in range(counting.boundaries):
        place.backend.restore(objects)
        with pytest.raises(SimulatedCrash):
            place.prune(backend=CrashingBackend(place.backend, boundary))
        with place.open() as vault:
            vault.components.index.refresh()
            indexed = {pack_path(name) for name in vault.components.index.packs()}
        decided = [name for name in place.packs() if name not in indexed]
        taken += bool(decided)
        # Its writer looks into the quarantine only now, and will begin again.
        session = RegisteredSession.register(place.backend, place.key.keeper_key.roots, place.structure, os.urandom, FakeClock())
        session.commit(links_of_encoded(encode_cap(place.first)))
        place.prune(backend=Sweeping(place.backend, decided))
        place.look(s2=SECOND)
    assert taken > 4


def test_what_a_session_names_is_lost(place: Place) -> None:
    """A pack that is gone, and upon which no prune has decided, stops a prune also where only a session needs it."""
    before = place.packs()
    with place.open() as vault, vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, {b"new": noise(9, 700_000)})
        session.commit([cap])
    left = RegisteredSession.register(place.backend, place.key.keeper_key.roots, place.structure, os.urandom, FakeClock())
    left.commit(links_of_encoded(encode_cap(cap)))
    stopped = 0
    for name in place.packs().keys() - before.keys():
        content = place.backend.get(name)
        place.backend.delete(name)
        packs = place.packs()
        try:
            place.prune(PruneOptions(is_dry_run=True))
        except MissingObjectError:
            stopped += 1
            with pytest.raises(MissingObjectError, match="nothing is deleted"):
                place.prune()
            assert place.packs() == packs
        place.backend.put(name, content)
    assert stopped


def test_what_hangs_nowhere_stays_for_a_month(place: Place) -> None:
    """What was put without a link is kept for 30 days by the pruning client's clock, with all that it consists of."""
    content = noise(9, 1_000_000)
    with place.open() as vault:
        with vault.session() as session:
            with session.writing() as writer:
                cap = writer.put_file(io.BytesIO(content))
            session.keep([cap])
        for days, is_there in ((0, True), (29, True), (31, False)):
            clock = FakeClock()
            clock.advance(days * 86400)
            with place.open(key=place.key.keeper_key, clock=clock) as keeper:
                Prune(keeper.components, EVERYTHING).run()
            with place.open() as reader:
                found = read_file(reader, cap)
            assert found == content if is_there else isinstance(found, MissingObjectError)
        assert [item.name for item in place.backend.list("sessions/")] == []
    place.look(s2=SECOND)


def test_a_full_store_is_named(place: Place) -> None:
    """Where not even the quarantine can be written, the error says how much is needed, and nothing is deleted."""

    def plan(operation: Operation, _name: str) -> Fault | None:
        return Fault.FULL if operation in (Operation.PUT, Operation.UPLOAD, Operation.WRITE, Operation.COMMIT) else None

    before = place.packs()
    with pytest.raises(StoreFullError, match="Make that much room"):
        place.prune(backend=FaultyBackend(place.backend, plan))
    assert place.packs() == before


def test_dead_packs_go_from_a_store_with_no_room_for_an_index(place: Place) -> None:
    """Packs that are wholly dead are deleted first where there is no room even for index objects."""
    deleted = [False]

    class Full:
        def __call__(self, operation: Operation, name: str) -> Fault | None:
            if operation is Operation.DELETE and name.startswith("packs/"):
                deleted[0] = True
            is_large = operation in (Operation.UPLOAD, Operation.WRITE, Operation.COMMIT) or name.startswith("index/")
            return Fault.FULL if operation is not Operation.GET and is_large and not deleted[0] else None

    report = place.prune(PruneOptions(unused_max=1.0), backend=FaultyBackend(place.backend, Full()))
    assert report.deleted_packs
    place.look(s2=SECOND)


def test_a_beat_shows_life(place: Place) -> None:
    """A session that is stored anew is not fenced, and can still be committed."""
    roots = place.key.keeper_key.roots
    registered = RegisteredSession.register(place.backend, roots, place.structure, os.urandom, FakeClock())
    version = registered.version
    assert registered.send_heartbeat()
    assert registered.version != version
    registered.commit(b"")
    assert not registered.send_heartbeat()
    assert (
        decode_session(registered.path, place.backend.get(registered.path), roots, place.structure).state is SessionState.COMMITTING
    )
    registered.end()


def test_three_prunes_of_one_identity(place: Place) -> None:
    """One prune inside another inside a third, of one client, harm nothing (row 8)."""
    depth = [0]

    class Nested(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if depth[0] < 2:
                depth[0] += 1
                self.prune()

        def prune(self) -> None:
            with open_vault(place.backend, place.key.keeper_key, state=place.folder / "one", clock=self) as keeper:
                Prune(keeper.components, EVERYTHING).run()

    RegisteredSession.register(place.backend, place.key.keeper_key.roots, place.structure, os.urandom, FakeClock())
    Nested().prune()
    assert depth == [2]
    assert place.prune().dead_objects == 0
    place.look(s2=SECOND)


def test_what_is_locked_is_left_to_a_later_prune(place: Place) -> None:
    """A pack that the store does not give up yet is counted and no error; once it does, the next prune deletes it."""
    locked = set(place.packs())

    class Locking(ForwardingBackend):
        def delete(self, name: str, *, expect: bytes | None = None) -> None:
            if name in locked:
                raise StoreLockedError(f"{name} is locked")
            super().delete(name, expect=expect)

    first = place.prune(backend=Locking(place.backend))
    assert first.deleted_packs == 0
    assert first.locked_packs > 0
    assert first.skipped == []
    assert locked <= place.packs().keys()
    place.look(s2=SECOND)
    again = place.prune(backend=Locking(place.backend))
    assert (again.locked_packs, again.deleted_packs) == (first.locked_packs, 0)
    last = place.prune()
    assert (last.locked_packs, last.deleted_packs) == (0, first.locked_packs)
    place.look(s2=SECOND)


def test_what_another_prune_has_moved_is_left_to_it(place: Place) -> None:
    """New packs of a prune that is under way stay, though all in them lies elsewhere too: it is about to delete that."""
    with place.open() as vault:
        enter(vault, place.target, b"1", place.first)
        components = vault.components
        repacking = Repacking(components.backend, components.structure, components.randomness)
        for name, size in StoredPacks(components.backend, components.structure).sizes().items():
            repacking.move(PendingPack(name, 1, is_decided=True, offsets=frozenset()), size, lambda _: False)
        moved = {pack_path(pack.name) for pack in repacking.finish()}
    place.prune()
    assert moved <= place.packs().keys()
    place.look(s1=FIRST, s2=SECOND)


def test_what_another_prune_has_emptied_since_the_mark_is_no_alarm(place: Place) -> None:
    """Where another prune carries out what both have found decided, nothing is said of packs needed until then."""

    class Killed(ForwardingBackend):
        def upload(self) -> Upload:
            raise SimulatedCrash

    class Beside(ForwardingBackend):
        swaps = 0

        def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
            if name == "registers/quarantine":
                self.swaps += 1
                if self.swaps == 2:
                    reports.append(place.prune())
            return super().put(name, data, expect=expect)

    reports: list[PruneReport] = []
    with pytest.raises(SimulatedCrash):
        place.prune(backend=Killed(place.backend))
    with place.open() as vault:
        back_up(vault, place.target, b"3", FIRST)
        back_up(vault, place.target, b"4", SECOND)
        place.forget(vault, b"3")
    reports.append(place.prune(backend=Beside(place.backend)))
    assert reports[0].repacked_packs
    assert [report.skipped for report in reports] == [[], []]
    place.look(s2=SECOND, s4=SECOND)
