from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.errors import SourceError
from tallac.source import SourceEntry, open_beneath, open_directory, open_regular, open_root

if TYPE_CHECKING:
    from tests.unit.source.conftest import BentFileSystem


def test_a_root_is_opened_through_the_users_own_links(tmp_path: Path) -> None:
    """A path that a user names may go through symbolic links."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    descriptor = open_root(tmp_path / "link")
    assert os.fstat(descriptor).st_ino == (tmp_path / "real").stat().st_ino
    os.close(descriptor)


def test_a_root_of_any_length_is_opened(tmp_path: Path, bent: BentFileSystem) -> None:
    """A path over 4,096 bytes leads to its directory."""
    path = os.fsencode(tmp_path)
    directory = open_root(tmp_path)
    for _ in range(30):
        name = b"d" * 200
        os.mkdir(name, dir_fd=directory)
        below = open_directory(directory, name)
        os.close(directory)
        directory, path = below, path + b"/" + name
    assert len(path) > 4096
    descriptor = open_root(path, filesystem=bent)
    assert os.path.sameopenfile(descriptor, directory)
    assert bent.open_now == {descriptor}
    os.close(descriptor)
    os.close(directory)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_root_that_is_no_directory_is_an_error_of_the_source(tmp_path: Path, name: str) -> None:
    """The error names the path."""
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match=f"{name}: can't be opened"):
        open_root(tmp_path / name)


def test_open_beneath_leads_down_and_leaves_one_descriptor(tmp_path: Path, root: int, bent: BentFileSystem) -> None:
    """Whether it gets there or not, nothing else stays open."""
    (tmp_path / "a/b").mkdir(parents=True)
    descriptor = open_beneath(root, [b"a", b"b"], filesystem=bent)
    assert os.fstat(descriptor).st_ino == (tmp_path / "a/b").stat().st_ino
    assert bent.open_now == {descriptor}
    bent.close(descriptor)
    with pytest.raises(FileNotFoundError):
        open_beneath(root, [b"a", b"x"], filesystem=bent)
    assert bent.open_now == set()


def test_a_regular_file_comes_with_what_it_is_now(tmp_path: Path, root: int) -> None:
    """The entry is that of the open file, so a caller can tell whether it is the one that was listed."""
    (tmp_path / "file").write_bytes(b"content")
    descriptor, entry = open_regular(root, b"file")
    assert os.read(descriptor, 100) == b"content"
    assert entry == SourceEntry.of(b"file", (tmp_path / "file").stat())
    os.close(descriptor)


def test_a_fifo_in_a_files_place_neither_blocks_nor_opens(tmp_path: Path, root: int, bent: BentFileSystem) -> None:
    """A name that became a FIFO, a directory or a link is refused at once."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for name in (b"fifo", b"directory"):
        with pytest.raises(OSError, match="no regular file any more"):
            open_regular(root, name, filesystem=bent)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        open_regular(root, b"link", filesystem=bent)
    assert bent.open_now == set()
