"""What there is to restore is counted meanwhile, where the snapshot does not say it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tallac.dag import Entry, Metadata
from tallac.restore import PathFilter, RestoreObserver, RestoreSummary, restore
from tallac.restore.count import START_AFTER_SECONDS, CountAhead

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.restore.conftest import FakeGrid

FILE = Metadata(mode=0o100644)


class _Clock:
    """Time that passes by as much for each look at it."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def _tree(grid: FakeGrid) -> Entry:
    below = grid.put_directory([Entry.of(b"%d.txt" % number, grid.put(os.urandom(100)), FILE) for number in range(300)])
    top = [
        Entry.of(b"a", below),
        Entry.of(b"b", below),
        Entry.of(b"large.iso", grid.put(os.urandom(5000)), FILE),
        Entry(b"link", b"L", Metadata(mode=0o120777, target=b"x")),
    ]
    return Entry.of(b"top", grid.put_directory(top))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (PathFilter(), (602, 65_000)),
        (PathFilter(exclude=["*.iso"]), (601, 60_000)),
        (PathFilter(include=["/a"]), (300, 30_000)),
        (PathFilter(include=["1?.txt"]), (20, 2_000)),
        (PathFilter(include=["nothing"]), (0, 0)),
    ],
    ids=["all", "excluded", "a directory", "a pattern", "nothing"],
)
def test_what_is_selected_is_counted(grid: FakeGrid, selection: PathFilter, expected: tuple[int, int]) -> None:
    """The numbers are those of what the restore will make; nothing is counted in the first second."""
    clock = _Clock(0)
    ahead = CountAhead(grid, _tree(grid), selection, clock=clock)
    summary = RestoreSummary()
    ahead.look(summary)
    assert not summary.is_counting
    clock.now += START_AFTER_SECONDS
    ahead.look(summary)
    assert (summary.files_expected, summary.bytes_expected) == expected
    assert (summary.is_counting, summary.files_counted) == (False, 0)


def test_counting_takes_a_small_part_of_the_time(grid: FakeGrid) -> None:
    """Where reading is slow there are many looks before the end, and the numbers grow meanwhile."""
    clock = _Clock(0.5)
    ahead = CountAhead(grid, _tree(grid), PathFilter(), clock=clock)
    summary, counted = RestoreSummary(), []
    while not summary.files_expected:
        clock.now += 3
        ahead.look(summary)
        counted.append(summary.files_counted)
    assert len(counted) > 10
    assert counted[:-1] == sorted(counted[:-1])
    assert len(set(counted)) > 3
    assert summary.files_expected == 602


def test_what_can_not_be_read_is_not_counted(grid: FakeGrid) -> None:
    """The restore says why; then nobody knows how much there is."""
    below = grid.put_directory([Entry(b"x", b"Lx", FILE)])
    top = Entry.of(b"top", grid.put_directory([Entry(b"a", b"Lx", FILE), Entry.of(b"b", below)]))
    grid.forget_directory(below)
    clock = _Clock(0)
    ahead = CountAhead(grid, top, PathFilter(), clock=clock)
    clock.now += START_AFTER_SECONDS
    summary = RestoreSummary()
    for _ in range(2):
        ahead.look(summary)
        assert summary == RestoreSummary()


def test_a_restore_shows_what_it_is_about(grid: FakeGrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a snapshot has a total too; each look has a path, and the last one none."""
    monkeypatch.setattr("tallac.restore.count.START_AFTER_SECONDS", 0.0)
    monkeypatch.setattr("tallac.restore.count.SHARE_MAX", 100.0)
    paths, expected = [], []

    def show(summary: RestoreSummary) -> None:
        paths.append(summary.path)
        expected.append(summary.files_expected)

    summary = restore(grid, _tree(grid), tmp_path / "out", observer=RestoreObserver(progress=show), workers=0)
    assert summary.files_expected == summary.files == 602
    assert expected[0] == 602
    assert paths[0] == b"a/199.txt"
    assert paths[-1] == b""
    assert {b"a", b"b"} <= set(paths)
