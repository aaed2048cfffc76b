from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tallac.source import (
    SourceEntry,
    capture,
    metadata_of,
    read_flags,
    read_holes,
    read_link,
    read_xattrs,
    read_xattrs_beneath,
)

if TYPE_CHECKING:
    from tests.unit.source.conftest import BentFileSystem

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make this")
MIB = 1 << 20


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open for reading, for the length of the block."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def entry_of(path: Path) -> SourceEntry:
    """Look at a path."""
    return SourceEntry.of(os.fsencode(path.name), path.lstat())


def test_metadata_keeps_what_stat_tells(tmp_path: Path) -> None:
    """Mode, owner by number and name, times, and what tells hard links."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    os.link(path, tmp_path / "again")
    os.utime(path, ns=(0, -1_500_000_000))
    metadata = metadata_of(entry_of(path), xattrs=((b"user.a", b"1"),), flags=64, holes=((0, 4096),), changed=True)
    status = path.stat()
    assert (metadata.mode, metadata.uid, metadata.gid) == (status.st_mode, status.st_uid, status.st_gid)
    assert (metadata.inode, metadata.device, metadata.links) == (status.st_ino, status.st_dev, 2)
    assert metadata.mtime == (-2, 500_000_000)
    assert metadata.ctime_ns == status.st_ctime_ns
    assert (metadata.xattrs, metadata.flags, metadata.holes) == (((b"user.a", b"1"),), 64, ((0, 4096),))
    assert metadata.changed
    assert metadata.user == path.owner()
    assert metadata.rdev is None


def test_an_unknown_owner_has_no_name() -> None:
    """Numbers are kept where the system knows no name."""
    entry = SourceEntry(b"name", 0o40755, 3_999_999_999, 3_999_999_998, 0, 0, 0, 1, 1, 5, 0, 0)
    metadata = metadata_of(entry)
    assert (metadata.user, metadata.group, metadata.uid) == (None, None, 3_999_999_999)
    assert metadata.links == 1, "a directory's links are its subdirectories, not hard links"


def test_a_device_keeps_its_numbers() -> None:
    """Major and minor, apart."""
    assert metadata_of(entry_of(Path("/dev/null"))).rdev == (1, 3)


def test_extended_attributes_are_read_with_names_of_any_bytes(tmp_path: Path) -> None:
    """Sorted, of files and of directories."""
    for path in (tmp_path / "file", tmp_path / "directory"):
        path.touch() if path.name == "file" else path.mkdir()
        os.setxattr(path, b"user.z", b"\0\xff")
        os.setxattr(path, b"user.\xff\xfe", b"")
        with opened(path) as descriptor:
            assert read_xattrs(descriptor) == ((b"user.z", b"\0\xff"), (b"user.\xff\xfe", b""))


def test_acls_are_extended_attributes(tmp_path: Path) -> None:
    """An ACL made by setfacl is seen."""
    path = tmp_path / "file"
    path.touch()
    if subprocess.run(["setfacl", "-m", "u:1:r", path], check=False).returncode != 0:
        pytest.skip("no setfacl, or a file system without ACLs")
    with opened(path) as descriptor:
        assert [name for name, _ in read_xattrs(descriptor)] == [b"system.posix_acl_access"]


@needs_root
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_must_not_be_opened_has_its_attributes_read(tmp_path: Path, root: int, kind: str) -> None:
    """A symbolic link's own attributes, not its target's, and a FIFO's, without blocking."""
    (tmp_path / "file").touch()
    path = tmp_path / kind
    path.symlink_to("file") if kind == "link" else os.mkfifo(path)
    os.setxattr(path, b"trusted.\xff", b"1", follow_symlinks=False)
    assert read_xattrs_beneath(root, os.fsencode(kind)) == ((b"trusted.\xff", b"1"),)


def test_an_attribute_that_is_hidden_or_gone_is_left_out_and_a_broken_disk_is_not(tmp_path: Path, bent: BentFileSystem) -> None:
    """Only what says that there is nothing to see is taken for nothing."""
    path = tmp_path / "file"
    path.touch()
    os.setxattr(path, b"user.a", b"1")
    os.setxattr(path, b"user.b", b"2")
    with opened(path) as descriptor:
        for code in (errno.ENODATA, errno.EPERM, errno.ENOTSUP):
            bent.refused_xattrs = {b"user.a": OSError(code, "")}
            assert read_xattrs(descriptor, filesystem=bent) == ((b"user.b", b"2"),)
        bent.refused_xattrs = {b"user.a": OSError(errno.EIO, "broken disk")}
        with pytest.raises(OSError, match="broken disk"):
            read_xattrs(descriptor, filesystem=bent)


def test_flags_that_can_be_set_again_are_read(tmp_path: Path) -> None:
    """Only those: the extents flag that ext4 shows is left out."""
    path = tmp_path / "file"
    path.touch()
    if subprocess.run(["chattr", "+dA", path], check=False, capture_output=True).returncode != 0:
        pytest.skip("no chattr, or a file system without flags")
    with opened(path) as descriptor:
        assert read_flags(descriptor) == 0x40 | 0x80


def test_no_flags_are_zero_and_a_broken_disk_is_an_error(tmp_path: Path, bent: BentFileSystem) -> None:
    """A file system without flags is no error."""
    with opened(tmp_path) as descriptor:
        bent.refused_flags = OSError(errno.ENOTTY, "no flags")
        assert read_flags(descriptor, filesystem=bent) == 0
        bent.refused_flags = OSError(errno.EIO, "broken disk")
        with pytest.raises(OSError, match="broken disk"):
            read_flags(descriptor, filesystem=bent)


def test_holes_are_found(tmp_path: Path) -> None:
    """At the start, in the middle, at the end."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(8 * MIB)
        for offset in (1, 4):
            file.seek(offset * MIB)
            file.write(b"x" * MIB)
    with opened(path) as descriptor:
        assert read_holes(descriptor, 8 * MIB) == ((0, MIB), (2 * MIB, 2 * MIB), (5 * MIB, 3 * MIB))
    assert entry_of(path).may_have_holes


def test_files_without_holes_have_none(tmp_path: Path, bent: BentFileSystem) -> None:
    """A full file, an empty one, and a file system that knows no holes."""
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.write_bytes(b"x" * 10_000)
    empty.touch()
    with opened(full) as descriptor:
        assert read_holes(descriptor, 10_000) == ()
        bent.refused_seek = OSError(errno.EINVAL, "")
        assert read_holes(descriptor, 10_000, filesystem=bent) == ()
        bent.refused_seek = OSError(errno.EIO, "broken disk")
        with pytest.raises(OSError, match="broken disk"):
            read_holes(descriptor, 10_000, filesystem=bent)
    with opened(empty) as descriptor:
        assert read_holes(descriptor, 0) == ()
    assert not entry_of(full).may_have_holes


def test_of_too_many_holes_the_largest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their offsets."""
    monkeypatch.setattr(capture, "HOLE_COUNT_MAX", 2)
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(10 * MIB)
        for offset in (3, 5, 6):
            file.seek(offset * MIB)
            file.write(b"x" * MIB)
    with opened(path) as descriptor:
        assert read_holes(descriptor, 10 * MIB) == ((0, 3 * MIB), (7 * MIB, 3 * MIB))


def test_a_links_text_is_read_as_bytes(tmp_path: Path, root: int) -> None:
    """Dangling or not, of any bytes."""
    os.symlink(b"\xff/../nowhere", os.path.join(os.fsencode(tmp_path), b"link"))
    assert read_link(root, b"link") == b"\xff/../nowhere"


def test_entries_know_their_kind() -> None:
    """By the mode's format bits."""
    entry = SourceEntry(b"", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    regular, directory, link, device = (
        msgspec.structs.replace(entry, mode=mode) for mode in (0o100644, 0o40755, 0o120777, 0o20666)
    )
    assert (regular.is_regular, directory.is_directory, link.is_symlink, device.is_device) == (True, True, True, True)
    assert (regular.is_directory, directory.is_regular, link.is_device, device.is_symlink) == (False, False, False, False)
