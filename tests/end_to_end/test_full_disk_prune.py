"""Disks without one free byte: what frees space works there, killed or not."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.end_to_end.comparing import differences, look
from tests.end_to_end.test_full_disk import fill, write_noise

KILLS = 4
SIZE = 500_000


@dataclass(frozen=True)
class Filled:
    """A full disk with a home on it: configuration, state, and a vault with four snapshots; the last has things from the first.

    Attributes:
        disk: The disk.
        source: What the last snapshot holds.
    """

    disk: Path
    source: Path
    tallac: Tallac

    @property
    def reserve(self) -> list[str]:
        """The pieces of the reserve."""
        return sorted(os.listdir(self.tallac.vault / "reserve"))

    def require_whole(self, out: Path) -> None:
        """See that the last snapshot is whole, and the vault."""
        self.tallac("-q", "check", "--read-data", "tallac:")
        self.tallac("-q", "restore", "Latest", out)
        assert differences(look(self.source), look(out)) == {}
        shutil.rmtree(out)


@pytest.fixture
def make_filled(make_tallac: Callable[[Path], Tallac], source: Path) -> Callable[[Path], Filled]:
    """Back up a changing source until a disk is full."""

    def make(disk: Path) -> Filled:
        tallac = make_tallac(disk / "home")
        for number in range(4):
            write_noise(source / f"kept {number}", SIZE)
            write_noise(source / f"gone {number}", SIZE)
        tallac("-q", "backup", source)
        for path in source.glob("gone *"):
            path.unlink()
        for number in range(3):
            (source / f"new {number - 1}").unlink(missing_ok=True)
            write_noise(source / f"new {number}", 4 * SIZE)
            tallac("-q", "backup", source)
        fill(disk)
        # Where blocks are smaller than what is written at a time, a few stay free.
        assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize < 4096
        return Filled(disk, source, tallac)

    return make


@pytest.fixture
def filled(make_filled: Callable[[Path], Filled], small_disk: Callable[[int], Path]) -> Filled:
    """Give a full disk."""
    return make_filled(small_disk(24))


def require_little_unused(tallac: Tallac) -> None:
    """See that a prune has left no more than its --max-unused lets it leave, which is a twentieth over all packs."""
    result = tallac("--json", "prune", "tallac:")
    unused, used = (int(str(result.summary(key))) for key in ("dead_bytes", "alive_bytes"))
    assert unused <= 0.05 * (unused + used)
    assert result.summary("deleted_packs") == 0


def require_forget_and_prune(filled: Filled, out: Path) -> None:
    """Forget and prune with no byte free; see that the space is back, and the reserve."""
    tallac = filled.tallac
    reserve = filled.reserve
    assert len(reserve) == 3
    assert "space" in tallac("backup", filled.source.parent, status=1).err
    assert filled.reserve == reserve
    forgotten = tallac("forget", "tallac:", "--keep-last", "1")
    assert forgotten.err == ""
    assert len(tallac("ls", "Archives").lines) == 1
    pruned = tallac("--json", "prune", "tallac:")
    assert pruned.summary("unmoved_packs") == 0
    assert pruned.summary("freed_bytes") > 4 * SIZE
    assert os.statvfs(filled.disk).f_bavail * os.statvfs(filled.disk).f_frsize > 4 * SIZE
    assert len(filled.reserve) == 3
    filled.require_whole(out)
    require_little_unused(tallac)
    write_noise(filled.source / "more", SIZE)
    tallac("-q", "backup", filled.source)
    filled.require_whole(out)


def test_forget_and_prune(filled: Filled, tmp_path: Path) -> None:
    """A backup leaves the reserve alone; forget and prune work all the same, and the next backup has room."""
    require_forget_and_prune(filled, tmp_path / "out")


def test_a_journaled_disk(make_filled: Callable[[Path], Filled], journaled_disk: Path, tmp_path: Path) -> None:
    """The same on ext4."""
    require_forget_and_prune(make_filled(journaled_disk), tmp_path / "out")


def test_undo(filled: Filled) -> None:
    """What was forgotten on a full disk was noted there, so it can come back when there is room."""
    filled.tallac("-q", "forget", "tallac:", "--keep-last", "1")
    (filled.disk / "filler").unlink()
    filled.tallac("-q", "forget", "--undo", "tallac:")
    assert len(filled.tallac("ls", "Archives").lines) == 4


def test_state_on_another_full_disk(
    source: Path, small_disk: Callable[[int], Path], make_tallac: Callable[[Path], Tallac], tmp_path: Path
) -> None:
    """Where only the state's disk is full, what is forgotten can't be noted: it is forgotten all the same, and the user is told."""
    home = small_disk(4)
    tallac = make_tallac(home / "home")
    tallac("create-alias", "usb", "--vault", tmp_path / "vault")
    for number in range(2):
        (source / "new 0").unlink(missing_ok=True)
        write_noise(source / f"new {number}", SIZE)
        tallac("-q", "backup", source, "usb:")
    fill(home)
    assert tallac("forget", "usb:", "--keep-last", "1", "--dry-run").err == ""
    forgotten = tallac("forget", "usb:", "--keep-last", "1")
    assert "can't restore it" in forgotten.err
    assert len(tallac("ls", "usb:Archives").lines) == 1
    assert tallac("--json", "prune", "usb:").summary("freed_bytes") > SIZE // 2
    assert "nothing that this machine has forgotten" in tallac.fails("forget", "--undo", "usb:")


def test_unlink(filled: Filled) -> None:
    """A name can be taken out of a directory of a full vault; none can be added."""
    filled.tallac("unlink", "tallac:Latest")
    assert filled.tallac("ls", "tallac:").lines == [b"Archives"]
    assert len(filled.reserve) == 2
    write_noise(filled.source / "more", SIZE)
    assert "space" in filled.tallac.fails("put", filled.source / "more", "tallac:more")
    assert len(filled.reserve) == 2


def test_a_vault_without_a_reserve(filled: Filled) -> None:
    """In an older vault, prune changes nothing on a full disk and says what it takes; with that little room, it works."""
    shutil.rmtree(filled.tallac.vault / "reserve")
    filler = filled.disk / "filler"
    os.truncate(filler, filler.stat().st_size - 200_000)
    filled.tallac("-q", "forget", "tallac:", "--keep-last", "1")
    fill_again(filled.disk)
    before = sorted(os.listdir(filled.tallac.vault / "packs"))
    assert "Make that much room" in filled.tallac.fails("prune", "tallac:")
    assert sorted(os.listdir(filled.tallac.vault / "packs")) == before
    (filled.disk / "filler again").unlink()
    assert filled.tallac("--json", "prune", "tallac:").summary("freed_bytes") > 4 * SIZE


def fill_again(disk: Path) -> None:
    """Leave no byte free, with another file."""
    with (disk / "filler again").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_killed_prunes(filled: Filled, tmp_path: Path, chance: random.Random) -> None:
    """Killed at any moment on a full disk, a prune loses nothing, and the next one, with no more room, ends the work."""
    tallac, saved, filler = filled.tallac, tmp_path / "saved", filled.disk / "filler"
    tallac("-q", "forget", "tallac:", "--keep-last", "1")
    subprocess.run(["cp", "-a", tallac.home, saved], check=True)
    started = time.monotonic()
    tallac("-q", "prune", "tallac:")
    seconds = time.monotonic() - started
    for _ in range(KILLS):
        filler.unlink()
        shutil.rmtree(tallac.home)
        subprocess.run(["cp", "-a", saved, tallac.home], check=True)
        fill(filled.disk)
        running = tallac.start("-q", "prune", "tallac:", own_group=True)
        # Spread over the run.
        time.sleep(seconds * chance.uniform(0.2, 1))
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        filled.require_whole(tmp_path / "out")
        assert tallac("--json", "prune", "tallac:").summary("unmoved_packs") == 0
        require_little_unused(tallac)
        filled.require_whole(tmp_path / "out")
