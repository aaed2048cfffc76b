"""Disks that are full or read-only: an error that says so, nothing entered, and reading goes on."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.end_to_end.comparing import differences, look

MEGABYTE = 1 << 20


@pytest.fixture
def disk(small_disk: Callable[[int], Path]) -> Path:
    """Give a disk of 8 MB."""
    return small_disk(8)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (MEGABYTE, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def write_noise(path: Path, size: int) -> None:
    """Write what no compressor makes smaller."""
    path.write_bytes(random.Random(str(path)).randbytes(size))


def test_a_full_disk(tallac: Tallac, source: Path, disk: Path, tmp_path: Path) -> None:
    """A backup that does not fit enters nothing; the full disk is read as before; with room made, the next backup works."""
    tallac("create-alias", "usb", "--vault", disk / "vault")
    write_noise(source / "first", 2 * MEGABYTE)
    tallac("-q", "backup", source, "usb:")
    listed = tallac("ls", "usb:Archives").out
    earlier = look(source)
    for number in range(40):
        write_noise(source / f"more {number}", MEGABYTE // 2)
    message = tallac.fails("backup", source, "usb:")
    assert str(disk) in message
    assert "space" in message
    filler = fill(disk)
    assert "space" in tallac.fails("backup", source, "usb:")
    assert tallac("ls", "usb:Archives").out == listed
    assert len(tallac("snapshots", "usb:").lines) == 2
    tallac("-q", "check", "--read-data", "usb:")
    tallac("-q", "restore", "usb:Latest", tmp_path / "out")
    assert differences(earlier, look(tmp_path / "out")) == {}
    filler.unlink()
    for path in source.glob("more *"):
        path.unlink()
    write_noise(source / "fits", MEGABYTE)
    tallac("-q", "backup", source, "usb:")
    assert len(tallac("ls", "usb:Archives").lines) == 2
    tallac("-q", "check", "--read-data", "usb:")


def test_a_full_disk_of_small_files(tallac: Tallac, source: Path, disk: Path) -> None:
    """The same where many small files do not fit, and workers run into it."""
    tallac("create-alias", "usb", "--vault", disk / "vault")
    tallac("-q", "backup", source, "usb:")
    for number in range(3000):
        write_noise(source / f"small {number}", 5_000)
    assert str(disk) in tallac.fails("backup", source, "usb:")
    assert len(tallac("ls", "usb:Archives").lines) == 1
    tallac("-q", "check", "--read-data", "usb:")


def test_a_read_only_disk(tallac: Tallac, source: Path, disk: Path, tmp_path: Path) -> None:
    """From a disk that is mounted read-only everything is read; what would write says what is in the way."""
    tallac("create-alias", "usb", "--vault", disk / "vault")
    tallac("-q", "backup", source, "usb:")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    (source / "new").write_text("new " * 1000)
    for line in (f"backup {source} usb:", "mkdir usb:x", "put - usb:x", "unlink usb:Latest"):
        message = tallac.fails(*line.split())
        assert str(disk) in message
        assert "ead-only" in message, message
    assert tallac("ls", "usb:").lines == [b"Archives", b"Latest"]
    assert len(tallac("snapshots", "usb:").lines) == 2
    tallac("-q", "check", "--read-data", "usb:")
    tallac("-q", "restore", "usb:Latest", tmp_path / "out")
    assert (tmp_path / "out" / "parent" / "subdir" / "foo.txt").read_text() == "foo"
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    tallac("-q", "backup", source, "usb:")


def test_a_full_home(source: Path, disk: Path, tmp_path: Path, make_tallac: Callable[[Path], Tallac]) -> None:
    """Where there is no room for state, also not for a first look, reading works; so does it on a read-only home."""
    tallac = make_tallac(disk / "home")
    tallac("create-alias", "tallac", "--vault", tmp_path / "vault")
    tallac("-q", "backup", source)
    subprocess.run(["rm", "-rf", disk / "home" / "state"], check=True)
    fill(disk)
    assert os.statvfs(disk).f_bavail == 0
    assert_reads(tallac, source, tmp_path / "full")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert_reads(tallac, source, tmp_path / "read-only")


def assert_reads(tallac: Tallac, source: Path, out: Path) -> None:
    """List, check and restore."""
    assert tallac("ls").lines == [b"Archives", b"Latest"]
    assert len(tallac("snapshots").lines) == 2
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "restore", "Latest", out)
    assert differences(look(source), look(out)) == {}
