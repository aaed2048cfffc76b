from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.on_disk import folder_on_disk


def miss(reason: str) -> None:
    """Skip a test for want of something; where the want would go unnoticed, on a machine for tests, fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI is set")
    pytest.skip(reason)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Make a folder on a disk, where users have what they back up."""
    with folder_on_disk() as folder:
        yield folder


@pytest.fixture
def tallac(tmp_path: Path) -> Tallac:
    """Return the command as a user starts it, with an empty home."""
    return Tallac(tmp_path / "home", is_warm=False)


@pytest.fixture
def strace() -> str:
    """Give the tool that shows system calls."""
    found = shutil.which("strace")
    if found is None:
        miss("strace is missing")
    elif subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        miss("strace is not allowed to trace here")
    return found or ""


@pytest.fixture
def as_root() -> None:
    """Run the test as root only."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can do this")


@pytest.fixture
def journaled_disk(tmp_path: Path, as_root: None) -> Iterator[Path]:
    """Make a file system of 40 MB that keeps blocks and a journal as real disks do."""
    image, disk = tmp_path / "image", tmp_path / "journaled disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(40 << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        # Containers seldom have loop devices; a disk in memory serves the same tests.
        pytest.skip(f"no ext4 can be mounted here ({error})")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def small_disk(tmp_path: Path, as_root: None) -> Iterator[Callable[[int], Path]]:
    """Make small file systems, of so many megabytes."""
    mounted: list[Path] = []

    def make(megabytes: int) -> Path:
        disk = tmp_path / f"disk {len(mounted)}"
        disk.mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", disk], capture_output=True, check=False, text=True
        )
        if made.returncode:
            miss(f"no small disk can be mounted here ({made.stderr.strip()})")
        mounted.append(disk)
        return disk

    yield make
    for disk in mounted:
        subprocess.run(["umount", "--lazy", disk], check=True)
