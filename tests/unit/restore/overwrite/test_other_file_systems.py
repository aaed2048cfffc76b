from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.unit.restore.conftest import BentSystem

from tallac.dag import Entry, Metadata
from tallac.restore import Overwrite, RestoreOptions
from tallac.restore.files.compare import is_same_time
from tallac.restore.filesystem import PathAt, Place
from tallac.restore.overwrite.name_collisions import NameCollisions
from tallac.restore.safe_names import is_unusual
from tallac.source import SourceEntry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.restore.conftest import FakeGrid, Restored

OWN = Metadata(uid=os.geteuid(), gid=os.getegid())
FILE = msgspec.structs.replace(OWN, mode=0o100640, mtime=(1_600_000_001, 123_456_789))
DIRECTORY = msgspec.structs.replace(FILE, mode=0o40750)
TAKEN = "the name exists already, perhaps in another spelling"


class DroppingSystem(BentSystem):
    """A file system like FAT: dots at the end of a name are dropped, and each name of more than eight characters has an alias."""

    def _real(self, name: bytes, directory: int) -> bytes:
        name = name.rstrip(b".") or name
        match = re.fullmatch(rb"(.{6})~1(\..*)?", name)
        if match is None:
            return name
        with self.scandir(directory) as listing:
            names = sorted(os.fsencode(one.name) for one in listing)
        if name in names:
            return name
        return next((one for one in names if one.startswith(match[1]) and one.endswith(match[2] or b"") and len(one) > 12), name)

    def lstat(self, name: bytes, directory: int) -> os.stat_result:
        return super().lstat(self._real(name, directory), directory)

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        return super().open(name if directory is None else self._real(name, directory), flags, directory)

    def create(self, name: bytes, directory: int) -> int:
        return super().create(self._real(name, directory), directory)

    def make_directory(self, name: bytes, directory: int, mode: int = 0o700) -> None:
        super().make_directory(self._real(name, directory), directory, mode)

    def make_symlink(self, target: bytes, name: bytes, directory: int) -> None:
        super().make_symlink(target, self._real(name, directory), directory)

    def rename(self, old: bytes, new: bytes, directory: int) -> None:
        super().rename(old, self._real(new, directory), directory)

    def remove(self, name: bytes, directory: int) -> None:
        super().remove(self._real(name, directory), directory)

    def make_link(self, old: PathAt, new: PathAt) -> None:
        super().make_link(old, PathAt(new.directory, self._real(new.name, new.directory)))


def snapshot(grid: FakeGrid, **files: bytes) -> Entry:
    """Store a directory of files."""
    entries = [Entry.of(os.fsencode(name), grid.put(content * 100), FILE) for name, content in sorted(files.items())]
    return Entry.of(b"s", grid.put_directory(entries), DIRECTORY)


def contents(folder: Path) -> dict[str, bytes]:
    """Read the first byte of each file."""
    return {str(path.relative_to(folder)): path.read_bytes()[:1] for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("overwrite", list(Overwrite))
@pytest.mark.parametrize(
    ("first", "second"), [("a", "a."), ("a", "a..."), ("abcdefghijklmn.txt", "abcdef~1.txt"), ("x.tar", "x.tar.")]
)
def test_names_that_are_one_here(grid: FakeGrid, restored: Restored, overwrite: Overwrite, first: str, second: str) -> None:
    """The second of two names that are one here replaces nothing, is named, and stays out however often it is restored."""
    restored.system = DroppingSystem()
    restored.options = RestoreOptions(overwrite=overwrite)
    tree = snapshot(grid, **{first: b"1", second: b"2", "other": b"3"})
    for _ in range(3):
        restored.problems.clear()
        restored(tree)
        assert contents(restored.out) == {first: b"1", "other": b"3"}
        if overwrite is Overwrite.ALWAYS or overwrite is Overwrite.IF_CHANGED:
            assert restored.said.get(os.fsencode(second), TAKEN) == TAKEN
    if overwrite is Overwrite.ALWAYS:
        assert restored.said == {os.fsencode(second): TAKEN}


def test_directories_that_are_one_here(grid: FakeGrid, restored: Restored) -> None:
    """Two directories that are one here are not merged, and what is in the second one is not written over the first's."""
    restored.system = DroppingSystem()
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True)
    below = [grid.put_directory([Entry.of(b"f", grid.put(content * 100), FILE)]) for content in (b"1", b"2")]
    entries = [Entry.of(b"q", below[0], DIRECTORY), Entry.of(b"q.", below[1], DIRECTORY)]
    tree = Entry.of(b"s", grid.put_directory(entries), DIRECTORY)
    for _ in range(2):
        restored.problems.clear()
        restored(tree)
        assert contents(restored.out) == {"q/f": b"1"}
        assert restored.said == {b"q.": TAKEN}


def test_a_users_file_behind_an_alias_stays(grid: FakeGrid, restored: Restored) -> None:
    """What answers to a name of the snapshot and is listed under another one is not replaced."""
    restored.system = DroppingSystem()
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS)
    restored.out.mkdir()
    (restored.out / "abcdefghijklmn.txt").write_bytes(b"mine")
    restored(snapshot(grid, **{"abcdef~1.txt": b"2"}))
    assert (restored.out / "abcdefghijklmn.txt").read_bytes() == b"mine"
    assert restored.said == {b"abcdef~1.txt": TAKEN}


def test_suspicions() -> None:
    """Names that some file system takes for one are suspected, and others are not."""
    names = [
        b"a",
        b"A",
        b"b.",
        b"b",
        b"z",
        "z\u200d".encode(),
        "é".encode(),
        "e\u0301".encode(),
        b"LETTER~1.TXT",
        b"c",
        b"c.d",
        b"~x",
    ]
    collisions = NameCollisions()
    suspects = [name for name in names if collisions.is_suspect(name)]
    assert suspects == [b"A", b"b", "z\u200d".encode(), "e\u0301".encode(), b"LETTER~1.TXT"]
    unusual = [b"a.", b"a ", b"a:b", b"caf\xe9", b"con", b"aux.txt", b"x" * 200, b"a\nb"]
    assert [name for name in [*unusual, b"conf", b"a.b", "é".encode(), b".x"] if is_unusual(name)] == unusual


class SeparateLinks(BentSystem):
    """A file system that hides which files are one: every name has an inode number of its own, and one link."""

    def lstat(self, name: bytes, directory: int) -> os.stat_result:
        status = super().lstat(name, directory)
        return os.stat_result([{1: hash(name) % 99991, 3: 1}.get(index, value) for index, value in enumerate(status)])


def test_a_link_over_itself_leaves_nothing(grid: FakeGrid, restored: Restored) -> None:
    """Renaming one name of a file over another one does nothing; the temporary name goes nevertheless."""
    restored.system = SeparateLinks()
    restored.options = RestoreOptions(overwrite=Overwrite.IF_CHANGED)
    linked = msgspec.structs.replace(FILE, links=3, inode=7, device=1)
    cap = grid.put(b"x" * 100)
    tree = Entry.of(b"s", grid.put_directory([Entry.of(name, cap, linked) for name in (b"a", b"b", b"c")]), DIRECTORY)
    for _ in range(3):
        restored(tree)
        assert sorted(os.listdir(restored.out)) == ["a", "b", "c"]
    assert (restored.out / "c").stat().st_nlink == 3


class Forgetful(BentSystem):
    """A file system that takes permissions and times, and keeps its own."""

    step = 2_000_000_000

    def set_mode(self, place: Place, mode: int) -> None:
        super().set_mode(place, 0o755)

    def set_time(self, place: Place, mtime_ns: int) -> None:
        super().set_time(place, max(mtime_ns, 315_532_800 * 10**9) // self.step * self.step)


def test_what_is_not_kept_is_counted_once_a_kind(grid: FakeGrid, restored: Restored) -> None:
    """A hundred files with other permissions and two with other times: one line for all of a kind, and none for a rounded time."""
    restored.system = Forgetful()
    old = msgspec.structs.replace(FILE, mtime=(5, 0))
    entries = [Entry.of(b"%03d" % number, grid.put(b"x"), old if number < 2 else FILE) for number in range(100)]
    summary = restored(Entry.of(b"s", grid.put_directory(entries), DIRECTORY))
    assert restored.problems == []
    assert (summary.modes_unkept, summary.owners_unkept, summary.times_unkept) == (101, 0, 2)
    assert summary.notes == (
        "permissions of 101 files and directories are not as they were: this file system does not keep them",
        "times of 2 files and directories are not as they were: this file system does not keep them",
    )
    assert summary.is_complete


def test_a_further_run_finds_nothing_to_do(grid: FakeGrid, restored: Restored) -> None:
    """What can't be kept is set in vain each time, and is no change; a file with two names is not written anew for it."""
    restored.system = system = Forgetful()
    system.step = 1
    restored.options = RestoreOptions(overwrite=Overwrite.IF_CHANGED)
    linked = msgspec.structs.replace(FILE, links=2, inode=7, device=1)
    content = grid.put(b"x" * 100)
    files = [Entry.of(name, grid.put(name), FILE) for name in (b"a", b"b")]
    tree = Entry.of(b"s", grid.put_directory([*files, *(Entry.of(name, content, linked) for name in (b"c", b"d"))]), DIRECTORY)
    restored(tree)
    numbers = [(restored.out / name).stat().st_ino for name in "abcd"]
    for _ in range(2):
        restored.changes.clear()
        summary = restored(tree)
        assert (summary.unchanged, summary.amended, summary.replaced, restored.changes) == (4, 0, 0, [])
        assert any("permissions" in note for note in summary.notes)
        assert [(restored.out / name).stat().st_ino for name in "abcd"] == numbers
    (restored.out / "c").write_bytes(b"y" * 100)
    assert restored(tree).replaced == 2
    assert (restored.out / "d").read_bytes() == b"x" * 100


def test_nothing_but_hard_links(grid: FakeGrid, restored: Restored) -> None:
    """Where every file has several names, and permissions are not kept, a further run writes what differs otherwise alone."""
    restored.system = system = Forgetful()
    system.step = 1
    restored.options = RestoreOptions(overwrite=Overwrite.IF_CHANGED)
    linked = msgspec.structs.replace(FILE, links=2, inode=7, device=1)
    content = grid.put(b"x" * 100)
    tree = Entry.of(b"s", grid.put_directory([Entry.of(name, content, linked) for name in (b"c", b"d")]), DIRECTORY)
    restored(tree)
    numbers = [(restored.out / name).stat().st_ino for name in "cd"]
    for _ in range(2):
        summary = restored(tree)
        assert (summary.unchanged, summary.amended, summary.replaced) == (2, 0, 0)
        assert [(restored.out / name).stat().st_ino for name in "cd"] == numbers
        assert sorted(os.listdir(restored.out)) == ["c", "d"]
    os.setxattr(restored.out / "c", "user.more", b"1")
    assert restored(tree).replaced == 2


def test_hard_links_where_permissions_are_kept(grid: FakeGrid, restored: Restored) -> None:
    """A file with several names and other permissions is written anew, as ever: another name of it may lie anywhere."""
    restored.options = RestoreOptions(overwrite=Overwrite.IF_CHANGED)
    linked = msgspec.structs.replace(FILE, links=2, inode=7, device=1)
    content = grid.put(b"x" * 100)
    tree = Entry.of(b"s", grid.put_directory([Entry.of(name, content, linked) for name in (b"c", b"d")]), DIRECTORY)
    restored(tree)
    (restored.out / "c").chmod(0o600 if linked.mode is not None and linked.mode & 0o077 else 0o644)
    assert restored(tree).replaced == 2
    assert restored(tree).unchanged == 2


def test_verifying_does_not_repeat_what_is_not_kept(grid: FakeGrid, restored: Restored) -> None:
    """What was counted is no difference for --verify; another content is."""
    restored.system = system = Forgetful()
    system.step = 1
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, verify=True)
    tree = snapshot(grid, a=b"1", b=b"2")
    assert restored(tree).verified == 2
    assert restored.problems == []


def test_all_that_is_kept_is_not_counted(grid: FakeGrid, restored: Restored) -> None:
    """On an ordinary file system there is nothing to say."""
    linked = msgspec.structs.replace(FILE, mode=0o106750, xattrs=((b"user.a", b"1"),))
    entries = [Entry.of(b"a", grid.put(b"x"), linked), Entry(b"l", b"L", Metadata(mode=0o120777, target=b"x", mtime=(1, 2)))]
    summary = restored(Entry.of(b"s", grid.put_directory(entries), DIRECTORY))
    assert summary.notes == ()
    assert summary.unkept == []


NOW = 1_700_000_001_234_567_891


@pytest.mark.parametrize(
    ("kept", "ctime", "is_same"),
    [
        (NOW, NOW, True),
        (NOW // 100 * 100, NOW, True),
        (NOW // 1_000 * 1_000, NOW, True),
        (NOW // 10**7 * 10**7, NOW // 10**7 * 10**7, True),
        (NOW // 10**9 * 10**9, NOW // 10**9 * 10**9, True),
        (NOW // (2 * 10**9) * (2 * 10**9), NOW // (2 * 10**9) * (2 * 10**9), True),
        (NOW // 10**9 * 10**9, NOW, False),
        (NOW // 10**9 * 10**9 - 10**9, NOW // 10**9 * 10**9, False),
        (NOW + 5_000, NOW, False),
        (NOW // 10**7 * 10**7, NOW // 10**6 * 10**6 + 1, False),
    ],
)
def test_times_are_compared_as_precisely_as_they_are_kept(kept: int, ctime: int, is_same: bool) -> None:
    """A time that the file system rounded is the same; a whole second on one that keeps more is another one."""
    found = msgspec.structs.replace(SourceEntry.of(b"a", os.stat("/")), mtime_ns=kept, ctime_ns=ctime)
    assert is_same_time(found, NOW) == is_same


def test_a_node_that_is_half_made_goes(grid: FakeGrid, restored: Restored) -> None:
    """A file system that makes an empty file for a FIFO, and then fails, leaves nothing of it."""

    class HalfMaking(BentSystem):
        """exFAT through FUSE."""

        def make_node(self, name: bytes, directory: int, mode: int, device: int) -> None:
            os.close(self.create(name, directory))
            raise OSError(5, "Input/output error")

    restored.system = HalfMaking()
    entries = [Entry(b"fifo", b"L", Metadata(mode=0o10644, mtime=(1, 2))), Entry.of(b"file", grid.put(b"x"), FILE)]
    restored(Entry.of(b"s", grid.put_directory(entries), DIRECTORY))
    assert os.listdir(restored.out) == ["file"]
    assert restored.said == {b"fifo": "this file system can't hold it (Input/output error)"}
