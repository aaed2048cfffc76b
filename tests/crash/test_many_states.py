"""Stories by the thousand: made-up backups, forgetting and prunes of one vault, each ended at a boundary of chance or at none."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.places import PLACES, InMemory, Place
from tests.torture import scaled

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, MutableDirectoryWrite, parse
from tallac.dag import Entry
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.sample_vault import ARCHIVES, Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.keys import KeeperKey, WriterKey
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.vault.vault import Vault, create_vault, open_vault

SHARDS = 20
STATES = 1_000
OPERATIONS = 5_000
BOUNDARY_MAX = 40
EVERYTHING = PruneOptions(unused_max=0)


def made_up_tree(chance: random.Random, depth: int = 0) -> Tree:
    """Make up a tree that has much in common with others."""
    tree: dict[bytes, bytes | Tree] = {}
    for number in range(chance.randrange(1, 5)):
        if depth < 2 and chance.random() < 0.3:
            tree[b"d%d" % number] = made_up_tree(chance, depth + 1)
        else:
            size = chance.choice([0, 10, 55, 56, 3_000, 20_000, 540_000 if chance.random() < 0.1 else 100])
            tree[b"%d" % number] = chance.choice([noise(chance.randrange(6), size), bytes(size), b"text" * (size // 4)])
    return tree


class Story:
    """One vault and what was done to it, as a seed decides.

    Attributes:
        expected: The snapshots that were acknowledged and not forgotten.
        possible: These, and what a run that died may have entered, or not yet forgotten.
        latest: What the newest acknowledged backup stored.
    """

    def __init__(
        self, folder: Path, chance: random.Random, key: WriterKey | None = None, make_place: type[Place] = InMemory
    ) -> None:
        self._folder = folder
        self._chance = chance
        self._place = make_place()
        self.backend = self._place.straight
        self._key: WriterKey = create_vault(self.backend, key=key, randomness=self._randomness())
        with self._open(self.backend) as vault:
            target = create_target(vault)
            assert isinstance(target, MutableDirectoryWrite)
            self._target = target
        self.expected: dict[bytes, Tree] = {}
        self.possible: dict[bytes, Tree] = {}
        self.latest: Tree | None = None

    def _randomness(self) -> SeededRandomness:
        return SeededRandomness(self._chance.getrandbits(64))

    def _open(self, backend: Backend, key: WriterKey | KeeperKey | None = None) -> Vault:
        """Open as a client that has never seen the vault, or as one that has seen some of it."""
        state = self._folder / self._chance.choice(["one", "other", self._randomness()(8).hex()])
        return open_vault(backend, key or self._key, state=state, clock=FakeClock(), randomness=self._randomness())

    def go_on(self, number: int, crash_at: int | None) -> bool:
        """Back up, forget or prune, or die in it, and tell whether it died."""
        works: list[Callable[[Backend, int], object]] = [self.back_up, self._forget, self._prune]
        try:
            self._chance.choices(works, (6, 2, 2))[0](self._place.crashing(crash_at), number)
        except SimulatedCrash:
            return True
        return False

    def back_up(self, backend: Backend, number: int) -> None:
        """Make a snapshot."""
        name, tree = b"%d" % number, made_up_tree(self._chance)
        self.possible[name] = tree
        vault = self._open(backend)
        if self._chance.random() < 0.1:
            made = vault.create_directory()
            vault.edit_directory(self._target, lambda entries: [*entries, Entry.of(b"made" + name, made)])
        back_up(vault, self._target, name, tree)
        self.expected[name] = self.latest = tree

    def _forget(self, backend: Backend, _number: int) -> None:
        """Take one snapshot out of Archives; `Latest` stays."""
        names = sorted(self.expected)
        if not names:
            return
        gone = self._chance.choice(names)
        del self.expected[gone]
        vault = self._open(backend)
        archives = _archives(vault, self._target)
        vault.edit_directory(archives, lambda entries: [entry for entry in entries if entry.name != gone])
        del self.possible[gone]

    def _prune(self, backend: Backend, _number: int) -> None:
        self.prune(backend, PruneOptions(unused_max=self._chance.choice([0, 0.05, 0.5]), fence_after_seconds=1))

    def prune(self, backend: Backend, options: PruneOptions = EVERYTHING) -> PruneReport:
        """Prune as a keeper."""
        return Prune(self._open(backend, self._key.keeper_key).components, options).run()

    def assert_whole(self) -> None:
        """Assert that everything acknowledged is there, nothing that was never requested, and no damage."""
        reader = self._folder / "reader"
        with open_vault(self.backend, self._key, state=reader) as vault:
            found: dict[bytes, dict[bytes, object]] = {}
            for entry in vault.read_directory(_archives(vault, self._target).read_cap):
                assert isinstance(entry.cap, DirectoryReadCap)
                found[entry.name] = dict(read_tree(vault, entry.cap))
            assert self.expected.keys() <= found.keys() <= self.possible.keys()
            for name, content in found.items():
                assert content == dict(flatten(self.possible[name]))
            assert vault.check(self._target.read_cap, read_data=True).findings == []
            structure = vault.check_structure(read_data=True)
            assert structure.is_healthy, structure.findings
        # Each look opens the vault as a client that has never seen it.
        shutil.rmtree(reader)

    def assert_only_reachable(self) -> None:
        """Assert that after a prune the vault is as one in which nothing else was ever stored."""
        self.prune(self.backend)
        report = self.prune(self.backend)
        alone = Story(self._folder / "alone", self._chance, self._key)
        for number, tree in enumerate([*self.expected.values(), *([self.latest] if self.latest else [])]):
            with alone._open(alone.backend) as vault:
                back_up(vault, alone._target, b"%d" % number, tree)
        only = alone.prune(alone.backend)
        assert (report.alive_objects, report.alive_bytes) == (only.alive_objects, only.alive_bytes)
        assert report.dead_objects == 0
        shutil.rmtree(self._folder / "alone")


def _archives(vault: Vault, target: MutableDirectoryWrite) -> DirectoryWriteCap:
    entries = vault.edit_directory(target, lambda entries: entries)
    cap = parse(next(entry.write for entry in entries if entry.name == ARCHIVES and entry.write).decode())
    assert isinstance(cap, DirectoryWriteCap)
    return cap


def look_at_states(folder: Path, chance: random.Random, count: int, make_place: type[Place] = InMemory) -> None:
    """Pass through so many crashes, in stories of up to a dozen."""
    states = 0
    while states < count:
        story = Story(folder / f"{states}", chance, make_place=make_place)
        for number in range(12):
            crash_at = chance.randrange(BOUNDARY_MAX) if chance.random() < 0.9 else None
            if story.go_on(number, crash_at):
                states += 1
                story.assert_whole()
        story.back_up(story.backend, 100)
        story.assert_whole()
        story.prune(story.backend)
        story.assert_whole()
        shutil.rmtree(folder / f"{states}", ignore_errors=True)


def look_at_operations(folder: Path, chance: random.Random, count: int) -> None:
    """Carry out so many operations, in stories of thirty; none of them dies."""
    for done in range(0, count, 30):
        story = Story(folder / f"{done}", chance)
        for number in range(30):
            assert not story.go_on(number, None)
            assert story.expected.keys() == story.possible.keys()
            if number % 10 == 9:
                story.assert_whole()
        story.assert_only_reachable()
        story.assert_whole()
        shutil.rmtree(folder / f"{done}")


@pytest.mark.parametrize("make_place", PLACES)
def test_some_states(states: Path, chance: random.Random, make_place: type[Place]) -> None:
    """A few of the many."""
    look_at_states(states, chance, 25, make_place)


def test_some_operations(states: Path, chance: random.Random) -> None:
    """A few of the many."""
    look_at_operations(states, chance, 300)


@pytest.mark.torture
@pytest.mark.parametrize("make_place", PLACES)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_states(states: Path, chance: random.Random, make_place: type[Place], shard: int) -> None:
    """20,000 crashes in either, in sessions that follow crashes: what was acknowledged stays, and the vault is never damaged."""
    look_at_states(states, chance, scaled(STATES), make_place)


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_operations(states: Path, chance: random.Random, shard: int) -> None:
    """100,000 operations in all: the vault holds what a list of trees holds, and a prune leaves what is reachable and no more."""
    look_at_operations(states, chance, scaled(OPERATIONS))
