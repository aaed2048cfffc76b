import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Tallac

pytestmark = pytest.mark.slow


def need(*tools: str) -> None:
    """Skip a test where a file system can't be mounted."""
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        pytest.skip("mounting takes root and /dev/fuse")
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A folder to mount on; unmounted at the end."""
    folder = tmp_path / "mount"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)


@pytest.fixture
def exfat(tmp_path: Path, mount: Path) -> Iterator[Path]:
    """Give a file system of 64 MB as memory cards and sticks have it."""
    need("mkfs.exfat", "mount.exfat-fuse", "losetup")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.exfat", str(image)], check=True, capture_output=True)
    device = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True, check=False).stdout.strip()
    if not device:
        pytest.skip("no loop device is to be had")
    try:
        subprocess.run(["mount.exfat-fuse", device, str(mount)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield mount
        subprocess.run(["umount", str(mount)], check=True)
    finally:
        subprocess.run(["losetup", "-d", device], check=False, capture_output=True)


def test_mergerfs_hides_which_names_are_one_file(tallac: Tallac, tmp_path: Path, mount: Path) -> None:
    """Restoring links again where they have inode numbers of their own leaves no temporary name behind."""
    need("mergerfs")
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").write_text("one")
    os.link(source / "one", source / "two")
    for branch in ("b1", "b2"):
        (tmp_path / branch).mkdir()
    subprocess.run(["mergerfs", f"{tmp_path}/b1:{tmp_path}/b2", str(mount)], check=True, capture_output=True)
    tallac("backup", source)
    for _ in range(2):
        tallac("restore", "tallac:Latest", mount / "r", "--overwrite", "if-changed")
        assert sorted(os.listdir(mount / "r")) == ["one", "two"]


def test_exfat_has_no_fifos(tallac: Tallac, tmp_path: Path, exfat: Path) -> None:
    """What exFAT can't hold is named, and the thesis is there."""
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(source / "s"))
    (source / "a:b").write_text("colon")
    (source / "thesis.txt").write_text("thesis")
    tallac("backup", source)
    result = tallac("restore", "tallac:Latest", exfat / "r", status=1)
    assert os.listdir(exfat / "r") == ["thesis.txt"]
    assert "fifo: this file system can't hold it (Input/output error)" in result.err
    assert "a:b: this file system has no such names" in result.err
    assert "permissions of 2 files and directories are not as they were" in result.err


def test_a_copy_to_exfat_replaces_nothing_of_another_name(tallac: Tallac, tmp_path: Path, exfat: Path) -> None:
    """Of two names that are one on exFAT, `cp -r` writes the first and names the second, in files, links and folders."""
    source = tmp_path / "source"
    for folder in ("d", "D"):
        (source / folder).mkdir(parents=True)
        (source / folder / folder).write_text(folder)
    for name in ("letter", "Letter"):
        (source / name).write_text(name)
    tallac("-q", "backup", source)
    for _ in range(2):
        copied = tallac("cp", "-r", "tallac:Latest", exfat / "r", status=1)
        assert copied.err.count("takes the two for one") == 2
        [top] = [folder for folder, _, names in os.walk(exfat / "r") if "Letter" in names]
        assert sorted(os.listdir(top)) == ["D", "Letter"]
        assert (Path(top) / "Letter").read_text() == "Letter"
        assert os.listdir(Path(top) / "D") == ["D"]


def test_a_server_that_hangs_is_not_asked(tallac: Tallac, tmp_path: Path) -> None:
    """A FUSE server that was stopped answers nobody: a backup that leaves it out, by a pattern or with -x, ends all the same."""
    need("mergerfs")
    source = tmp_path / "source"
    for folder in (source / "hung", source / "d", tmp_path / "branch"):
        folder.mkdir(parents=True)
    (source / "d" / "thesis.txt").write_text("thesis")
    (tmp_path / "branch" / "f").write_text("elsewhere")
    server = subprocess.Popen(
        ["mergerfs", "-f", "-o", "cache.attr=0,cache.entry=0", str(tmp_path / "branch"), str(source / "hung")]
    )
    try:
        while not os.path.ismount(source / "hung"):
            assert server.poll() is None
            time.sleep(0.05)
        server.send_signal(signal.SIGSTOP)
        assert tallac("-q", "backup", source, "tallac:excluded", "--exclude", "/hung").err == ""
        assert tallac("-q", "backup", source, "tallac:elsewhere", "-x").err == ""
    finally:
        server.send_signal(signal.SIGCONT)
        subprocess.run(["umount", str(source / "hung")], check=True)
        server.wait()
    assert tallac("ls", "tallac:excluded/Latest").lines == [b"d"]
    assert tallac("ls", "tallac:elsewhere/Latest").lines == [b"d", b"hung"]
    assert tallac("ls", "tallac:elsewhere/Latest/hung").lines == []
    tallac("restore", "tallac:elsewhere/Latest", source, "--overwrite", "if-changed", "--delete")
    assert (source / "hung").is_dir()
