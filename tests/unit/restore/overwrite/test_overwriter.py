from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.restore.test_random_trees import TreeMaker

from tallac.dag import Entry, Metadata
from tallac.errors import DestinationError
from tallac.restore import Change, Overwrite, PathFilter, RestoreOptions
from tallac.restore.safe_names import is_temporary, temporary_name
from tallac.source import OwnFiles, OwnKind, OwnPlace

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

AT = (1_000_000_000, 5)
FILE = Metadata(mode=0o100644, mtime=AT)
DIRECTORY = Metadata(mode=0o40755, mtime=AT)
ALWAYS = RestoreOptions(overwrite=Overwrite.ALWAYS)
DELETING = RestoreOptions(overwrite=Overwrite.IF_CHANGED, delete=True)


def changes(restored: Restored) -> dict[str, str]:
    """Give what was told of each path, and forget it."""
    told = {os.fsdecode(path): change for change, path in restored.changes}
    restored.changes.clear()
    return told


def entry(grid: FakeGrid, name: bytes, content: bytes, metadata: Metadata = FILE) -> Entry:
    """Store a file."""
    return Entry.of(name, grid.put(content), metadata)


def place(path: Path, content: bytes, seconds: int) -> None:
    """Put a file where something is restored, changed so many seconds after what the snapshot has."""
    path.write_bytes(content)
    path.chmod(0o644)
    time_ns = (AT[0] + seconds) * 10**9 + AT[1]
    os.utime(path, ns=(time_ns, time_ns))


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[None]:
    """Make everything accessible again, so that the test's folder can be removed."""
    yield
    subprocess.run(["chmod", "-R", "u+rwx", tmp_path], check=False, capture_output=True)


CONTENT, OTHER = b"x" * 1000, b"y" * 1000
STATES = {
    "missing": None,
    "same": (CONTENT, 0),
    "silent": (OTHER, 0),
    "touched": (CONTENT, 9),
    "newer": (OTHER, 9),
    "older": (OTHER, -9),
    "longer": (OTHER + b"z", 0),
}
EXPECTED = {
    Overwrite.ALWAYS: {"silent": "replaced", "touched": "amended", "newer": "replaced", "older": "replaced", "longer": "replaced"},
    Overwrite.IF_CHANGED: {"touched": "amended", "newer": "replaced", "older": "replaced", "longer": "replaced"},
    Overwrite.IF_NEWER: {"touched": "kept", "newer": "kept", "older": "replaced", "longer": "kept"},
    Overwrite.NEVER: {"touched": "kept", "newer": "kept", "older": "kept", "longer": "kept"},
}


@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_what_becomes_of_a_file_that_is_there(grid: FakeGrid, restored: Restored, overwrite: Overwrite) -> None:
    """Each kind of difference, under each rule; what is not replaced stays the same file."""
    restored.out.mkdir()
    for name, state in STATES.items():
        if state is not None:
            place(restored.out / name, *state)
    inodes = {name: (restored.out / name).stat().st_ino for name in STATES if name != "missing"}
    restored.options = RestoreOptions(overwrite=overwrite)
    summary = restored(
        Entry.of(b"s", grid.put_directory([entry(grid, os.fsencode(n), CONTENT) for n in sorted(STATES)]), DIRECTORY)
    )
    told = {"missing": "new"} | EXPECTED[overwrite]
    assert changes(restored) == told
    for name, state in STATES.items():
        is_ours = told.get(name) in {"new", "replaced", "amended"}
        status = (restored.out / name).stat()
        assert (restored.out / name).read_bytes() == (CONTENT if is_ours or state is None else state[0])
        assert (status.st_mtime_ns == AT[0] * 10**9 + AT[1]) == (is_ours or name in {"same", "silent", "longer"})
        if name in inodes:
            assert (status.st_ino == inodes[name]) == (told.get(name) != "replaced")
    counts = [list(told.values()).count(word) for word in ("replaced", "amended", "kept")]
    assert [summary.replaced, summary.amended, summary.kept] == counts
    assert summary.files == summary.replaced + 1
    assert summary.unchanged == len(STATES) - len(told)
    assert summary.is_complete


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [Overwrite.ALWAYS, Overwrite.IF_CHANGED])
@pytest.mark.parametrize("seed", range(8))
def test_a_tree_becomes_another(
    tree: Path, grid: FakeGrid, restored: Restored, reopened: None, overwrite: Overwrite, seed: int
) -> None:
    """Over a random tree another one is restored, with everything that a file can have, and nothing of the first is left."""
    if os.geteuid() != 0:
        pytest.skip("as a normal user some modes can't be read")
    TreeMaker(seed).fill(os.fsencode(tree))
    restored.out.mkdir()
    TreeMaker(seed + 1000).fill(os.fsencode(restored.out))
    snapshot = grid.snapshot(tree)
    restored.options = RestoreOptions(overwrite=overwrite, delete=True)
    restored(snapshot)
    assert restored.problems == []
    restored.assert_same(snapshot)
    restored.changes.clear()
    again = restored(snapshot)
    assert restored.problems == []
    assert restored.changes == []
    assert (again.files, again.amended, again.deleted, again.kept) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_restore_is_finished_by_the_next(
    tree: Path, grid: FakeGrid, restored: Restored, reopened: None, seed: int
) -> None:
    """Killed at one call after the other; nothing that was not whole stays, and the last run brings back everything."""
    if os.geteuid() != 0:
        pytest.skip("as a normal user some modes can't be read")
    TreeMaker(seed).fill(os.fsencode(tree))
    snapshot = grid.snapshot(tree)
    restored.options = DELETING
    for life in range(1, 400, 7):
        restored.system.life = life
        try:
            restored(snapshot)
        except KeyboardInterrupt:
            continue
        break
    restored.system.life = None
    restored(snapshot)
    assert restored.problems == []
    restored.assert_same(snapshot)


def test_what_a_killed_restore_left_is_removed(grid: FakeGrid, restored: Restored) -> None:
    """Even where nothing is to be deleted; but not if the snapshot has it."""
    restored.out.mkdir()
    left, stored = temporary_name(), temporary_name()
    (restored.out / os.fsdecode(left)).touch()
    (restored.out / os.fsdecode(stored)).touch()
    (restored.out / "mine").touch()
    (restored.out / ".tallac-restore-mine.part").touch()
    assert is_temporary(left)
    restored.options = ALWAYS
    restored(Entry.of(b"s", grid.put_directory([entry(grid, stored, b"content")]), DIRECTORY))
    assert set(os.listdir(restored.out)) == {".tallac-restore-mine.part", os.fsdecode(stored), "mine"}
    assert (restored.out / os.fsdecode(stored)).read_bytes() == b"content"


def test_links_that_are_there_are_not_followed(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """A link in place of a directory or file, with a name that leads out: it is replaced, and what it leads to stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    restored.out.mkdir()
    (restored.out / "a").symlink_to(outside)
    (restored.out / "b").symlink_to(outside / "file")
    (restored.out / "c").symlink_to(outside)
    below = grid.put_directory([entry(grid, b"file", b"other")])
    before = (outside.stat().st_mtime_ns, (outside / "file").stat().st_ctime_ns)
    restored.options = DELETING
    restored(Entry.of(b"s", grid.put_directory([Entry.of(b"a", below, DIRECTORY), entry(grid, b"b", b"other")]), DIRECTORY))
    assert (outside / "file").read_bytes() == b"precious"
    assert (outside.stat().st_mtime_ns, (outside / "file").stat().st_ctime_ns) == before
    assert (restored.out / "a/file").read_bytes() == (restored.out / "b").read_bytes() == b"other"
    assert sorted(os.listdir(restored.out)) == ["a", "b"]
    assert not (restored.out / "b").is_symlink()


def test_a_second_name_outside_is_not_written_to(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """A hard link that leads out loses its link, and neither content nor mode changes there; not even if the snapshot has links."""
    restored.out.mkdir()
    linked = Metadata(mode=0o100600, mtime=AT, inode=1, device=1, links=2)
    for name, content in (("a", b"old"), ("b", b"new"), ("c", b"new")):
        place(tmp_path / name, content, 0)
        os.link(tmp_path / name, restored.out / name)
    entries = [entry(grid, b"a", b"new"), entry(grid, b"b", b"new", linked), entry(grid, b"c", b"new", linked)]
    restored.options = ALWAYS
    restored(Entry.of(b"s", grid.put_directory(entries), DIRECTORY))
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [b"old", b"new", b"new"]
    assert {(tmp_path / name).stat().st_mode for name in "abc"} == {0o100644}
    assert all((tmp_path / name).stat().st_nlink == 1 for name in "abc")
    assert (restored.out / "b").samefile(restored.out / "c")


def test_a_full_directory_in_the_way_stays_unless_it_may_be_deleted(grid: FakeGrid, restored: Restored) -> None:
    """An empty one gives way; one with something in it only to --delete."""
    for name in ("empty", "full"):
        (restored.out / name).mkdir(parents=True)
    (restored.out / "full/file").touch()
    snapshot = Entry.of(b"s", grid.put_directory([entry(grid, b"empty", b"x"), entry(grid, b"full", b"x")]), DIRECTORY)
    restored.options = ALWAYS
    assert restored(snapshot).failed == 1
    assert "--delete" in restored.said[b"full"]
    assert (restored.out / "empty").read_bytes() == b"x"
    assert (restored.out / "full/file").exists()
    restored.options = DELETING
    assert restored(snapshot).is_complete
    assert (restored.out / "full").read_bytes() == b"x"


def test_what_is_kept_in_the_way_keeps_what_would_be_below(grid: FakeGrid, restored: Restored) -> None:
    """A file where the snapshot has a directory stays if it is to be kept, and nothing is restored below it."""
    restored.out.mkdir()
    (restored.out / "a").write_bytes(b"mine")
    below = grid.put_directory([entry(grid, b"file", b"x")])
    restored.options = RestoreOptions(overwrite=Overwrite.NEVER)
    summary = restored(Entry.of(b"s", grid.put_directory([Entry.of(b"a", below, DIRECTORY), entry(grid, b"b", b"x")]), DIRECTORY))
    assert (restored.out / "a").read_bytes() == b"mine"
    assert (summary.kept, summary.files, summary.is_complete) == (1, 1, True)


def test_deleting_respects_what_is_chosen(grid: FakeGrid, restored: Restored) -> None:
    """What is excluded, or not included, is not deleted either."""
    for name in ("logs/old", "deep/keep.txt", "deep/drop.tmp", "drop.tmp", "keep.txt", "tmp.d/x.tmp"):
        (restored.out / name).parent.mkdir(parents=True, exist_ok=True)
        (restored.out / name).touch()
    snapshot = Entry.of(b"s", grid.put_directory([entry(grid, b"a.tmp", b"x"), entry(grid, b"b", b"x")]), DIRECTORY)
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True, selection=PathFilter(["*.tmp"]))
    assert restored(snapshot).deleted == 3
    left = {str(path.relative_to(restored.out)) for path in restored.out.rglob("*")}
    assert left == {"a.tmp", "deep", "deep/keep.txt", "keep.txt", "logs", "logs/old", "tmp.d"}
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True, selection=PathFilter(exclude=["/logs", "keep.txt"]))
    restored(snapshot)
    left = {str(path.relative_to(restored.out)) for path in restored.out.rglob("*")}
    assert left == {"a.tmp", "b", "deep", "deep/keep.txt", "keep.txt", "logs", "logs/old"}


def test_what_can_not_be_read_whole_justifies_no_deletion(grid: FakeGrid, restored: Restored) -> None:
    """A damaged directory might have held what is there."""
    restored.out.mkdir()
    (restored.out / "mine").touch()
    cap = grid.put_directory([entry(grid, b"a", b"x"), entry(grid, b"z", b"x")])
    grid.damaged_directories[cap] = 1
    restored.options = DELETING
    summary = restored(Entry.of(b"s", cap, DIRECTORY))
    assert sorted(os.listdir(restored.out)) == ["a", "mine"]
    assert (summary.deleted, summary.is_complete) == (0, False)


def test_names_out_of_order_justify_no_deletion(grid: FakeGrid, restored: Restored) -> None:
    """A hostile directory can't have something deleted that it names."""
    restored.out.mkdir()
    (restored.out / "a").touch()
    (restored.out / "mine").touch()
    restored.options = DELETING
    restored(Entry.of(b"s", grid.put_directory([entry(grid, b"z", b"x"), entry(grid, b"a", b"x")]), DIRECTORY))
    assert sorted(os.listdir(restored.out)) == ["a", "mine", "z"]


def test_damage_leaves_what_is_there(grid: FakeGrid, restored: Restored) -> None:
    """A file that the store has lost is not taken away here as well."""
    restored.out.mkdir()
    place(restored.out / "a", OTHER, 9)
    place(restored.out / "b", OTHER + b"z", 9)
    files = [entry(grid, b"a", CONTENT), entry(grid, b"b", CONTENT)]
    snapshot = Entry.of(b"s", grid.put_directory(files), DIRECTORY)
    grid.forget(grid.put(CONTENT))
    restored.options = DELETING
    assert restored(snapshot).damaged == 2
    assert (restored.out / "a").read_bytes() == OTHER
    assert (restored.out / "b").read_bytes() == OTHER + b"z"
    assert sorted(os.listdir(restored.out)) == ["a", "b"]


def test_home_is_not_emptied_by_mistake(
    grid: FakeGrid, restored: Restored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what it lies in; unless that is said."""
    (tmp_path / "out/home").mkdir(parents=True)
    (tmp_path / "out/home/mine").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "out/home"))
    snapshot = Entry.of(b"s", grid.put_directory([entry(grid, b"a", b"x")]), DIRECTORY)
    restored.options = DELETING
    for folder in (restored.out, restored.out / "home", Path("/")):
        with pytest.raises(DestinationError, match="--allow-delete-home"):
            restored(snapshot, folder)
    assert (restored.out / "home/mine").exists()
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True, allow_delete_home=True)
    assert restored(snapshot, restored.out / "home").is_complete
    assert os.listdir(restored.out / "home") == ["a"]


def test_what_is_protected_is_not_deleted(grid: FakeGrid, restored: Restored) -> None:
    """A vault that lies in the folder stays, wherever it is."""
    (restored.out / "data/vault").mkdir(parents=True)
    (restored.out / "data/vault/pack").touch()
    (restored.out / "data/other").touch()
    own = OwnFiles([OwnPlace(os.fsencode(restored.out / "data/vault"), OwnKind.STATE)])
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True, own=own)
    assert restored(Entry.of(b"s", grid.put_directory([]), DIRECTORY)).deleted == 1
    assert (restored.out / "data/vault/pack").exists()
    assert restored.protected == [os.fsencode(restored.out / "data/vault")]


@pytest.mark.parametrize("is_folding", [False, True])
def test_twins_do_not_overwrite_one_another(grid: FakeGrid, restored: Restored, is_folding: bool) -> None:
    """Where a file system takes two names for one, the second is reported; where it does not, both come back."""
    restored.system.is_folding = is_folding
    restored.options = ALWAYS
    names = [b"README", b"Readme", b"readme"]
    summary = restored(Entry.of(b"s", grid.put_directory([entry(grid, name, name) for name in names]), DIRECTORY))
    assert (summary.files, summary.failed) == ((1, 2) if is_folding else (3, 0))
    assert (restored.out / "README").read_bytes() == b"README"


def test_a_name_that_is_there_twice_is_reported(grid: FakeGrid, restored: Restored) -> None:
    """A hostile directory can't have one of its files replaced by another."""
    restored.options = ALWAYS
    summary = restored(Entry.of(b"s", grid.put_directory([entry(grid, b"a", b"1"), entry(grid, b"a", b"2")]), DIRECTORY))
    assert (summary.files, summary.failed) == (1, 1)
    assert (restored.out / "a").read_bytes() == b"1"


def test_a_closed_directory_is_opened_and_closed_again(grid: FakeGrid, restored: Restored) -> None:
    """What a user has forbidden herself is no obstacle, and is as it was in the end."""
    inner = grid.put_directory([entry(grid, b"file", b"x")])
    snapshot = Entry.of(b"s", grid.put_directory([Entry.of(b"d", inner, Metadata(mode=0o40500, mtime=AT))]), DIRECTORY)
    restored(snapshot)
    (restored.out / "d").chmod(0o700)
    (restored.out / "d/file").unlink()
    (restored.out / "d").chmod(0)
    restored.options = DELETING
    assert restored(snapshot).files == 1
    assert restored.problems == []
    assert (restored.out / "d").stat().st_mode & 0o777 == 0o500
    assert Change.NEW.value in changes(restored).values()


@pytest.mark.parametrize("missing", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("is_changed", [False, True])
def test_a_second_name_outside_shares_nothing_where_names_are_missing(
    grid: FakeGrid, restored: Restored, tmp_path: Path, missing: tuple[int, ...], is_changed: bool
) -> None:
    """A link that the snapshot does not know takes the place of none that is missing: the restored file has an inode of its own."""
    source = tmp_path / "source"
    names = [source / "a" / "0", source / "1", source / "z" / "2"]
    for folder in ("a", "z"):
        (source / folder).mkdir(parents=True)
    names[0].write_text("content")
    for name in names[1:]:
        os.link(names[0], name)
    snapshot = grid.snapshot(source)
    restored.out = source
    for number in missing:
        names[number].unlink()
    outside = tmp_path / "outside"
    os.link(names[0], outside)
    if len(missing) == 2:
        os.link(names[0], tmp_path / "another")
    if is_changed:
        outside.write_text("changed")
    restored.options = RestoreOptions(overwrite=Overwrite.IF_CHANGED)
    for _ in range(2):
        restored.changes.clear()
        assert restored(snapshot).failed == 0
        assert [name.read_text() for name in names] == ["content"] * 3
        numbers = {name.stat().st_ino for name in names}
        assert len(numbers) == 1
        assert outside.stat().st_ino not in numbers
        assert names[0].stat().st_nlink == 3
    assert restored.changes == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_named_device_is_not_replaced(grid: FakeGrid, restored: Restored, dry_run: bool) -> None:
    """A single file does not take the place of a FIFO, device or socket; one of the same kind may be restored over it."""
    restored.out.mkdir()
    os.mkfifo(restored.out / "null", 0o600)
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, dry_run=dry_run)
    with pytest.raises(DestinationError, match="stays; `tallac get` writes into it"):
        restored(entry(grid, b"null", CONTENT))
    assert stat.S_ISFIFO((restored.out / "null").lstat().st_mode)
    restored(Entry.of(b"null", grid.put(b""), Metadata(mode=0o10640, mtime=AT)))
    assert (restored.out / "null").lstat().st_mode == (0o10600 if dry_run else 0o10640)
