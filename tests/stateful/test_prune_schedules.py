"""Backups, forgetting, moving and pruning beside each other, in many interleavings, each replayed by its seed."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.places import InBucket, InMemory, Place
from tests.remembering import KeptStates, remembering
from tests.torture import scaled

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, MutableDirectoryWrite, parse
from tallac.dag import Entry
from tallac.errors import ConflictError, FencedError, MissingObjectError
from tallac.interfaces import Backend
from tallac.testing.determinism import START_NS, FakeClock, SeededRandomness
from tallac.testing.frugal_backend import CachingBackend
from tallac.testing.sample_vault import ARCHIVES, Tree, back_up, create_target, flatten, noise, read_tree
from tallac.testing.schedule import Schedule
from tallac.vault.format.keys import WriterKey
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault

SEEDS = 300
SLEEPY_SEEDS = 100
BUCKET_SEEDS = 100
SHARDS = 20
SEEDS_A_SHARD = 500
HOUR = 3600.0


class ScheduledClock(FakeClock):
    """A clock that goes on while others have their turns."""

    def __init__(self, schedule: Schedule, off_seconds: float) -> None:
        super().__init__(START_NS + round(off_seconds * 1e9))
        self._schedule = schedule

    def sleep(self, seconds: float) -> None:
        self._schedule.pause(always=True)
        super().sleep(seconds)


def tree(number: int) -> Tree:
    """Return one of a few trees that have much in common, so that one run reuses what another has dropped."""
    return {
        b"a%d" % (number % 3): noise(number % 3, 3000),
        b"d": {b"b": noise(10 + number % 2, 2000), b"e": {b"c": noise(20 + number % 4, 100)}},
        b"same": noise(30, 500),
    }


class World:
    """One vault and several clients."""

    def __init__(self, seed: int, folder: Path, make_place: type[Place] = InMemory) -> None:
        self.place = make_place()
        self.backend = self.place.straight
        self.memories: dict[str, KeptStates] = {}
        self.schedule = Schedule(seed, switch_rate=random.Random(seed).choice([0.05, 0.3, 0.8]))
        self.random = random.Random(seed + 1)
        self.seed = seed
        self.folder = folder
        self.key: WriterKey = create_vault(self.backend, randomness=SeededRandomness(seed))
        self.target: MutableDirectoryWrite
        with self.open_plainly("maker") as vault:
            target = create_target(vault)
            assert isinstance(target, MutableDirectoryWrite)
            self.target = target
            for number in range(3):
                back_up(vault, target, b"old%d" % number, tree(number))
        self.clocks: dict[str, FakeClock] = {}
        self.forgotten: set[bytes] = set()
        self.entered: dict[bytes, Tree] = {b"old%d" % number: tree(number) for number in range(3)}

    def open_plainly(self, client: str) -> Vault:
        """Open without a schedule."""
        randomness = SeededRandomness(self.seed * 100 + 50)
        return open_vault(self.backend, self.key, state=self.folder / client, clock=FakeClock(), randomness=randomness)

    def connect(self, client: str) -> Backend:
        """Return the store as one client sees it; in two worlds of three it caches answers, or remembers states.

        These are confirmed by listings that tell versions, or by reads beside such as do not.
        """
        scheduled = self.place.scheduled(self.schedule)
        match self.seed % 3:
            case 0:
                return scheduled
            case 1:
                return CachingBackend(scheduled, self.backend)
        memory = self.memories.setdefault(client, KeptStates())
        tells_versions = self.seed % 2 == 0
        return remembering(
            scheduled,
            self.backend,
            memory,
            pause=self.schedule.pause,
            seed=self.seed,
            tells_versions=tells_versions,
            together=self.schedule.run_together,
        )

    def clock(self, client: str) -> FakeClock:
        """Return a client's clock, which may be days off."""
        self.clocks[client] = ScheduledClock(self.schedule, self.random.uniform(-48, 48) * HOUR)
        return self.clocks[client]

    def open(self, client: str) -> Vault:
        """Open as one of the clients."""
        backend = self.connect(client)
        clock = self.clock(client)
        randomness = SeededRandomness(self.seed * 100 + len(client))
        return open_vault(backend, self.key, state=self.folder / client, clock=clock, randomness=randomness)

    def writer(self, client: str, rounds: int) -> Callable[[], None]:
        """Back up some trees, again where a prune comes in between."""
        choices = [self.random.randrange(12) for _ in range(rounds)]

        def work() -> None:
            with self.open(client) as vault:
                for number, choice in enumerate(choices):
                    name = f"{client}{number}".encode()
                    for _ in range(20):
                        try:
                            back_up(vault, self.target, name, tree(choice))
                        except FencedError:
                            continue
                        self.entered[name] = tree(choice)
                        break

        return work

    def forgetter(self, client: str, count: int) -> Callable[[], None]:
        """Forget snapshots, and link one anew under another name, as an undo does."""
        keys = [self.random.random() for _ in range(count)]

        def work() -> None:
            with self.open(client) as vault:
                archives = self.archives(vault)
                for number, key in enumerate(keys):
                    entries = vault.edit_directory(archives, lambda entries: entries)
                    entry = entries[int(key * len(entries))] if entries else None
                    if entry is None:
                        continue
                    self.forget(vault, archives, entry)
                    if number % 2:
                        self.undo(vault, archives, entry, f"{client}{number}".encode())

        return work

    def forget(self, vault: Vault, archives: DirectoryWriteCap, entry: Entry) -> None:
        """Take a snapshot out of Archives."""
        self.forgotten.add(entry.name)
        vault.edit_directory(archives, lambda entries: [each for each in entries if each.name != entry.name])

    def undo(self, vault: Vault, archives: DirectoryWriteCap, entry: Entry, name: bytes) -> None:
        """Link what was forgotten, if it is still there."""
        cap = entry.cap
        assert isinstance(cap, DirectoryReadCap)
        try:
            with vault.session() as session:
                session.commit([], found=[cap])
                vault.edit_directory(archives, lambda entries: [*entries, Entry.of(name, cap)])
        except (FencedError, MissingObjectError):
            return

    def pruner(self, client: str, rounds: int) -> Callable[[], None]:
        """Prune as a keeper; beside so many changes the index may never hold still."""

        def work() -> None:
            for number in range(rounds):
                backend = self.connect(client)
                clock = self.clock(client)
                options = PruneOptions(unused_max=self.random.choice([0, 0.05, 0.5]), fence_after_seconds=0.2)
                state = self.folder / f"{client}-{number % 2}"
                randomness = SeededRandomness(self.seed * 1000 + 10 * len(client) + number)
                with open_vault(backend, self.key.keeper_key, state=state, clock=clock, randomness=randomness) as vault:
                    try:
                        report = Prune(vault.components, options).run()
                    except ConflictError:
                        continue
                    assert report.skipped == [], "a race is no alarm"

        return work

    def suspender(self, rounds: int) -> Callable[[], None]:
        """Suspend clients, whatever they are doing, for up to 72 hours of their clocks and many turns of the others."""

        def work() -> None:
            for _ in range(rounds):
                for _ in range(self.random.randrange(12)):
                    self.schedule.pause(always=True)
                for client in self.random.sample(list(self.clocks), min(len(self.clocks), 1)):
                    self.schedule.suspend(client, self.random.randrange(200))
                    self.clocks[client].advance(self.random.uniform(0, 72) * HOUR)

        return work

    def archives(self, vault: Vault) -> DirectoryWriteCap:
        """Find Archives."""
        entry = next(entry for entry in vault.edit_directory(self.target, lambda entries: entries) if entry.name == ARCHIVES)
        assert entry.write is not None
        cap = parse(entry.write.decode())
        assert isinstance(cap, DirectoryWriteCap)
        return cap

    def look(self) -> None:
        """Assert that every linked snapshot reads back, and that the vault is healthy."""
        with self.open_plainly(os.urandom(4).hex()) as vault:
            present = {entry.name: entry for entry in vault.edit_directory(self.archives(vault), lambda entries: entries)}
            assert self.entered.keys() - self.forgotten <= set(present), "a snapshot is gone"
            for name, entry in present.items():
                cap = entry.cap
                assert isinstance(cap, DirectoryReadCap)
                found = dict(read_tree(vault, cap))
                assert all(isinstance(content, bytes) for content in found.values()), (name, found)
                if name in self.entered:
                    assert found == dict(flatten(self.entered[name]))
            report = vault.check(self.target, read_data=True)
            assert report.is_healthy, report.findings
            structure = vault.check_structure(read_data=True)
            assert structure.is_healthy, structure.findings

    def prune_alone(self) -> None:
        """Prune to the end and see that exactly what is reachable is left."""
        with open_vault(self.backend, self.key.keeper_key, state=self.folder / "last", clock=FakeClock()) as vault:
            Prune(vault.components, PruneOptions(unused_max=0, fence_after_seconds=1)).run()
            report = Prune(vault.components, PruneOptions(unused_max=0, fence_after_seconds=1)).run()
            assert report.dead_objects == 0, report
            assert report.deleted_packs == 0


def few(world: World) -> dict[str, Callable[[], None]]:
    """Two clients back up, one forgets, and up to three prunes run; the length of a client is part of its seed."""
    clients = {
        "w": world.writer("w", 3),
        "ww": world.writer("ww", 2),
        "fff": world.forgetter("fff", 4),
        "pppp": world.pruner("pppp", 2),
    }
    if world.seed % 3 == 0:
        clients["ppppp"] = world.pruner("ppppp", 2)
        clients["pppppp"] = world.pruner("pppppp", 1)
    if world.seed % 4 == 1:
        world.schedule.suspend("w", 40)
    return clients


def eight(world: World) -> dict[str, Callable[[], None]]:
    """Four clients back up, two forget and two prune, and all of them fall asleep from time to time."""
    clients = {"w" * length: world.writer("w" * length, 2) for length in (1, 2, 3, 4)}
    clients |= {"f" * length: world.forgetter("f" * length, 3) for length in (5, 6)}
    clients |= {"p" * length: world.pruner("p" * length, 2) for length in (7, 8)}
    return clients | {"suspender": world.suspender(12)}


def run_and_look(world: World, clients: dict[str, Callable[[], None]], settle: Callable[[], None] = lambda: None) -> None:
    """Run clients beside each other, and see that nothing is lost, before and after a last prune, once what is late has settled."""
    world.schedule.run(clients)
    assert not world.schedule.errors, f"seed {world.seed}: {world.schedule.errors}"
    try:
        settle()
        world.look()
        world.prune_alone()
        world.look()
    except BaseException as error:
        raise AssertionError(f"seed {world.seed}: {error}") from error
    shutil.rmtree(world.folder)


def assert_nothing_is_lost(
    folder: Path,
    seed: int,
    make_clients: Callable[[World], dict[str, Callable[[], None]]],
    make_place: type[Place] = InMemory,
) -> None:
    """Run some clients beside each other, as a seed decides."""
    world = World(seed, folder, make_place)
    run_and_look(world, make_clients(world))


@pytest.mark.parametrize("chunk", range(30))
def test_no_interleaving_loses_anything(chunk: int, states: Path) -> None:
    """In any order of writers, forgetters and prunes, what is entered restores; a last prune leaves nothing dead (rows 5 and 9)."""
    for seed in range(chunk, SEEDS, 30):
        assert_nothing_is_lost(states / str(seed), seed, few)


@pytest.mark.parametrize("chunk", range(10))
def test_no_sleep_loses_anything(chunk: int, states: Path) -> None:
    """The same for eight clients, which sleep for up to 72 hours in the middle of anything (row 7)."""
    for seed in range(chunk, SLEEPY_SEEDS, 10):
        assert_nothing_is_lost(states / str(seed), seed, eight)


@pytest.mark.parametrize("make_clients", [few, eight])
@pytest.mark.parametrize("chunk", range(10))
def test_nothing_is_lost_in_a_bucket(
    chunk: int, states: Path, make_clients: Callable[[World], dict[str, Callable[[], None]]]
) -> None:
    """The same in an object store, where others have their turn between any two requests."""
    for seed in range(chunk, BUCKET_SEEDS, 10):
        assert_nothing_is_lost(states / str(seed), seed, make_clients, InBucket)


@pytest.mark.torture
@pytest.mark.parametrize("make_clients", [few, eight])
@pytest.mark.parametrize("make_place", [InMemory, InBucket])
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_seed_loses_anything(
    states: Path,
    chance: random.Random,
    make_clients: Callable[[World], dict[str, Callable[[], None]]],
    make_place: type[Place],
    shard: int,
) -> None:
    """20,000 schedules of either kind, in either store."""
    for _ in range(scaled(SEEDS_A_SHARD)):
        seed = chance.getrandbits(48)
        assert_nothing_is_lost(states / str(seed), seed, make_clients, make_place)
