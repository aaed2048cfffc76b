"""Names of a source that can't be looked at: dead mount points above all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace
from tests.unit.backup.conftest import WatchedFileSystem

from tallac.source import MountPoint, Mounts, Patterns, Selection

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench

LATEST = (b"backups", b"Latest")


class _Dead:
    def __init__(self, entry: os.DirEntry[str], number: int) -> None:
        self.name = entry.name
        self._entry, self._number = entry, number

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Tell by the type in the listing."""
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Fail as a mount point whose server has gone."""
        raise OSError(self._number, os.strerror(self._number))


class DeadMounts(WatchedFileSystem):
    """Fails to look at the names that begin with `dead`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    @contextmanager
    def _bent(self, listing: AbstractContextManager[Iterator[os.DirEntry[str]]]) -> Iterator[Iterator[os.DirEntry[str]]]:
        with listing as entries:
            yield (
                cast("os.DirEntry[str]", _Dead(entry, self._number)) if entry.name.startswith("dead") else entry
                for entry in entries
            )

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return self._bent(super().scandir(descriptor))


@pytest.fixture(params=[errno.ENOTCONN, errno.EACCES, errno.EIO])
def broken(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Fill a source with a file, and a directory and a file that can't be looked at."""
    (bench.source / "f").write_text("content")
    (bench.source / "dead-m").mkdir()
    (bench.source / "dead-f").write_text("")
    bench.filesystem = DeadMounts(request.param)
    return bench


@pytest.mark.parametrize("patterns", [("dead*",), ("/dead-m/", "/dead-f"), ("*", "!f")])
def test_what_is_excluded_is_not_missed(broken: Bench, patterns: tuple[str, ...]) -> None:
    """A backup is complete where what can't be looked at is excluded, and the next one recognises the directory."""
    broken.selection = Selection(Patterns.of(patterns))
    summary = broken.back_up()
    assert (summary.unreadable, summary.excluded, broken.unreadable) == (0, 2, [])
    assert sorted(broken.excluded) == [os.fsencode(broken.source / name) for name in ("dead-f", "dead-m")]
    assert broken.back_up().files.unchanged == 1


def test_a_pattern_for_directories_does_not_excuse_a_file(broken: Bench) -> None:
    """The listing tells which is which."""
    broken.selection = Selection(Patterns.of(("dead*/",)))
    assert [path for path, _ in (broken.back_up(), broken.unreadable)[1]] == [os.fsencode(broken.source / "dead-f")]


def test_a_dead_mount_point_is_another_file_system(bench: Bench) -> None:
    """With `-x` the disk of a server that has gone is as little missed as one that is there."""
    (bench.source / "dead-m").mkdir()
    (bench.source / "f").write_text("content")
    bench.filesystem = DeadMounts(errno.ENOTCONN)
    assert bench.back_up().unreadable == 1
    bench.selection = replace(bench.selection, one_file_system=True)
    summary = bench.back_up()
    assert (summary.unreadable, summary.excluded) == (0, 1)
    bench.filesystem = DeadMounts(errno.EIO)
    assert bench.back_up().unreadable == 1


def test_what_is_mounted_is_counted_and_named(bench: Bench) -> None:
    """With `-x` a user sees what was left out."""
    (bench.source / "m").mkdir()
    (bench.source / "f").write_text("content")
    bench.filesystem.elsewhere = (bench.source / "m").stat().st_ino
    bench.selection = replace(bench.selection, one_file_system=True)
    for _ in range(2):
        bench.excluded.clear()
        assert bench.back_up().excluded == 1
        assert bench.excluded == [os.fsencode(bench.source / "m")]


class HungMounts(WatchedFileSystem):
    """Has something mounted on each name that begins with `hung`; whoever looks at one would wait for ever.

    Attributes:
        asked: The names that were looked at, or opened, all the same.
    """

    def __init__(self, source: bytes, device: int, kind: str) -> None:
        super().__init__()
        point = MountPoint(device, kind)
        self._mounts = Mounts({device: kind}, {source: {b"hung": point}, os.path.join(source, b"d"): {b"hung-2": point}})
        self.asked: list[str] = []

    def mounts(self) -> Mounts:
        return self._mounts

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return self._noticing(super().scandir(descriptor))

    @contextmanager
    def _noticing(self, listing: AbstractContextManager[Iterator[os.DirEntry[str]]]) -> Iterator[Iterator[os.DirEntry[str]]]:
        with listing as entries:
            yield (
                cast("os.DirEntry[str]", _Asked(entry, self.asked)) if entry.name.startswith("hung") else entry for entry in entries
            )

    def lstat(self, name: bytes, directory: int) -> os.stat_result:
        if name.startswith(b"hung"):
            self.asked.append(os.fsdecode(name))
        return super().lstat(name, directory)

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        if name.startswith(b"hung"):
            self.asked.append(os.fsdecode(name))
        return super().open(name, flags, directory)


class _Asked(_Dead):
    def __init__(self, entry: os.DirEntry[str], asked: list[str]) -> None:
        super().__init__(entry, 0)
        self._asked = asked

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Note that somebody has asked."""
        self._asked.append(self.name)
        return self._entry.stat(follow_symlinks=follow_symlinks)


@pytest.fixture
def hung(bench: Bench) -> Callable[[str], HungMounts]:
    """Fill a source with a file, a directory and mount points of a kind."""
    (bench.source / "d" / "hung-2").mkdir(parents=True)
    (bench.source / "hung").mkdir()
    (bench.source / "z").write_text("content")

    def make(kind: str) -> HungMounts:
        bench.filesystem = HungMounts(os.fsencode(bench.source), 77, kind)
        return bench.filesystem

    return make


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "ext4"])
@pytest.mark.parametrize("in_file", [False, True])
def test_what_is_excluded_is_not_asked(bench: Bench, hung: Callable[[str], HungMounts], kind: str, in_file: bool) -> None:
    """A server that does not answer can't hold up a backup that leaves it out, by a pattern or by an ignore file."""
    filesystem = hung(kind)
    if in_file:
        (bench.source / ".tallacignore").write_text("hung*\n")
    else:
        bench.selection = Selection(Patterns.of(("hung*",)))
    first, second = bench.back_up(), bench.back_up()
    assert [(summary.unreadable, summary.excluded) for summary in (first, second)] == [(0, 2)] * 2
    assert filesystem.asked == []
    assert second.files.unchanged == 1 + in_file
    assert bench.names(*LATEST) == [b".tallacignore"] * in_file + [b"d", b"z"]


def test_another_file_system_is_not_asked(bench: Bench, hung: Callable[[str], HungMounts]) -> None:
    """With `-x` the mount point of a server is kept as an empty directory of which the snapshot says that something was mounted."""
    filesystem = hung("nfs4")
    bench.selection = replace(bench.selection, one_file_system=True)
    first = bench.back_up()
    assert (first.unreadable, first.excluded, filesystem.asked) == (0, 2, [])
    entry = bench.entry(*LATEST, b"hung")
    assert (entry.metadata.mounted, entry.metadata.mode, bench.names(*LATEST, b"hung")) == (True, None, [])
    second = bench.back_up()
    assert (second.cap, second.excluded, second.directories.changed, filesystem.asked) == (first.cap, 2, 0, [])


def test_a_dead_mount_point_is_kept_as_what_it_was(bench: Bench) -> None:
    """What was known of it stays while its server has gone, and that something was mounted is known in any case."""
    (bench.source / "dead-m").mkdir(mode=0o750)
    (bench.source / "f").write_text("content")
    bench.filesystem.elsewhere = (bench.source / "dead-m").stat().st_ino
    bench.selection = replace(bench.selection, one_file_system=True)
    bench.back_up()
    alive = bench.entry(*LATEST, b"dead-m")
    bench.filesystem = DeadMounts(errno.ENOTCONN)
    bench.back_up()
    assert bench.entry(*LATEST, b"dead-m").metadata == alive.metadata
    assert alive.metadata.mounted


def test_a_local_disk_is_asked(bench: Bench, hung: Callable[[str], HungMounts]) -> None:
    """No server can hang there; its mount point keeps its mode and times."""
    filesystem = hung("ext4")
    bench.selection = replace(bench.selection, one_file_system=True)
    bench.back_up()
    assert filesystem.asked
    assert bench.entry(*LATEST, b"hung").metadata.mode is not None
