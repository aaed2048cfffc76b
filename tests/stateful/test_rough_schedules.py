"""The schedules of the prune with misfortune: answers that get lost, clients that are killed, sessions that no listing shows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TypeVar

import pytest
from tests.places import InBucket
from tests.stateful.test_prune_schedules import World, few, run_and_look, tree
from tests.torture import scaled

from tallac.backends.passing import BoundedBackend
from tallac.caps import DirectoryReadCap, DirectoryWriteCap
from tallac.dag import Entry
from tallac.errors import FencedError, StoreError
from tallac.interfaces import Backend, Item
from tallac.testing.bucket import Request, RoughLine
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.sample_vault import back_up
from tallac.testing.schedule import Schedule
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, open_vault

SEEDS = 6
SEEDS_A_SHARD = 100
SHARDS = 5
KILLS = 6
PRUNES_MAX = 5
TRIES = 20
HIDDEN_SHARE = 0.6
RATES = (0.01, 0.04, 0.1)

T = TypeVar("T")


class Misfortune(Enum):
    """What goes wrong in a world."""

    LOST = "requests and answers get lost, come twice or late"
    KILLS = "clients are killed, and the next process of their machine goes on"
    BOTH = "both"
    HIDDEN = "prunes are never shown most sessions"

    @property
    def kills(self) -> bool:
        """Whether clients are killed."""
        return self in {Misfortune.KILLS, Misfortune.BOTH}

    @property
    def loses(self) -> bool:
        """Whether requests get lost."""
        return self in {Misfortune.LOST, Misfortune.BOTH}


class RoughTurns(RoughLine):
    """A rough line of all clients; before and after each request the schedule may switch to another one."""

    def __init__(self, schedule: Schedule, seed: int, rate: float) -> None:
        super().__init__(seed, rate)
        self._schedule = schedule

    def send(self, request: Request, carry_out: Callable[[], T]) -> T:
        """See `Line`."""
        self._schedule.pause()
        try:
            return super().send(request, carry_out)
        finally:
            if request.is_change:
                self._schedule.pause()


class Hiding(BoundedBackend):
    """Another backend, whose listings never show most sessions."""

    def __init__(self, inner: Backend, seed: int) -> None:
        super().__init__(inner)
        self._seed = seed

    def list(self, prefix: str) -> Iterator[Item]:
        return iter([item for item in super().list(prefix) if not self._hides(item.name)])

    def _hides(self, name: str) -> bool:
        return name.startswith("sessions/") and random.Random(f"{name} {self._seed}").random() < HIDDEN_SHARE


class InRoughBucket(InBucket):
    """A bucket whose clients share a rough line, once one was made.

    Attributes:
        hides: Decides which sessions are hidden from clients that come now; None for none.
    """

    hides: int | None = None

    def scheduled(self, schedule: Schedule) -> Backend:
        backend = self._bucket.backend(self._rough) if self._rough is not None else super().scheduled(schedule)
        return backend if self.hides is None else Hiding(backend, self.hides)

    def roughen(self, line: RoughLine) -> None:
        """Have all clients that come use this line."""
        self._rough = line


class RoughWorld(World):
    """A world in which clients go on where something fails, as users do who type the command again.

    Attributes:
        misfortune: What goes wrong.
        opened: How many processes have opened the vault; each has its own randomness.
    """

    def __init__(self, seed: int, folder: Path, misfortune: Misfortune) -> None:
        super().__init__(seed, folder, InRoughBucket)
        self.misfortune = misfortune
        self.opened = 0
        if misfortune.loses:
            assert isinstance(self.place, InRoughBucket)
            self.place.roughen(RoughTurns(self.schedule, seed, random.Random(seed).choice(RATES)))

    def open(self, client: str) -> Vault:
        """Open as a process of a client's machine."""
        self.opened += 1
        randomness = SeededRandomness(self.seed * 1000 + self.opened)
        state, clock = self.folder / client, self.clock(client)
        return open_vault(self.connect(client), self.key, state=state, clock=clock, randomness=randomness)

    def connect_blindly(self, client: str) -> Backend:
        """Connect as a client to which listings never show most sessions."""
        assert isinstance(self.place, InRoughBucket)
        self.place.hides = self.seed
        try:
            return self.connect(client)
        finally:
            self.place.hides = None

    def is_done(self, client: str, run: Callable[[], object]) -> bool:
        """Carry out a command; say whether it has succeeded. One that was killed has not, and its machine goes on."""
        try:
            run()
        except StoreError:
            return False
        except SimulatedCrash:
            self.schedule.revive(client)
            return False
        return True

    def writer(self, client: str, rounds: int) -> Callable[[], None]:
        """Back up some trees, each in a process of its own, again where it fails."""
        choices = [self.random.randrange(12) for _ in range(rounds)]

        def back_up_one(name: bytes, choice: int) -> None:
            with self.open(client) as vault:
                back_up(vault, self.target, name, tree(choice))

        def work() -> None:
            for number, choice in enumerate(choices):
                name = f"{client}{number}".encode()
                if any(self.is_done(client, lambda: back_up_one(name, choice)) for _ in range(TRIES)):  # noqa: B023 - it is called here.
                    self.entered[name] = tree(choice)

        return work

    def forgetter(self, client: str, count: int) -> Callable[[], None]:
        """Forget, once."""
        forget = super().forgetter(client, count)
        return lambda: self.is_done(client, forget)  # type: ignore[return-value]  # Nobody asks for it.

    def undo(self, vault: Vault, archives: DirectoryWriteCap, entry: Entry, name: bytes) -> None:
        """Link what was forgotten; what was refused after its link is taken out again."""
        cap = entry.cap
        assert isinstance(cap, DirectoryReadCap)
        with suppress(StoreError):
            try:
                with vault.session() as session:
                    session.commit([], found=[cap])
                    vault.edit_directory(archives, lambda entries: [*entries, Entry.of(name, cap)])
            except FencedError:
                vault.edit_directory(archives, lambda entries: [each for each in entries if each.name != name])

    def pruner(self, client: str, rounds: int) -> Callable[[], None]:
        """Prune as a keeper, each time in a process of its own."""

        def prune(number: int) -> None:
            self.opened += 1
            backend = self.connect_blindly(client) if self.misfortune is Misfortune.HIDDEN else self.connect(client)
            options = PruneOptions(unused_max=self.random.choice([0, 0.05, 0.5]), fence_after_seconds=0.2)
            state, clock = self.folder / f"{client}-{number % 2}", self.clock(client)
            randomness = SeededRandomness(self.seed * 1000 + self.opened)
            with open_vault(backend, self.key.keeper_key, state=state, clock=clock, randomness=randomness) as vault:
                report = Prune(vault.components, options).run()
            # One that was not shown a session may decide upon what that is about to link, and then says so.
            assert report.skipped == [] or self.misfortune is Misfortune.HIDDEN, "a race is no alarm"

        def work() -> None:
            for number in range(rounds):
                self.is_done(client, lambda: prune(number))  # noqa: B023 - it is called here.

        return work

    def prune_alone(self) -> None:
        """Prune until nothing is dead: what killed prunes have begun takes a prune or two more than else."""
        report = None
        for _ in range(PRUNES_MAX):
            with open_vault(self.backend, self.key.keeper_key, state=self.folder / "last", clock=FakeClock()) as vault:
                report = Prune(vault.components, PruneOptions(unused_max=0, fence_after_seconds=1)).run()
            if report.dead_objects == report.deleted_packs == 0:
                return
        raise AssertionError(report)

    def killer(self, clients: list[str]) -> Callable[[], None]:
        """Kill clients now and then."""

        def work() -> None:
            for _ in range(KILLS):
                for _ in range(self.random.randrange(25)):
                    self.schedule.pause(always=True)
                self.schedule.kill(self.random.choice(clients))

        return work


def assert_nothing_is_lost(folder: Path, seed: int, misfortune: Misfortune) -> None:
    """Run some clients beside each other, as a seed decides."""
    world = RoughWorld(seed, folder, misfortune)
    clients = few(world)
    if misfortune.kills:
        clients["killer"] = world.killer(list(clients))
    run_and_look(world, clients, world.place.settle)


def is_at_a_distance(seed: int) -> bool:
    """Whether the clients of a world know that a request may be carried out when nobody waits for it any more."""
    return seed % 3 != 0


@pytest.mark.parametrize("misfortune", Misfortune)
def test_no_misfortune_loses_anything(misfortune: Misfortune, states: Path) -> None:
    """In any order of clients that meet with misfortune, what is entered restores, and what is linked is whole."""
    for seed in range(SEEDS):
        if is_at_a_distance(seed):
            assert_nothing_is_lost(states / str(seed), seed, misfortune)


@pytest.mark.torture
@pytest.mark.parametrize("misfortune", Misfortune)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_misfortune_of_many_loses_anything(states: Path, chance: random.Random, misfortune: Misfortune, shard: int) -> None:
    """The same for many seeds."""
    for _ in range(scaled(SEEDS_A_SHARD)):
        seed = chance.getrandbits(48)
        if is_at_a_distance(seed):
            assert_nothing_is_lost(states / str(seed), seed, misfortune)
