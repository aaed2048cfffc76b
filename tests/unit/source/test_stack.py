from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.source import DirectoryStack, open_beneath, scan

if TYPE_CHECKING:
    from tests.unit.source.conftest import BentFileSystem


def make_chain(root: int, names: Sequence[bytes]) -> None:
    """Make a directory in a directory, and so on; the path may be of any length."""
    directory = os.dup(root)
    for name in names:
        os.mkdir(name, dir_fd=directory)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)


def remove_chain(root: int, names: Sequence[bytes]) -> None:
    """Remove it again, since shutil would recurse too deep."""
    with DirectoryStack(root) as stack:
        for name in names[:-1]:
            stack.enter(name)
        for name in reversed(names):
            os.rmdir(name, dir_fd=stack.descriptor)
            if stack.depth:
                stack.leave()


@pytest.mark.slow
def test_a_deep_walk_takes_few_descriptors(root: int, bent: BentFileSystem) -> None:
    """A depth of 3,000 with a path of 300,000 bytes is walked down and up with 16 open directories."""
    names = [b"%0100d" % number for number in range(3_000)]
    make_chain(root, names)
    with DirectoryStack(root, filesystem=bent, open_count_max=16) as stack:
        for name in names:
            with scan(stack.descriptor) as listing:
                assert [entry.name for entry in listing] == [name]
            stack.enter(name)
        assert stack.components == tuple(names)
        for name in reversed(names):
            stack.leave()
            with scan(stack.descriptor) as listing:
                assert [entry.name for entry in listing] == [name]
        assert stack.depth == 0
    assert bent.open_most <= 17
    assert not bent.open_now
    remove_chain(root, names)


def test_going_up_and_down_again_leaks_nothing(root: int, bent: BentFileSystem, tmp_path: Path) -> None:
    """A walk that turns round at every depth stays within its descriptors."""
    names = [b"%d" % number for number in range(40)]
    make_chain(root, names)
    for path in list(tmp_path.rglob("*")):
        (path / "side").mkdir()
    with DirectoryStack(root, filesystem=bent, open_count_max=4) as stack:
        for name in names:
            stack.enter(name)
        for _ in names:
            stack.enter(b"side")
            stack.leave()
            stack.leave()
    assert bent.open_most <= 6
    assert not bent.open_now


def test_a_directory_that_moved_meanwhile_is_noticed(root: int, tmp_path: Path) -> None:
    """What can't be found again as the same directory is an error, and the walk goes on above it."""
    make_chain(root, [b"a", b"b", b"c"])
    with DirectoryStack(root, open_count_max=2) as stack:
        for name in (b"a", b"b", b"c"):
            stack.enter(name)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "a/b/c").rename(tmp_path / "elsewhere/c")
        (tmp_path / "a/b").rename(tmp_path / "elsewhere/b")
        (tmp_path / "a/b").mkdir()
        stack.leave()
        stack.leave()
        assert stack.components == (b"a",)
        assert os.fstat(stack.descriptor).st_ino == (tmp_path / "a").stat().st_ino


def test_another_directory_in_its_place_is_an_error(root: int, tmp_path: Path) -> None:
    """A closed directory whose name now leads to another one is refused, not read."""
    make_chain(root, [b"a", b"b", b"c"])
    with DirectoryStack(root, open_count_max=2) as stack:
        for name in (b"a", b"b", b"c"):
            stack.enter(name)
        (tmp_path / "a/b/c").rename(tmp_path / "c")
        (tmp_path / "a").rename(tmp_path / "old")
        (tmp_path / "a/b").mkdir(parents=True)
        stack.leave()
        stack.leave()
        with pytest.raises(OSError, match="taken its place") as caught:
            _ = stack.descriptor
        assert caught.value.errno == errno.ESTALE
        stack.leave()
        assert stack.descriptor == root


def test_a_symbolic_link_is_no_directory(root: int, tmp_path: Path) -> None:
    """A link that took a directory's name is not followed, on any level."""
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with DirectoryStack(root) as stack:
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            stack.enter(b"link")
        assert stack.depth == 0
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        open_beneath(root, [b"link", b"below"])


def test_the_present_directories_are_known(root: int, tmp_path: Path) -> None:
    """A loop is told by device and inode, from the root down to where the walk is."""
    (tmp_path / "a").mkdir()
    status = (tmp_path / "a").stat()
    with DirectoryStack(root) as stack:
        assert not stack.holds(status.st_dev, status.st_ino)
        stack.enter(b"a")
        assert stack.holds(status.st_dev, status.st_ino)
        stack.leave()
        assert not stack.holds(status.st_dev, status.st_ino)
        assert stack.holds(tmp_path.stat().st_dev, tmp_path.stat().st_ino)
