"""The count that runs ahead of a first backup: it comes to what the backup stores, and what goes wrong with it harms nothing."""

from __future__ import annotations

import copy
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS
from tests.unit.backup.conftest import Bench, plant

from tallac.backup.count import START_AFTER_NS, CountAhead, CountTask, SourceCount
from tallac.backup.summary import Phase, Progress
from tallac.source import CACHE_MARKER, NOTHING_OWN, OwnFiles, OwnKind, OwnPlace, Patterns, Scope, Selection
from tallac.testing.determinism import FakeClock


def plant_all(source: Path) -> None:
    """Make a tree with something of each kind."""
    plant(source, ("top", 1))
    (source / "link").symlink_to("top")
    (source / "again").hardlink_to(source / "top")


def count(source: Path, selection: Selection, scope: Scope | None, own: OwnFiles) -> SourceCount:
    """Count, and give the last count; those before it must not shrink."""
    root = os.open("/" if scope else source, os.O_RDONLY)
    try:
        path = b"/" if scope else os.fsencode(source)
        counts = list(CountTask(root, path, selection, scope, own).count())
    finally:
        os.close(root)
    assert [each.files for each in counts] == sorted(each.files for each in counts)
    assert [each.is_complete for each in counts] == [False] * (len(counts) - 1) + [True]
    return counts[-1]


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(patterns=Patterns.of_options(["*.iso", "/b/c/d"])),
        Selection(markers=(CACHE_MARKER,), ignore_file=None),
        Selection(size_max=400),
        Selection(one_file_system=True),
    ],
    ids=["none", "patterns", "caches", "size", "file-system"],
)
@pytest.mark.parametrize("named", [(), ("a", "b/c")], ids=["one", "several"])
def test_the_count_is_what_is_stored(bench: Bench, selection: Selection, named: tuple[str, ...]) -> None:
    """With any rules, one source or several, and what is Tallac's own, as many files and bytes are counted as are then stored."""
    plant_all(bench.source)
    bench.selection = selection
    bench.own = OwnFiles([OwnPlace(os.fsencode(bench.source / "own"), OwnKind.CONFIGURATION)])
    bench.wishes.sources = named
    scope = Scope.of([os.fsencode(bench.source / name) for name in named]) if named else None
    counted = count(bench.source, selection, scope, bench.own)
    summary = bench.back_up()
    assert (counted.files, counted.size) == (summary.files.total, summary.size)
    assert counted.files


def test_what_can_not_be_looked_at_is_passed_over(bench: Bench) -> None:
    """A directory that can't be listed is not counted, and nothing is raised."""
    plant_all(bench.source)
    whole = count(bench.source, Selection(), None, NOTHING_OWN)
    root = os.open(bench.source, os.O_RDONLY)
    bench.filesystem.forbidden = b"c"
    task = CountTask(root, os.fsencode(bench.source), Selection(), None, NOTHING_OWN)
    *_, last = task.count(bench.filesystem)
    os.close(root)
    assert last == SourceCount(whole.files - 1, whole.size - 3000, is_complete=True)


def test_a_deep_tree(tmp_path: Path) -> None:
    """A tree may be deeper than Python's stack."""
    folder = tmp_path
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    counted = count(tmp_path, Selection(), None, NOTHING_OWN)
    # pytest would remove it by recursion.
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
    assert counted == SourceCount(1, 0, is_complete=True)


def run(ahead: CountAhead, progress: Progress, until: Callable[[], bool]) -> None:
    """Look again and again, as a backup does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until() and time.monotonic() < deadline:
        ahead.look(progress, START_AFTER_NS)
        time.sleep(0.005)


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Nothing is started in the first second; then what is to be expected becomes known, and the process ends."""
    plant_all(tmp_path)
    root = os.open(tmp_path, os.O_RDONLY)
    ahead = CountAhead(CountTask(root, os.fsencode(tmp_path), Selection(), None, NOTHING_OWN), 0)
    progress = Progress()
    ahead.look(progress, START_AFTER_NS - 1)
    assert not progress.is_counting
    ahead.look(progress, START_AFTER_NS)
    assert progress.is_counting
    run(ahead, progress, lambda: not progress.is_counting)
    whole = count(tmp_path, Selection(), None, NOTHING_OWN)
    assert (progress.files_expected, progress.bytes_expected) == (whole.files, whole.size)
    assert (progress.files_counted, progress.bytes_counted) == (whole.files, whole.size)
    ahead.look(progress, START_AFTER_NS)
    ahead.close()
    os.close(root)


def test_a_count_that_fails(tmp_path: Path) -> None:
    """Where the counting process can't work, the end stays unknown, and that is all."""
    root = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(root, False)
    closed = os.dup(root)
    ahead = CountAhead(CountTask(closed, os.fsencode(tmp_path), Selection(), None, NOTHING_OWN), 0)
    os.close(closed)
    progress = Progress()
    ahead.look(progress, START_AFTER_NS)
    run(ahead, progress, lambda: not progress.is_counting)
    assert (progress.is_counting, progress.files_expected) == (False, 0)
    ahead.close()
    os.close(root)


class SteppingClock(FakeClock):
    """A clock that goes on by half a second each time that it is looked at."""

    def now_ns(self) -> int:
        """Give the time."""
        self.advance(0.5)
        return super().now_ns()


class Copies(list[Progress]):
    """Keeps each report as it was."""

    def append(self, progress: Progress, /) -> None:
        """Keep a copy: the object is the same each time."""
        super().append(copy.copy(progress))


@pytest.mark.parametrize("is_wanted", [True, False])
def test_only_a_first_backup_is_counted(bench: Bench, is_wanted: bool) -> None:
    """The first backup of a source counts it, if that is wanted; the second one knows what to expect. At the end none goes on."""
    plant_all(bench.source)
    bench.workers = 1
    bench.wishes.counts_ahead = is_wanted
    bench.clock = SteppingClock(bench.clock.now_ns())
    for is_first in (True, False):
        bench.progress = Copies()
        bench.back_up()
        assert any(each.is_counting for each in bench.progress) == (is_first and is_wanted)
        assert [each.phase for each in bench.progress[-3:]] == [Phase.LAST_PACKS, Phase.INDEX, Phase.SNAPSHOT]
        assert not any(each.is_counting for each in bench.progress[-3:])
        (bench.source / "top").write_text("changed")
