"""A disk behind SFTP that is full or read-only: one line says so, a prune finds room all the same, and reading goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.end_to_end.comparing import differences, look
from tests.end_to_end.conftest import as_root, small_disk
from tests.end_to_end.test_full_disk import fill, write_noise
from tests.stores.ssh_server import SshServer

from tallac.backends.patience import Patience
from tallac.backends.retrying import RetryingBackend
from tallac.backends.sftp import SftpBackend
from tallac.backends.sftp_session import SftpSettings

__all__ = ["as_root", "small_disk"]

SIZE = 500_000


def free_on(disk: Path) -> int:
    """Return how many bytes are free."""
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize


def test_the_room_is_told(sftp_settings: SftpSettings) -> None:
    """A server tells how much room there is, through the wrapper that tries calls again."""
    told = RetryingBackend(SftpBackend(sftp_settings), Patience()).room()
    assert told is not None
    assert abs(told - free_on(Path(sftp_settings.path))) < 1 << 30


@pytest.mark.slow
def test_a_full_disk_is_pruned(
    tallac: Tallac, sshd: SshServer, small_disk: Callable[[int], Path], source: Path, tmp_path: Path
) -> None:
    """A backup says that there is no room and leaves the reserve alone; forget and prune work, and the next backup has room."""
    disk = small_disk(24)
    (disk / "vault").mkdir()
    tallac("init", sshd.url(disk / "vault"), *sshd.options)
    reserve = disk / "vault" / "reserve"
    assert len(os.listdir(reserve)) == 3
    write_noise(source / "kept", SIZE)
    for number in range(3):
        (source / f"new {number - 1}").unlink(missing_ok=True)
        write_noise(source / f"new {number}", 4 * SIZE)
        tallac("-q", "backup", source)
    fill(disk)
    assert free_on(disk) < 4096
    error = tallac("-q", "backup", source.parent, status=1).err
    assert error.count("\n") == 1
    assert f"no space left in {sshd.url(disk / 'vault')}: free some space" in error
    assert len(os.listdir(reserve)) == 3
    tallac("forget", "tallac:", "--keep-last", "1")
    pruned = tallac("--json", "prune", "tallac:")
    assert pruned.summary("unmoved_packs") == 0
    assert free_on(disk) > 4 * SIZE
    assert len(os.listdir(reserve)) == 3
    tallac("-q", "backup", source)
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "restore", "Latest", tmp_path / "out")
    assert differences(look(source), look(tmp_path / "out")) == {}


@pytest.mark.slow
def test_a_full_disk_is_pruned_by_who_has_yet_to_try_its_server(
    tallac: Tallac, sshd: SshServer, small_disk: Callable[[int], Path], source: Path
) -> None:
    """A server that has no room to be tried out is no unsafe one: a prune makes room, tries it, and goes on."""
    disk = small_disk(24)
    (disk / "vault").mkdir()
    tallac("init", sshd.url(disk / "vault"), *sshd.options)
    write_noise(source / "old", 4 * SIZE)
    tallac("-q", "backup", source)
    (source / "old").unlink()
    write_noise(source / "new", SIZE)
    tallac("-q", "backup", source)
    fill(disk)
    shutil.rmtree(tallac.home / "state" / "stores")
    assert "no space left" in tallac("-q", "backup", source.parent, status=1).err
    tallac("forget", "tallac:", "--keep-last", "1")
    assert tallac("--json", "prune", "tallac:").summary("unmoved_packs") == 0
    assert free_on(disk) > 3 * SIZE
    assert os.listdir(tallac.home / "state" / "stores")
    tallac("-q", "check", "--read-data", "tallac:")


@pytest.mark.slow
def test_a_read_only_disk_is_no_unsafe_server(sshd: SshServer, small_disk: Callable[[int], Path], tallac: Tallac) -> None:
    """Where nothing can be written, that is said, and nothing of the server."""
    disk = small_disk(8)
    (disk / "vault").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    error = tallac("init", sshd.url(disk / "vault"), *sshd.options, status=1).err
    assert error.count("\n") == 1
    assert "lies on a read-only file system" in error


@pytest.mark.slow
def test_a_read_only_disk_is_read(
    tallac: Tallac, sshd: SshServer, small_disk: Callable[[int], Path], source: Path, tmp_path: Path
) -> None:
    """A backup says in one line that nothing can be written there; what is there restores."""
    disk = small_disk(8)
    (disk / "vault").mkdir()
    tallac("init", sshd.url(disk / "vault"), *sshd.options)
    tallac("-q", "backup", source)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    error = tallac("-q", "backup", source, status=1).err
    assert error.count("\n") == 1
    assert f"{sshd.url(disk / 'vault')} lies on a read-only file system" in error
    tallac("-q", "restore", "Latest", tmp_path / "out")
    assert differences(look(source), look(tmp_path / "out")) == {}
