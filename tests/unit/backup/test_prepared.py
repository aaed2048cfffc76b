"""What a backup has a grid store ahead of its edits: exactly what these come to, and nothing that shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.backup.conftest import Bench

from tallac.caps import DirectoryWriteCap
from tallac.dag import Entry
from tallac.errors import FencedError
from tallac.testing.memory_grid import MemoryGrid

Edit = Callable[[list[Entry]], list[Entry]]


class PreparingGrid(MemoryGrid):
    """Notes what is prepared and what edits come to.

    Attributes:
        prepared, edited: Directories, and the entries in them.
        knows: Whether the states of directories are known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[tuple[DirectoryWriteCap, list[Entry]]] = []
        self.edited: list[tuple[DirectoryWriteCap, list[Entry]]] = []
        self.knows = True

    def prepare_edit(self, cap: DirectoryWriteCap, edit: Edit) -> list[Entry] | None:
        """See `PreparesEdits`."""
        if not self.knows:
            return None
        before = super().edit_directory(cap, list)
        found = sorted(edit(list(before)), key=lambda entry: entry.name)
        if found != before:
            self.prepared.append((cap, found))
            self.events.append("prepared")
        return found

    def edit_directory(self, cap: DirectoryWriteCap, edit: Edit) -> list[Entry]:
        found = super().edit_directory(cap, edit)
        self.edited.append((cap, found))
        return found


@pytest.fixture
def grid() -> PreparingGrid:
    """Return an empty grid."""
    return PreparingGrid()


@pytest.fixture
def bench(tmp_path: Path, grid: PreparingGrid) -> Bench:
    """Return a bench with such a grid."""
    bench = Bench(tmp_path, grid)
    (bench.source / "a").write_text("a")
    return bench


def take_long_to_prepare(bench: Bench, grid: PreparingGrid, seconds: int) -> None:
    """Let time pass after each edit that is prepared: over a slow line, or while the machine sleeps."""
    original = grid.prepare_edit

    def prepare(cap: DirectoryWriteCap, edit: Edit) -> list[Entry] | None:
        found = original(cap, edit)
        bench.clock.advance(seconds)
        return found

    grid.prepare_edit = prepare  # type: ignore[method-assign]  # It only passes on what it gets.


def test_what_was_prepared_is_what_edits_come_to(bench: Bench, grid: PreparingGrid) -> None:
    """`Archives/` and then `Latest` are prepared before the session commits, and seconds later the edits come to the same."""
    bench.back_up()
    grid.prepared.clear()
    take_long_to_prepare(bench, grid, 3)
    bench.back_up()
    assert grid.prepared == grid.edited[-2:]
    assert grid.events.index("prepared") < grid.events.index("commit")
    assert grid.events.count("prepared") == 2


def test_a_name_that_was_prepared_long_ago_is_not_used(bench: Bench, grid: PreparingGrid) -> None:
    """A run that sleeps for an hour after it has prepared enters its snapshot under the time at which it does."""
    bench.back_up()
    grid.prepared.clear()
    take_long_to_prepare(bench, grid, 1800)
    summary = bench.back_up()
    assert grid.prepared[0] != grid.edited[-2]
    assert summary.name == bench.names(b"backups", b"Archives")[-1]
    assert summary.name not in {entry.name for entry in grid.prepared[0][1]}


def test_nothing_shows_of_what_was_prepared_where_a_prune_was_faster(bench: Bench, grid: PreparingGrid) -> None:
    """A session that is fenced after it has prepared enters nothing."""
    bench.back_up()
    before = bench.names(b"backups", b"Archives")
    grid.prepared.clear()
    grid.fences = 2
    with pytest.raises(FencedError):
        bench.back_up()
    assert len(grid.prepared) == 4
    assert bench.names(b"backups", b"Archives") == before


def test_what_is_not_known_is_not_prepared(bench: Bench, grid: PreparingGrid) -> None:
    """Where no state is known, the snapshot is entered as elsewhere."""
    grid.knows = False
    summary = bench.back_up()
    assert grid.prepared == []
    assert bench.names(b"backups", b"Archives") == [summary.name]


def test_anothers_latest_is_not_replaced_ahead(bench: Bench, grid: PreparingGrid) -> None:
    """Where `Latest` names what is not in `Archives/`, only that is prepared, and `Latest` is looked into when it is its turn."""
    bench.back_up()
    edit = grid.edited[-1][0]
    grid.edit_directory(edit, lambda entries: [*(e for e in entries if e.name != b"Latest"), Entry(b"Latest", b"another's")])
    grid.prepared.clear()
    bench.back_up()
    assert [cap for cap, _ in grid.prepared] == [grid.edited[-2][0]]
