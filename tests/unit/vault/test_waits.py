"""Over a line it is the waits that take time: requests that need not wait for each other are under way together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
from tests.remembering import KeptStates

from tallac.backends import remembering
from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.backends.remembering import RememberingBackend
from tallac.caps import DirectoryWriteCap, parse
from tallac.dag import Entry
from tallac.interfaces import Expect, Item, Version
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.sample_vault import ARCHIVES, Tree, back_up, create_target, noise
from tallac.vault import distance
from tallac.vault.check import structure
from tallac.vault.check.options import CheckOptions
from tallac.vault.check.vault_check import check_vault
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault

T = TypeVar("T")
FIRST: Tree = {b"a": noise(1, 100_000), b"d": {b"large": noise(2, 1_200_000)}, b"same": noise(3, 500)}
SECOND: Tree = {b"a": noise(4, 90_000), b"d": {b"large": noise(5, 1_200_000)}, b"same": noise(3, 500)}


class Waits(ForwardingBackend):
    """A store that counts how often its client waits for an answer, packs left out, which are read ahead."""

    def __init__(self, inner: MemoryBackend) -> None:
        super().__init__(inner)
        self.count = 0
        self._is_together = False

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Carry out calls whose answers are waited for once."""
        self._wait()
        self._is_together = True
        try:
            return [call() for call in calls]
        finally:
            self._is_together = False

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        if not name.startswith("packs/"):
            self._wait()
        return super().get(name, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        self._wait()
        return super().get_versioned(name)

    def list(self, prefix: str) -> Iterator[Item]:
        self._wait()
        return super().list(prefix)

    def put(self, name: str, data: bytes | bytearray | memoryview, *, expect: Expect | Version | None = None) -> Version:
        self._wait()
        return super().put(name, data, expect=expect)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        self._wait()
        super().delete(name, expect=expect)

    def _wait(self) -> None:
        if not self._is_together:
            self.count += 1


class Place:
    """A vault with two snapshots behind a line."""

    def __init__(self, folder: Path) -> None:
        store = MemoryBackend()
        self._folder = folder
        self.waits = Waits(store)
        self._seeds = count(2)
        self._memory = KeptStates()
        self._key = create_vault(store, randomness=SeededRandomness(1))
        with self.open() as vault:
            self.target: DirectoryWriteCap = create_target(vault)
            back_up(vault, self.target, b"1", FIRST)
            back_up(vault, self.target, b"2", SECOND)

    def forget(self, vault: Vault, name: bytes) -> None:
        """Take a snapshot out of `Archives`."""
        entry = next(entry for entry in vault.edit_directory(self.target, lambda entries: entries) if entry.name == ARCHIVES)
        assert entry.write is not None
        archives = parse(entry.write.decode())
        assert isinstance(archives, DirectoryWriteCap)
        vault.edit_directory(archives, lambda entries: [entry for entry in entries if entry.name != name])

    def open(self, backend: RememberingBackend | None = None) -> Vault:
        """Open as the client that has made it, in another process."""
        backend = backend or RememberingBackend(self.waits, self._memory, together=self.waits.together)
        return open_vault(backend, self._key, state=self._folder, clock=FakeClock(), randomness=SeededRandomness(next(self._seeds)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give such a vault."""
    return Place(tmp_path)


def test_a_check_waits_for_few_answers(place: Place) -> None:
    """A check asks for what is there, then for all that is small at once, whatever the number of directories."""
    with place.open() as vault:
        before = place.waits.count
        report = check_vault(vault.components, None, CheckOptions())
    assert report.is_healthy
    assert place.waits.count - before <= 3


def test_a_prune_waits_for_few_answers(place: Place) -> None:
    """A prune that deletes packs and empties one waits as often as its protocol has steps."""
    with place.open() as vault:
        place.forget(vault, b"1")
        before = place.waits.count
        report = Prune(vault.components, PruneOptions(unused_max=0)).run()
    assert report.deleted_packs > 1
    assert place.waits.count - before <= 17


class Holding(RememberingBackend):
    """Notes how many bytes of answers are kept at a time for what is read next."""

    most = 0

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        answers = [answer for ready in self._answers.values() for kept in ready.values() for answer in kept[:1]]
        self.most = max(self.most, sum(len(answer[0]) for answer in answers if isinstance(answer, tuple)))
        return super().get_versioned(name)


@pytest.mark.parametrize("job", ["check", "prune"])
def test_many_directories_are_not_in_memory_at_once(place: Place, monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    """Of a vault with more directories than fit into memory, a check and a prune hold some at a time, and wait for batches."""
    budget = 60_000
    monkeypatch.setattr(remembering, "FETCHED_SIZE_MAX", budget)
    monkeypatch.setattr(distance, "BATCH_SIZE_MAX", budget)
    monkeypatch.setattr(structure, "BATCH_SIZE_MAX", budget)
    with place.open() as vault:
        entries = [Entry.of(noise(number, 20).hex().encode(), place.target) for number in range(60)]
        for _ in range(30):
            vault.edit_directory(vault.create_directory(), lambda old: [*old, *entries])
        place.forget(vault, b"1")
    holding = Holding(place.waits, KeptStates(), together=place.waits.together)
    sizes = [item.size for item in place.waits.list("slots/")]
    assert sum(sizes) > 6 * budget
    with place.open(holding) as vault:
        before = place.waits.count
        if job == "check":
            assert check_vault(vault.components, None, CheckOptions()).is_healthy
        else:
            assert Prune(vault.components, PruneOptions(unused_max=0)).run().deleted_packs > 1
    assert 0 < holding.most <= 3 * budget
    # One by one they would be waited for each time that they are looked at.
    assert place.waits.count - before < len(sizes) + 35


def test_a_backup_waits_for_few_answers(place: Place) -> None:
    """One wait for the session and what it begins with, one each for commit, look and two swaps, and one for last look and end."""
    with place.open() as vault:
        before = place.waits.count
        back_up(vault, place.target, b"3", FIRST)
    # And one for `Archives`, which this looks up among what is linked.
    assert place.waits.count - before <= 6 + 1
