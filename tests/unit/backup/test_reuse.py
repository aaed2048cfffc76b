from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


def plant(bench: Bench) -> None:
    """Make three directories of ten files, and back them up."""
    for number in range(30):
        (bench.source / f"{number % 3}").mkdir(exist_ok=True)
        (bench.source / f"{number % 3}" / f"file {number:02}").write_bytes(b"%d\n" % number * 50)
    bench.back_up()


def change(bench: Bench) -> None:
    """Change one file in each directory but the last."""
    for number in (0, 1):
        (bench.source / f"{number}" / f"file {number:02}").write_bytes(b"another\n")


def test_neighbours_of_a_change_are_not_looked_up(bench: Bench) -> None:
    """In the epoch of its record one look-up tells that the grid has a directory with all that is in it."""
    plant(bench)
    change(bench)
    summary = bench.back_up()
    assert (summary.files.changed, summary.files.unchanged) == (2, 28)
    assert bench.grid.events.count("holds") <= 5


def in_another_epoch(bench: Bench) -> None:
    """Let a prune begin to delete."""
    bench.grid.epoch += 1


def with_known_losses(bench: Bench) -> None:
    """Let the grid know of a loss."""
    bench.grid.has_losses = True


def on_a_grid_that_keeps_nothing_below(bench: Bench) -> None:
    """Let the grid be one of which parts go one by one."""
    bench.grid.keeps_below = False


@pytest.mark.parametrize(
    "happen", [in_another_epoch, with_known_losses, on_a_grid_that_keeps_nothing_below], ids=lambda happen: happen.__name__
)
def test_a_lost_neighbour_of_a_change_is_stored_again(bench: Bench, happen: Callable[[Bench], None]) -> None:
    """Where a directory does not answer for what is in it, each of its files is looked up, and one that is lost is read again."""
    plant(bench)
    change(bench)
    bench.grid.contents.lose(bench.entry(b"backups", b"Latest", b"0", b"file 03").encoded)
    happen(bench)
    bench.back_up()
    assert sorted(bench.filesystem.opened) == [b"file 00", b"file 01", b"file 03"]
    assert bench.latest(b"0", b"file 03") == b"3\n" * 50


def test_a_neighbour_in_a_directory_that_has_gone_is_looked_up(bench: Bench) -> None:
    """A directory that can be read still and is not held answers for nothing."""
    plant(bench)
    change(bench)
    bench.grid.contents.lose(bench.entry(b"backups", b"Latest", b"0", b"file 03").encoded)
    bench.grid.unheld.add(bench.entry(b"backups", b"Latest", b"0").encoded)
    bench.back_up()
    assert sorted(bench.filesystem.opened) == [b"file 00", b"file 01", b"file 03"]


def test_neighbours_are_compared_in_all_that_counts(bench: Bench) -> None:
    """Of files that look alike but for one stat field, each that differs is read, and no other."""
    plant(bench)
    folder = bench.source / "0"
    (folder / "file 03").chmod(0o600)
    (folder / "file 06").write_bytes(b"6\n" * 50)
    (folder / "file 09").rename(folder / "other")
    (folder / "other").write_bytes(b"9\n" * 49)
    (folder / "other").rename(folder / "file 09")
    bench.back_up()
    assert sorted(bench.filesystem.opened) == [b"file 03", b"file 06", b"file 09"]
    bench.back_up()
    assert bench.filesystem.opened == []
