"""Backups that are killed at any moment: nothing is lost, nothing is left over, and what was stored is used."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.end_to_end.comparing import differences, look
from tests.torture import SCALE

FILES = 3_000
BLOCK_SIZE = 100_000
LARGE_MEGABYTES = 60
KILLS = 8
KILLS_LONG = 50 * SCALE
TRIES = 5


@dataclass(frozen=True)
class Begun:
    """A vault with one snapshot, and a source that has grown since.

    Attributes:
        earlier: A copy of the source as it was in the snapshot.
        saved: A copy of the home, with that snapshot alone.
        seconds: How long a whole backup of the source takes.
    """

    tallac: Tallac
    source: Path
    earlier: Path
    saved: Path
    seconds: float

    def reset(self) -> None:
        """Have only the one snapshot again."""
        shutil.rmtree(self.tallac.home)
        copy(self.saved, self.tallac.home)


def copy(one: Path, other: Path) -> None:
    """Copy a folder with all its metadata."""
    subprocess.run(["cp", "-a", one, other], check=True)


def grow(source: Path, chance: random.Random, count: int, name: str) -> None:
    """Make small files in some directories."""
    for number in range(count):
        folder = source / f"{name} {number % 40}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}").write_bytes(chance.randbytes(chance.randrange(8_000)))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    """Back up a small source, and let it grow to 3,000 files and a large one."""
    folder = tmp_path_factory.mktemp("begun")
    chance = random.Random(1)
    tallac, source = Tallac(folder / "home", is_warm=False), folder / "source"
    source.mkdir()
    grow(source, chance, FILES // 10, "early")
    tallac("-q", "backup", source)
    copy(source, folder / "earlier")
    copy(tallac.home, folder / "saved")
    grow(source, chance, FILES - FILES // 10, "late")
    (source / "late 10" / "large").write_bytes(chance.randbytes(LARGE_MEGABYTES << 20))
    started = time.monotonic()
    tallac("-q", "backup", source)
    return Begun(tallac, source, folder / "earlier", folder / "saved", time.monotonic() - started)


def kill(process: subprocess.Popen[bytes], tallac: Tallac) -> bool:
    """Kill a command's whole process group, see that none of its workers stays, and tell whether it was in time."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert tallac.processes_left() == []
    return process.returncode == -signal.SIGKILL


def assert_unharmed(begun: Begun, out: Path) -> None:
    """See that the earlier snapshot is whole, the vault too, and the next backup as well."""
    tallac = begun.tallac
    names = tallac("ls", "Archives").lines
    assert len(names) in (1, 2)
    first = f"tallac:Archives/{names[0].decode()}"
    tallac("-q", "restore", first, out / "first")
    assert differences(look(begun.earlier), look(out / "first")) == {}
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "backup", begun.source)
    assert len(tallac("ls", "Archives").lines) == len(names) + 1
    tallac("-q", "restore", "Latest", out / "latest")
    assert differences(look(begun.source), look(out / "latest")) == {}
    tallac("-q", "check", "tallac:")


@pytest.mark.parametrize(
    ("number", "kills"),
    [
        *((number, KILLS) for number in range(KILLS)),
        *(pytest.param(number, KILLS_LONG, marks=pytest.mark.torture) for number in range(KILLS_LONG)),
    ],
)
def test_a_killed_backup(begun: Begun, tmp_path: Path, chance: random.Random, number: int, kills: int) -> None:
    """At whichever moment of its run: earlier snapshots are whole, nothing is left over, and the next backup works."""
    begun.reset()
    process = begun.tallac.start("-q", "backup", begun.source, own_group=True)
    # Spread over the run, and a bit longer: what happens at its end matters most.
    time.sleep(begun.seconds * 1.1 * (number + chance.random()) / kills)
    kill(process, begun.tallac)
    assert_unharmed(begun, tmp_path)


@pytest.mark.parametrize(
    ("size", "count"),
    [
        (400_000, 600),
        # The lists of large files' chunks are made durable every 64 MiB.
        (4_000_000, 120),
        # So is the list of those that one file has so far, every 128 MiB.
        (500_000_000, 1),
    ],
)
def test_a_killed_first_backup_is_not_read_again(tallac: Tallac, tmp_path: Path, size: int, count: int) -> None:
    """What a killed first backup has stored is neither read nor stored once more."""
    source, chance = tmp_path / "source", random.Random(2)
    source.mkdir()
    for number in range(count):
        with (source / f"{number}").open("wb") as file:
            file.writelines(chance.randbytes(BLOCK_SIZE) for _ in range(size // BLOCK_SIZE))
    total = count * size
    kill_a_first_backup(tallac, source, total * 0.6)
    result = tallac("--json", "backup", source)
    assert result.summary("bytes") == total
    assert result.summary("bytes_stored") < total * 0.75
    assert stored(tallac.vault) < total * 1.05
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "restore", "Latest", tmp_path / "out")
    assert differences(look(source), look(tmp_path / "out")) == {}
    assert result.summary("bytes_read") < total * 0.75


def kill_a_first_backup(tallac: Tallac, source: Path, size: float) -> None:
    """Kill one that has stored so much, and recorded what it knows of that; where it was over before, begin anew."""
    for _ in range(TRIES):
        process = tallac.start("-q", "backup", source, own_group=True)
        wait_until_stored(tallac, process, size)
        run_until_recorded(tallac, process)
        if kill(process, tallac):
            return
        shutil.rmtree(tallac.home)
    pytest.fail("every backup was over before it could be killed")


def wait_until_stored(tallac: Tallac, process: subprocess.Popen[bytes], size: float) -> None:
    """Wait until so much is in complete packs, or the process has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stored(tallac.vault) < size and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def run_until_recorded(tallac: Tallac, process: subprocess.Popen[bytes]) -> None:
    """Let a backup run in small steps until it has recorded once more what it knows of files; it stands still then.

    It does so about once a second, and may be over sooner: so that second passes while it stands still.
    """
    before = recorded(tallac)
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 1.2
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGSTOP)
        # While it stands still, the second passes after which it records.
        time.sleep(pause)
        if recorded(tallac) > before:
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        pause = 0.1


def recorded(tallac: Tallac) -> int:
    """Tell how often a backup that has not ended has recorded what it knows of files."""
    with contextlib.closing(sqlite3.connect(f"file:{tallac.home / 'state' / 'source.db'}?mode=ro", uri=True)) as database:
        (sequence,) = database.execute("SELECT coalesce(max(sequence), 0) FROM provisional").fetchone()
    assert isinstance(sequence, int)
    return sequence


def stored(vault: Path) -> int:
    """Tell how much is in complete packs."""
    return sum(path.stat().st_size for path in vault.glob("packs/[0-9a-f]*"))
