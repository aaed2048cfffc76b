"""Names of a source that can't be looked at: dead mount points above all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace
from tests.unit.backup.conftest import WatchedFileSystem

from tallac.source import Patterns, Selection

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


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
