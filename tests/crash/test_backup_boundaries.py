"""Whole backups, with their source database, that die at every boundary between two changes of the store."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from tests.ticks import AHEAD_NS, pass_a_tick

from tallac.backends.memory import MemoryBackend
from tallac.backup import BackupSummary
from tallac.backup.request import BackupRequest
from tallac.backup.run import back_up
from tallac.caps import DirectoryReadCap, MutableDirectoryWrite
from tallac.interfaces import Backend
from tallac.sourcedb import SourceDatabase
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.sample_vault import noise, read_tree
from tallac.vault.format.keys import WriterKey
from tallac.vault.vault import create_vault, open_vault

Content = dict[bytes, bytes]


@dataclass
class Machine:
    """A machine with a source, a source database and a clock that is ahead of the file system's, so that files count as settled."""

    folder: Path
    key: WriterKey
    target: MutableDirectoryWrite
    clock: FakeClock
    state: str = "state"

    @property
    def source(self) -> Path:
        """The source."""
        return self.folder / "source"

    def back_up(self, backend: Backend, seed: int) -> BackupSummary:
        """Make a snapshot, a minute after the last one, in this process alone."""
        self.clock.advance(60)
        order = BackupRequest(self.target, (b"docs",), os.fsencode(self.source), workers=0)
        vault = open_vault(backend, self.key, state=self.folder / self.state, randomness=SeededRandomness(seed))
        with vault, SourceDatabase(self.folder / "source.db", pytest.fail) as database:
            summary = back_up(vault, order, database, self.clock)
        pass_a_tick(self.folder)
        return summary

    def snapshots(self, backend: Backend) -> tuple[list[Content], Content | None]:
        """Read, as a client that has seen nothing, all snapshots and the latest."""
        shutil.rmtree(self.folder / "reader", ignore_errors=True)
        with open_vault(backend, self.key, state=self.folder / "reader") as vault:

            def read(cap: DirectoryReadCap) -> Content:
                found = dict(read_tree(vault, cap))
                assert all(isinstance(content, bytes) for content in found.values()), found
                return {path: content for path, content in found.items() if isinstance(content, bytes)}

            docs = vault.read_directory(self.target.read_cap).get(b"docs")
            assert docs is not None
            assert isinstance(docs.cap, DirectoryReadCap)
            entries = {entry.name: entry.cap for entry in vault.read_directory(docs.cap)}
            archives, latest = entries[b"Archives"], entries.get(b"Latest")
            assert isinstance(archives, DirectoryReadCap)
            caps = [entry.cap for entry in vault.read_directory(archives)]
            assert latest in caps
            assert vault.check(self.target.read_cap, read_data=True).is_healthy
            structure = vault.check_structure(read_data=True)
            assert structure.is_healthy, structure.findings
            contents = [read(cap) for cap in caps if isinstance(cap, DirectoryReadCap)]
            return contents, read(latest) if isinstance(latest, DirectoryReadCap) else None

    def content(self) -> Content:
        """Read the source as snapshots are read."""
        found: Content = {}
        for path in self.source.rglob("*"):
            name = os.fsencode(path.relative_to(self.source))
            if path.is_file():
                found[name] = path.read_bytes()
            elif not any(path.iterdir()):
                found[name + b"/"] = b""
        return found


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Machine, MemoryBackend]:
    """A machine that has made one snapshot of a small source, and its vault."""
    backend = MemoryBackend()
    key = create_vault(backend, randomness=SeededRandomness(1))
    with open_vault(backend, key, state=tmp_path / "state", randomness=SeededRandomness(2)) as vault:
        target = vault.create_directory()
    assert isinstance(target, MutableDirectoryWrite)
    made = Machine(tmp_path, key, target, FakeClock(time.time_ns() + AHEAD_NS))
    (made.source / "empty").mkdir(parents=True)
    for number in range(6):
        (made.source / f"{number % 3}").mkdir(exist_ok=True)
        (made.source / f"{number % 3}" / f"file {number}").write_bytes(noise(number, 5_000))
    made.back_up(backend, 3)
    return made, backend


def change_some(source: Path) -> None:
    """Change, add, remove and enlarge."""
    (source / "0" / "file 0").write_bytes(noise(10, 6_000))
    (source / "1" / "new").write_bytes(noise(11, 700_000))
    (source / "2" / "file 2").unlink()
    (source / "empty").rmdir()
    (source / "empty").write_bytes(b"a file now")


def change_nothing(source: Path) -> None:
    """Leave all as it is: only the slots change."""


@pytest.mark.parametrize("change", [change_some, change_nothing], ids=lambda change: change.__name__)
def test_a_crash_at_every_boundary(machine: tuple[Machine, MemoryBackend], change: Callable[[Path], None]) -> None:
    """Also between the edits of `Archives` and `Latest`: snapshots are whole, and the next backup is as if nothing had been."""
    made, backend = machine
    before = made.content()
    change(made.source)
    after = made.content()
    stored = backend.snapshot()
    shutil.copytree(made.folder / "state", made.folder / "saved state")
    shutil.copy(made.folder / "source.db", made.folder / "saved.db")

    numbers = count()

    def reset() -> None:
        backend.restore(stored)
        for left in made.folder.glob("source.db*"):
            left.unlink()
        shutil.copy(made.folder / "saved.db", made.folder / "source.db")
        # A machine that was never there: what a process has seen in a state folder it remembers, whatever becomes of the folder.
        made.state = f"state {next(numbers)}"
        shutil.copytree(made.folder / "saved state", made.folder / made.state)

    counted = CrashingBackend(backend)
    made.back_up(counted, 4)
    assert counted.boundaries >= 6
    for boundary in range(counted.boundaries):
        reset()
        with pytest.raises(SimulatedCrash):
            made.back_up(CrashingBackend(backend, boundary), 4)
        contents, latest = made.snapshots(backend)
        assert contents in ([before], [before, after]), boundary
        assert latest in contents
        made.back_up(backend, 5)
        contents_then, latest = made.snapshots(backend)
        assert contents_then == [*contents, after], boundary
        assert latest == after
        again = made.back_up(backend, 6)
        assert (again.bytes_read, again.files.new, again.files.changed) == (0, 0, 0)
