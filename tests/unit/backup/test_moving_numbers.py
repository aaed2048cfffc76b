"""Sources whose device and inode numbers are others in the next run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from tests.unit.backup.conftest import WatchedFileSystem

from tallac.source import Mounts

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


class Moved(WatchedFileSystem):
    """Adds to each device and inode number."""

    def __init__(self, folder: Path, kind: str, device: int, inode: int) -> None:
        super().__init__()
        self._folder = folder
        self._kind, self._device, self._inode = kind, device, inode

    def mounts(self) -> Mounts:
        return Mounts({os.stat(self._folder).st_dev + self._device: self._kind})

    def _bend(self, status: os.stat_result) -> os.stat_result:
        fields = {name: getattr(status, name) for name in dir(status) if name.startswith("st_") and name.endswith("_ns")}
        fields |= {"st_rdev": status.st_rdev, "st_blocks": status.st_blocks}
        numbers = [status.st_ino + self._inode, status.st_dev + self._device]
        return os.stat_result([status.st_mode, *numbers, *status[3:]], fields)

    def fstat(self, descriptor: int) -> os.stat_result:
        return self._bend(super().fstat(descriptor))

    @contextmanager
    def _bent(self, listing: AbstractContextManager[Iterator[os.DirEntry[str]]]) -> Iterator[Iterator[os.DirEntry[str]]]:
        with listing as entries:
            yield (cast("os.DirEntry[str]", _Listed(entry, self)) for entry in entries)

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return self._bent(super().scandir(descriptor))


class _Listed:
    def __init__(self, entry: os.DirEntry[str], moved: Moved) -> None:
        self.name = entry.name
        self._entry, self._moved = entry, moved

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Tell by the type in the listing."""
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Tell the moved numbers."""
        return self._moved._bend(self._entry.stat(follow_symlinks=follow_symlinks))


@pytest.fixture
def filled(bench: Bench) -> Bench:
    """Fill a source, and back it up once."""
    for name in ("a", "b", "deep/c", "deep/er/d"):
        (bench.source / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.source / name).write_text(name)
    os.link(bench.source / "a", bench.source / "deep" / "linked")
    bench.back_up()
    return bench


@pytest.mark.parametrize(("kind", "inode"), [("btrfs", 0), ("overlay", 0), ("nfs4", 0), ("vfat", 1000), ("fuse.sshfs", 1000)])
def test_nothing_is_read_or_stored_again_for_other_numbers(filled: Bench, kind: str, inode: int) -> None:
    """A file is known by what stays the same on its file system; the snapshot is the same directory as before."""
    first = filled.entry(b"backups", b"Latest").encoded
    filled.clock.advance(120)
    filled.back_up()
    for device in (7, 8):
        filled.filesystem = Moved(filled.source, kind, device, inode + device if inode else 0)
        filled.clock.advance(120)
        summary = filled.back_up()
        assert filled.filesystem.opened == []
        assert (summary.files.new, summary.files.changed, summary.directories.changed) == (0, 0, 0)
        assert filled.entry(b"backups", b"Latest").encoded == first


def test_another_inode_counts_where_a_file_keeps_it(filled: Bench) -> None:
    """On ext4 it is another file."""
    filled.filesystem = Moved(filled.source, "ext4", 0, 1000)
    assert filled.back_up().files.unchanged == 0


def test_a_user_may_leave_the_inode_out(filled: Bench) -> None:
    """Whoever knows that numbers move need not have everything read."""
    filled.filesystem = Moved(filled.source, "strange", 0, 1000)
    filled.wishes.unchanged_by = frozenset({"size", "mtime"})
    filled.back_up()
    assert filled.filesystem.opened == []
