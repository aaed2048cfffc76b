"""Crash states by the thousand: made-up sessions, each ended at a boundary of chance, some of them twice."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.test_backend_boundaries import fresh
from tests.torture import SCALE

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, MutableDirectoryWrite
from tallac.dag import Entry
from tallac.interfaces import Backend
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault import Vault, WriterKey, create_vault

SHARDS = 20
STATES = 1_000
BOUNDARY_MAX = 40


@pytest.fixture
def states() -> Iterator[Path]:
    """Give a folder for the clients' states; nothing of it has to last."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


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


def snapshots(vault: Vault, target: MutableDirectoryWrite) -> dict[bytes, dict[bytes, object]]:
    """Read all snapshots."""
    archives = vault.read_directory(target.read_cap).get(b"Archives")
    assert archives is not None
    assert isinstance(archives.cap, DirectoryReadCap)
    found: dict[bytes, dict[bytes, object]] = {}
    for entry in vault.read_directory(archives.cap):
        assert isinstance(entry.cap, DirectoryReadCap)
        found[entry.name] = dict(read_tree(vault, entry.cap))
    return found


class Story:
    """One vault and what was done to it. `expected` has what was acknowledged, `possible` what a crash may have entered."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder
        self._chance = chance
        self.backend = MemoryBackend()
        self.key: WriterKey = create_vault(self.backend)
        target = create_target(fresh(self.backend, self.key, folder))
        assert isinstance(target, MutableDirectoryWrite)
        self._target = target
        self.expected: dict[bytes, Tree] = {}
        self.possible: dict[bytes, Tree] = {}

    def _open(self, backend: Backend) -> Vault:
        return fresh(backend, self.key, self._folder)

    def back_up(self, number: int, crash_at: int | None) -> bool:
        """Make a snapshot, or die in it, and tell whether it died."""
        name, tree = b"%d" % number, made_up_tree(self._chance)
        self.possible[name] = tree
        try:
            vault = self._open(CrashingBackend(self.backend, crash_at))
            if self._chance.random() < 0.1:
                made = vault.create_directory()
                vault.edit_directory(self._target, lambda entries: [*entries, Entry.of(b"made" + name, made)])
            back_up(vault, self._target, name, tree)
        except SimulatedCrash:
            return True
        self.expected[name] = tree
        return False

    def assert_whole(self) -> None:
        """See that all that was acknowledged is there, and nothing but what was ever asked for; nothing is damaged."""
        vault = self._open(self.backend)
        found = snapshots(vault, self._target)
        assert found.keys() >= self.expected.keys()
        for name, content in found.items():
            assert content == dict(flatten(self.possible[name]))
        assert vault.check(self._target.read_cap, read_data=True).findings == []
        frame = vault.check_frame(read_data=True)
        assert frame.is_healthy, frame.findings
        # Each look opened the vault as another client, with state of its own.
        for state in self._folder.iterdir():
            shutil.rmtree(state)


def look_at_states(folder: Path, chance: random.Random, count: int) -> None:
    """Pass through so many crashes, in stories of up to a dozen."""
    states = 0
    while states < count:
        story = Story(folder, chance)
        for number in range(12):
            crash_at = chance.randrange(BOUNDARY_MAX) if chance.random() < 0.9 else None
            if story.back_up(number, crash_at):
                states += 1
                story.assert_whole()
        story.back_up(100, None)
        story.assert_whole()
        assert b"100" in story.expected


def test_some_states(states: Path, chance: random.Random) -> None:
    """A few of the many."""
    look_at_states(states, chance, 25)


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_states(states: Path, chance: random.Random, shard: int) -> None:
    """20,000 crashes in all, in sessions that follow crashes: what was acknowledged stays, and the vault is never damaged."""
    look_at_states(states, chance, STATES * SCALE)
