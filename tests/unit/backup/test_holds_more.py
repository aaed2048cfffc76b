"""Over a line, workers start and connect while a new target is made, if there will be work for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.backup.conftest import Bench

from tallac.backup.executor import Executor, Pools
from tallac.backup.files import INLINE_AT_FIRST
from tallac.backup.quick_look import DIRECTORIES_SEEN_MAX, LookTask, holds_more
from tallac.source import NOTHING_OWN, REAL, Selection
from tallac.testing.determinism import FakeClock
from tallac.testing.memory_grid import MemoryCapWriter


def more(source: Path, files: int, size: int) -> bool:
    """Ask whether a source holds more than that."""
    root = os.open(source, os.O_RDONLY)
    try:
        task = LookTask(root, os.fsencode(source), Selection(), None, NOTHING_OWN)
        return holds_more(task, files, size, REAL, FakeClock())
    finally:
        os.close(root)


def plant(source: Path, directories: int) -> None:
    """Make a file of ten bytes in each of some directories."""
    for number in range(directories):
        (source / f"{number:04}").mkdir(parents=True)
        (source / f"{number:04}" / "file").write_bytes(b"0123456789")


def test_files_and_their_bytes_count(tmp_path: Path) -> None:
    """A source holds more where it has one file more, or one byte more."""
    plant(tmp_path, 5)
    (tmp_path / "link").symlink_to("0001")
    assert [more(tmp_path, files, 1000) for files in (5, 6)] == [True, False]
    assert [more(tmp_path, 1000, size) for size in (49, 50)] == [True, False]


def test_what_is_left_out_does_not_count(tmp_path: Path) -> None:
    """Only what a backup would store counts."""
    plant(tmp_path, 5)
    (tmp_path / ".tallacignore").write_text("000[0-1]\n")
    assert not more(tmp_path, 4, 1000)
    assert more(tmp_path, 3, 1000)


def test_only_some_directories_are_looked_at(tmp_path: Path) -> None:
    """A source of many empty directories, or of ever deeper ones, is not gone through."""
    for number in range(DIRECTORIES_SEEN_MAX):
        (tmp_path / f"{number:04}").mkdir()
    plant(tmp_path / "z", 5)
    assert not more(tmp_path, 3, 1000)


@pytest.mark.parametrize(("is_distant", "files", "is_early"), [(True, 65, True), (True, 64, False), (False, 65, False)])
def test_workers_start_before_a_new_target(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_distant: bool, files: int, is_early: bool
) -> None:
    """They are started before the target is made where the store is distant and the source has work for them, and only once."""
    assert INLINE_AT_FIRST.files == 64
    monkeypatch.setattr(MemoryCapWriter, "is_distant", is_distant)
    before: list[bool] = []

    def start(pools: Pools) -> Executor | None:
        before.append("edit" not in bench.grid.events)
        return None

    monkeypatch.setattr(Pools, "start", start)
    for number in range(files):
        (bench.source / f"{number:04}").write_bytes(b"x")
    bench.back_up()
    assert before[:1] == ([True] if is_early else [False] if files > INLINE_AT_FIRST.files else [])
    before.clear()
    (bench.source / "0001").write_bytes(b"changed")
    bench.back_up()
    assert before == []
