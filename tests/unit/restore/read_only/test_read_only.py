from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from tests.unit.restore.test_random_trees import TreeMaker

from tallac.dag import Entry, Metadata
from tallac.errors import DestinationError
from tallac.restore import Overwrite, PathFilter, ProblemKind, RestoreOptions, RestoreSummary

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

AT = (1_000_000_000, 5)
FILE = Metadata(mode=0o100644, mtime=AT)
DIRECTORY = Metadata(mode=0o40755, mtime=AT)


def looked_at(folder: Path) -> list[tuple[str, os.stat_result]]:
    """List all that is in a folder with what stat tells, but not when it was read."""
    found = []
    for top, directories, files in os.walk(os.fsencode(folder)):
        for path in (top, *(os.path.join(top, name) for name in (*directories, *files))):
            status = os.lstat(path)
            found.append((os.fsdecode(path), os.stat_result([*status[:7], 0, *status[8:10]])))
    return found


def counts(summary: RestoreSummary) -> dict[str, int]:
    """Give what a preview can know of a summary."""
    return {
        name: getattr(summary, name)
        for name in ("files", "directories", "bytes", "replaced", "amended", "unchanged", "kept", "deleted")
    }


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[None]:
    """Make everything accessible again, so that the test's folder can be removed."""
    yield
    subprocess.run(["chmod", "-R", "u+rwx", tmp_path], check=False, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="as a normal user some modes can't be read")
@pytest.mark.parametrize(
    "options",
    [
        RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True),
        RestoreOptions(overwrite=Overwrite.IF_CHANGED),
        RestoreOptions(overwrite=Overwrite.IF_NEWER, delete=True),
        RestoreOptions(overwrite=Overwrite.NEVER, selection=PathFilter(["a", "-rf"])),
        RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True, selection=PathFilter(["a"], ["A", "-rf"])),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_dry_run_says_what_a_run_does(
    tree: Path, grid: FakeGrid, restored: Restored, reopened: None, options: RestoreOptions, seed: int
) -> None:
    """Over a random tree: the same paths, words and counts, and nothing is changed."""
    TreeMaker(seed).fill(os.fsencode(tree))
    snapshot = grid.snapshot(tree)
    restored.out.mkdir()
    TreeMaker(seed + 500).fill(os.fsencode(restored.out))
    before = looked_at(restored.out)
    restored.options = replace(options, dry_run=True)
    foreseen = restored(snapshot)
    told, foreseen_problems = sorted(restored.changes), {problem.path for problem in restored.problems}
    assert looked_at(restored.out) == before
    restored.changes.clear()
    restored.problems.clear()
    restored.options = options
    done = restored(snapshot)
    assert told == sorted(restored.changes)
    assert counts(foreseen) == counts(done)
    assert foreseen_problems <= {problem.path for problem in restored.problems}


def test_a_dry_run_into_nothing_makes_nothing(grid: FakeGrid, restored: Restored) -> None:
    """The folder itself is not made either, nor are directories told in which nothing is wanted."""
    below = grid.put_directory([Entry(b"x.txt", b"Lx", FILE)])
    empty = grid.put_directory([Entry(b"y", b"Lx", FILE)])
    entries = [Entry.of(b"a", empty, DIRECTORY), Entry.of(b"b", below, DIRECTORY), Entry(b"z.txt", b"Lyy", FILE)]
    snapshot = Entry.of(b"s", grid.put_directory(entries), DIRECTORY)
    restored.options = RestoreOptions(dry_run=True, selection=PathFilter(["*.txt"]))
    summary = restored(snapshot)
    assert not restored.out.exists()
    assert [path for _, path in restored.changes] == [b"b", b"b/x.txt", b"z.txt"]
    assert (summary.files, summary.directories, summary.bytes) == (2, 2, 3)


def test_a_dry_run_needs_what_a_run_needs(grid: FakeGrid, restored: Restored) -> None:
    """A folder with something in it is refused, and a name that is taken is told."""
    restored.out.mkdir()
    (restored.out / "a").touch()
    restored.options = RestoreOptions(dry_run=True)
    with pytest.raises(DestinationError, match="is not empty"):
        restored(Entry.of(b"s", grid.put_directory([Entry(b"a", b"Lx", FILE)]), DIRECTORY))
    assert restored(Entry(b"a", b"Lx", FILE)).failed == 1
    assert restored(Entry(b"b", b"Lx", FILE)).files == 1
    assert os.listdir(restored.out) == ["a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="as a normal user some modes can't be read")
@pytest.mark.parametrize("seed", range(3))
def test_what_was_restored_is_found_right(tree: Path, grid: FakeGrid, restored: Restored, reopened: None, seed: int) -> None:
    """Everything that a file can have is compared, and nothing of it differs."""
    TreeMaker(seed).fill(os.fsencode(tree))
    restored.options = RestoreOptions(verify=True)
    summary = restored(grid.snapshot(tree))
    assert restored.problems == []
    assert summary.verified == summary.files > 0


def test_what_the_disk_changed_is_found(grid: FakeGrid, restored: Restored) -> None:
    """A wrong byte, a lost file, a lost directory and a wrong mode, each by its path; what was told before is not told again."""
    inner = grid.put_directory([Entry(b"file", b"Lx", FILE)])
    entries = [
        Entry.of(b"a", grid.put(b"x" * 1000), FILE),
        Entry.of(b"b", grid.put(b"y" * 1000), FILE),
        Entry.of(b"c", grid.put(b"z" * 1000), FILE),
        Entry.of(b"d", inner, DIRECTORY),
        Entry.of(b"e", inner, DIRECTORY),
        Entry.of(b"lost", grid.put(b"w" * 1000), FILE),
        Entry(b"mode", b"Lx", FILE),
    ]
    grid.forget(grid.put(b"w" * 1000))

    def break_disk() -> None:
        status = (restored.out / "a").stat()
        (restored.out / "a").write_bytes(b"x" * 999 + b"y")
        os.utime(restored.out / "a", ns=(status.st_mtime_ns, status.st_mtime_ns))
        (restored.out / "b").unlink()
        (restored.out / "d/file").unlink()
        (restored.out / "d").rmdir()
        (restored.out / "mode").chmod(0o600)
        (restored.out / "e").chmod(0o700)

    restored.system.at_sync = break_disk
    restored.options = RestoreOptions(verify=True)
    summary = restored(Entry.of(b"s", grid.put_directory(entries), DIRECTORY))
    kinds = {problem.path: problem.kind for problem in restored.problems if problem.path}
    failed, unset = ProblemKind.FAILED, ProblemKind.UNSET
    wanted = {
        b"a": failed,
        b"b": failed,
        b"d": failed,
        b"d/file": failed,
        b"e": unset,
        b"lost": ProblemKind.DAMAGED,
        b"mode": unset,
    }
    assert kinds == wanted
    assert summary.verified == 2
    assert not summary.is_complete


@pytest.mark.parametrize("overwrite", [Overwrite.IF_NEWER, Overwrite.NEVER])
def test_what_is_kept_is_not_compared(grid: FakeGrid, restored: Restored, overwrite: Overwrite) -> None:
    """What was to be left as it is may differ."""
    restored.out.mkdir()
    (restored.out / "a").write_bytes(b"mine")
    entries = [Entry(b"a", b"Lx", FILE), Entry(b"b", b"Lx", FILE)]
    restored.options = RestoreOptions(overwrite=overwrite, verify=True)
    summary = restored(Entry.of(b"s", grid.put_directory(entries), DIRECTORY))
    assert restored.problems == []
    assert (summary.kept, summary.verified) == (1, 1)
