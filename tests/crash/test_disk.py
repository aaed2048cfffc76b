import errno
import itertools
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.crash.test_many_states import made_up_tree
from tests.torture import scaled

from tallac.backends.local import LocalBackend
from tallac.caps import DirectoryReadCap, MutableDirectoryWrite
from tallac.errors import StoreError
from tallac.file_calls import FileCalls
from tallac.testing.crash_disk import CrashDisk, Survival
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.determinism import SeededRandomness
from tallac.testing.file_calls import NEEDS_SPACE, FaultyFileCalls, FileCall
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.keys import WriterKey, make_writer_key
from tallac.vault.vault import Vault, create_vault, open_vault

FIRST: Tree = {b"a": noise(1, 3_000), b"d": {b"e": noise(2, 400), b"empty": {}}}
SECOND: Tree = {b"a": noise(3, 3_000), b"d": {b"e": noise(2, 400)}}
RANDOM_SEEDS = 3
WORKLOADS = 20
CODES = [errno.ENOSPC, errno.EIO, errno.EDQUOT, pytest.param(None, id="MemoryError")]

_numbers = itertools.count()


@dataclass
class Attempt:
    """The knowledge of a run before it died: the key, a target, and the acknowledged changes."""

    key: WriterKey
    target: MutableDirectoryWrite | None = None
    acknowledged: dict[bytes, Tree] | None = None

    def run(self, files: FileCalls, folder: Path, state: Path) -> None:
        """Make a vault in a folder, and two snapshots."""
        self.acknowledged = {}
        state = fresh(state)
        backend = LocalBackend(folder, files=files)
        create_vault(backend, key=self.key, randomness=SeededRandomness(1))
        vault = open_vault(backend, self.key, state=state, randomness=SeededRandomness(2))
        target = create_target(vault)
        assert isinstance(target, MutableDirectoryWrite)
        self.target = target
        for name, tree in ((b"1", FIRST), (b"2", SECOND)):
            back_up(vault, target, name, tree)
            self.acknowledged[name] = tree


def fresh(state: Path) -> Path:
    """Forget what a machine knew; what a process has seen in one folder it does not forget with the folder."""
    shutil.rmtree(state, ignore_errors=True)
    return state / str(next(_numbers))


def snapshots(vault: Vault, target: MutableDirectoryWrite) -> Iterator[tuple[bytes, dict[bytes, object]]]:
    """Read all snapshots."""
    archives = vault.read_directory(target.read_cap).get(b"Archives")
    assert archives is not None
    assert isinstance(archives.cap, DirectoryReadCap)
    for entry in vault.read_directory(archives.cap):
        assert isinstance(entry.cap, DirectoryReadCap)
        yield entry.name, dict(read_tree(vault, entry.cap))


def assert_whole(folder: Path, attempt: Attempt, state: Path) -> None:
    """Assert that acknowledged changes are there, that nothing is damaged, and that the next session works."""
    state = fresh(state)
    backend = LocalBackend(folder)
    if attempt.target is None:
        create_vault_again(backend, attempt.key)
        attempt = Attempt(attempt.key, acknowledged={})
    vault = open_vault(backend, attempt.key, state=state)
    target = attempt.target
    if target is None:
        made = create_target(vault)
        assert isinstance(made, MutableDirectoryWrite)
        target = made
    found = dict(snapshots(vault, target))
    assert attempt.acknowledged is not None
    for name, tree in attempt.acknowledged.items():
        assert found[name] == dict(flatten(tree))
    for name, content in found.items():
        assert content == dict(flatten({b"1": FIRST, b"2": SECOND}[name]))
    assert vault.check(target.read_cap, read_data=True).findings == []
    structure = vault.check_structure(read_data=True)
    assert structure.is_healthy, structure.findings
    back_up(vault, target, b"3", SECOND)
    assert vault.check(target.read_cap, read_data=True).findings == []
    assert dict(snapshots(vault, target))[b"3"] == dict(flatten(SECOND))
    vault.close()


def create_vault_again(backend: LocalBackend, key: WriterKey) -> None:
    """Go on with making the vault, unless the killed run was further than that."""
    with suppress(StoreError):
        create_vault(backend, key=key)


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.torture)])
@pytest.mark.parametrize("survival", list(Survival))
def test_power_is_lost_at_every_boundary(states: Path, survival: Survival, step: int) -> None:
    """Whatever part of what was not synced survives, acknowledged snapshots are whole and work goes on (row 17)."""
    attempt = Attempt(make_writer_key(SeededRandomness(3)))
    (states / "counted").mkdir()
    counted = CrashDisk(states / "counted")
    attempt.run(counted, states / "counted", states / "state")
    assert counted.boundaries > 100
    seeds = scaled(RANDOM_SEEDS) if survival is Survival.RANDOM and step == 1 else 1
    # Each survival begins at another boundary, so that together they pass all of them.
    for boundary in range(list(Survival).index(survival) if step > 1 else 0, counted.boundaries, step):
        attempt = Attempt(attempt.key)
        folder = states / f"{boundary}"
        folder.mkdir()
        disk = CrashDisk(folder, boundary)
        with suppress(SimulatedCrash):
            attempt.run(disk, folder, states / "state")
        shutil.rmtree(states / "state", ignore_errors=True)
        shutil.rmtree(folder)
        for seed in range(boundary, boundary + seeds):
            survivor = states / f"{boundary} {seed}"
            disk.surviving(survival, seed).write_to(survivor)
            assert_whole(survivor, attempt, states / "state")
            shutil.rmtree(survivor)


def fail_at_every_call(states: Path, code: int | None, second: Tree) -> None:
    """Make a snapshot that fails at one call, and see what is there then; the same for each of its calls."""
    folder = states / "vault"
    folder.mkdir()
    attempt = Attempt(make_writer_key())
    key = attempt.key
    create_vault(LocalBackend(folder), key=key)
    vault = open_vault(LocalBackend(folder), key, state=states / "first")
    target = create_target(vault)
    assert isinstance(target, MutableDirectoryWrite)
    back_up(vault, target, b"1", FIRST)
    vault.close()
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def run(files: FaultyFileCalls) -> None:
        """Make the second snapshot."""
        state = fresh(states / "state")
        vault = open_vault(LocalBackend(folder, files=files), key, state=state, randomness=SeededRandomness(9))
        back_up(vault, target, b"2", second)

    counted = FaultyFileCalls()
    run(counted)
    assert counted.count > 100
    for number in range(counted.count):
        restored(folder, before)
        files = FaultyFileCalls(number, code, stays_full=code not in (errno.EIO, None))
        error: StoreError | MemoryError | None = None
        try:
            run(files)
        except (StoreError, MemoryError) as raised:
            error = raised
        reader = open_vault(LocalBackend(folder), key, state=fresh(states / "reader"))
        found = dict(snapshots(reader, target))
        assert found[b"1"] == dict(flatten(FIRST))
        assert b"2" not in found or found[b"2"] == dict(flatten(second))
        if error is None:
            assert b"2" in found, files.failed
        elif files.failed[0].name in NEEDS_SPACE and not _is_after_the_slot(files.failed[0].path):
            assert b"2" not in found or files.failed[0].name in {"sync_folder", "rename"}, files.failed
        assert reader.check(target.read_cap, read_data=True).findings == []
        assert reader.check_structure(read_data=True).is_healthy
        reader.close()


@pytest.mark.parametrize("code", CODES)
def test_the_disk_fails_at_every_call(states: Path, code: int | None) -> None:
    """A full or failing disk at any call of a session is an error; nothing is entered then, and the vault is whole (row 1)."""
    fail_at_every_call(states, code, SECOND)


@pytest.mark.torture
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("number", range(scaled(WORKLOADS)))
def test_the_disk_fails_at_every_call_of_any_backup(states: Path, chance: random.Random, code: int | None, number: int) -> None:
    """The same for snapshots that are made up."""
    fail_at_every_call(states, code, made_up_tree(chance))


def _is_after_the_slot(path: str) -> bool:
    return "sessions" in path or "slots" in path or os.path.basename(path).startswith(".tmp-")


def restored(folder: Path, files: dict[Path, bytes]) -> None:
    """Bring a folder back to what it was."""
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder) not in files:
            path.unlink()
    for path, content in files.items():
        if (folder / path).read_bytes() != content:
            (folder / path).write_bytes(content)


class LyingDisk(CrashDisk):
    """A disk on which one kind of sync does nothing."""

    def __init__(self, folder: Path, lies_about: str) -> None:
        super().__init__(folder)
        self._lies_about = lies_about

    def after(self, call: FileCall, data: bytes = b"") -> None:
        """Forget the sync."""
        if call.name != self._lies_about:
            super().after(call, data)


@pytest.mark.parametrize("sync", ["fdatasync", "sync_folder"])
def test_without_a_sync_something_is_lost(states: Path, sync: str) -> None:
    """These tests can fail: where syncing files or folders does nothing, an acknowledged snapshot is lost."""
    folder = states / "vault"
    folder.mkdir()
    attempt = Attempt(make_writer_key(SeededRandomness(3)))
    disk = LyingDisk(folder, sync)
    attempt.run(disk, folder, states / "state")
    disk.surviving(Survival.NONE).write_to(states / "survivor")
    with pytest.raises((AssertionError, StoreError)):
        assert_whole(states / "survivor", attempt, states / "state")
