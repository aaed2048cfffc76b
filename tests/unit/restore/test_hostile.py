from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.caps import MutableDirectoryRead, MutableFormat, UnknownCap
from tallac.dag import Entry, Metadata, display_path
from tallac.errors import DestinationError, EntryError
from tallac.restore import ProblemKind, restore
from tallac.restore.safe_names import is_safe_component

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

FILE = Metadata(mode=0o100644)
DIRECTORY = Metadata(mode=0o40755)
HOSTILE = [b"", b".", b"..", b"../escaped", b"/tmp/escaped", b"a/b", b"a\0b", b"/", b"\0"]


def contents(path: Path) -> set[str]:
    """List everything below a folder, without following links."""
    return {os.path.join(top, name) for top, directories, files in os.walk(path) for name in (*directories, *files)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_component_is_reported_and_not_used(
    grid: FakeGrid, restored: Restored, tmp_path: Path, name: bytes
) -> None:
    """As a file, a directory, a link: nothing is made for it, and its neighbours come back."""
    assert not is_safe_component(name)
    cap = grid.put_directory([Entry(b"inside", b"Lx", FILE)])
    entries = [
        Entry(name, b"Lx", FILE),
        Entry.of(name, cap, DIRECTORY),
        Entry(name, b"L", Metadata(mode=0o120777, target=b"/etc")),
        Entry(name, b"L", Metadata(mode=0o10644, links=2, inode=1, device=1)),
        Entry(b"good", b"Lx", FILE),
    ]
    summary = restored(Entry.of(b"s", grid.put_directory(entries)))
    assert contents(tmp_path) == {str(restored.out), str(restored.out / "good")}
    assert (summary.failed, summary.files, summary.is_complete) == (4, 1, False)
    assert all("not valid for a file" in message for message in restored.said.values())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_single_file_needs_a_safe_name(grid: FakeGrid, restored: Restored, name: bytes) -> None:
    """Before anything is made."""
    with pytest.raises(EntryError, match="give it another"):
        restored(Entry(name, b"Lx", FILE))
    assert not restored.out.exists()


def test_a_link_from_the_snapshot_is_not_followed(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """A symbolic link and then a directory or file of the same name: the second is refused."""
    (tmp_path / "outside").mkdir()
    link = Metadata(mode=0o120777, target=os.fsencode(tmp_path / "outside"))
    dangling = Metadata(mode=0o120777, target=os.fsencode(tmp_path / "created"))
    cap = grid.put_directory([Entry(b"inside", b"Lx", FILE)])
    entries = [
        Entry(b"a", b"L", link),
        Entry.of(b"a", cap, DIRECTORY),
        Entry(b"b", b"L", dangling),
        Entry(b"b", b"Lx", FILE),
    ]
    summary = restored(Entry.of(b"s", grid.put_directory(entries)))
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "created").exists()
    assert summary.failed == 2
    assert "exists already" in restored.said[b"a"]


def test_a_link_swapped_in_for_a_directory_leads_nowhere(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """Somebody replaces a directory by a link while the restore runs: it is reported, and nothing is written outside."""
    (tmp_path / "outside").mkdir(mode=0o700)
    mode = (tmp_path / "outside").stat().st_mode

    def swap(name: bytes) -> None:
        if name == b"a":
            (restored.out / "a").rmdir()
            (restored.out / "a").symlink_to(tmp_path / "outside")

    restored.system.before_enter = swap
    entries = [Entry.of(b"a", grid.put_directory([Entry(b"inside", b"Lx", FILE)]), DIRECTORY), Entry(b"b", b"Lx", FILE)]
    summary = restored(Entry.of(b"s", grid.put_directory(entries)))
    assert list((tmp_path / "outside").iterdir()) == []
    assert restored.said.keys() == {b"a"}
    assert (summary.failed, summary.files) == (1, 1)
    assert (tmp_path / "outside").stat().st_mode == mode


def test_a_link_swapped_in_further_up_leads_nowhere(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """What is under way in a directory goes on in that directory, wherever it is, and no link is followed on the way back."""
    (tmp_path / "outside/b").mkdir(parents=True)
    inner = grid.put_directory([Entry(b"inside", b"Lx", Metadata(mode=0o100644, links=2, inode=1, device=1))])
    outer = grid.put_directory([Entry.of(b"b", inner, DIRECTORY), Entry(b"c", b"Lx", FILE)])

    def swap(name: bytes) -> None:
        if name == b"b":
            (restored.out / "a").rename(restored.out / "moved")
            (restored.out / "a").symlink_to(tmp_path / "outside")

    restored.system.before_enter = swap
    last = Entry(b"z", b"Lx", Metadata(mode=0o100644, links=2, inode=1, device=1))
    restored(Entry.of(b"s", grid.put_directory([Entry.of(b"a", outer, DIRECTORY), last])))
    assert contents(tmp_path / "outside") == {str(tmp_path / "outside/b")}
    assert (restored.out / "moved/b/inside").read_bytes() == b"x"
    assert (restored.out / "moved/c").read_bytes() == b"x"
    assert (restored.out / "z").read_bytes() == b"x", "what can't be linked is copied"


@pytest.mark.parametrize(
    ("encoded", "metadata"),
    [
        (b"Lx", DIRECTORY),
        (b"D", FILE),
        (b"Lx", Metadata(mode=0o130000)),
        (b"Lx", Metadata(mode=-1)),
        (b"Lx", Metadata(mode=1 << 60)),
        (b"Lx", Metadata(mode=0o120777)),
        (b"Lx", Metadata(mode=0o120777, target=b"a\0b")),
        (b"Lx", Metadata(mode=0o20666)),
        (b"Lx", Metadata(mode=0o20666, rdev=(-1, 1 << 60))),
        (b"C", FILE),
        (b"Q", FILE),
        (b"Tno cap", FILE),
    ],
)
def test_an_entry_that_contradicts_itself_is_reported(
    grid: FakeGrid, restored: Restored, encoded: bytes, metadata: Metadata
) -> None:
    """Type confusion, impossible modes, devices, links and caps: one report, nothing made, the rest goes on."""
    entries = [Entry(b"bad", encoded, metadata), Entry(b"good", b"Lx", FILE)]
    summary = restored(Entry.of(b"s", grid.put_directory(entries)))
    assert os.listdir(restored.out) == ["good"]
    assert restored.said.keys() == {b"bad"}
    assert not summary.is_complete


@pytest.mark.parametrize(
    "metadata",
    [
        Metadata(mode=0o100644, uid=1 << 40, gid=-7),
        Metadata(mode=0o100644, uid=(1 << 32) - 1, gid=(1 << 32) - 1),
        Metadata(mode=0o100644, mtime=(1 << 63, 1 << 63)),
        Metadata(mode=0o100644, mtime=(-(1 << 63), -5)),
        Metadata(mode=0o100644, xattrs=((b"no namespace", b"1"), (b"", b"1"), (b"user.\0", b"1"), (b"user." + b"n" * 300, b"1"))),
        Metadata(mode=0o100644, xattrs=((b"user.large", bytes(1 << 17)),)),
        Metadata(mode=0o100644, xattrs=((b"system.posix_acl_access", b"no acl"),)),
    ],
)
def test_metadata_that_can_not_be_is_reported_and_the_file_is_there(grid: FakeGrid, restored: Restored, metadata: Metadata) -> None:
    """Impossible owners, times and attributes cost themselves, not the file."""
    summary = restored(Entry.of(b"s", grid.put_directory([Entry(b"file", b"Lx", metadata)])))
    assert (restored.out / "file").read_bytes() == b"x"
    assert [problem.kind for problem in restored.problems] == [ProblemKind.UNSET]
    assert (summary.files, summary.unset, summary.is_complete) == (1, 1, True)


def test_a_cap_of_the_future_is_reported(grid: FakeGrid, restored: Restored) -> None:
    """An unknown cap can't be read, and its neighbours can."""
    entries = [Entry.of(b"a", UnknownCap("URI:FUTURE:x")), Entry(b"b", b"Lx", FILE)]
    summary = restored(Entry.of(b"s", grid.put_directory(entries)))
    assert (summary.failed, summary.files) == (1, 1)


def test_a_directory_that_contains_itself_ends(grid: FakeGrid, restored: Restored) -> None:
    """A mutable directory can be its own descendant; that is reported, not followed for ever."""
    cap = MutableDirectoryRead(bytes(16), bytes(32), MutableFormat.SDMF)
    middle = grid.put_directory([Entry.of(b"again", cap)])
    grid.put_at(cap, [Entry.of(b"middle", middle), Entry(b"z", b"Lx", FILE)])
    summary = restored(Entry.of(b"s", cap))
    assert restored.said == {b"middle/again": "this directory leads back to one that it is in, and is not entered again"}
    assert (summary.directories, summary.files) == (2, 1)


def test_nothing_that_exists_is_overwritten(grid: FakeGrid, restored: Restored) -> None:
    """A single file goes beside what is there; a taken name is reported."""
    restored.out.mkdir()
    (restored.out / "file").write_bytes(b"precious")
    summary = restored(Entry(b"file", b"Lother", FILE))
    assert (restored.out / "file").read_bytes() == b"precious"
    assert (summary.failed, summary.files) == (1, 0)
    assert restored(Entry(b"second", b"Lother", FILE)).is_complete
    assert (restored.out / "second").read_bytes() == b"other"


def test_a_directory_wants_an_empty_folder(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """What is not empty, or is no folder, is refused before anything is written."""
    snapshot = Entry.of(b"s", grid.put_directory([Entry(b"a", b"Lx", FILE)]))
    restored.out.mkdir()
    (restored.out / "there").touch()
    with pytest.raises(DestinationError, match="out: is not empty"):
        restored(snapshot)
    assert os.listdir(restored.out) == ["there"]
    with pytest.raises(DestinationError, match="there: can't be used as a folder"):
        restored(snapshot, restored.out / "there")
    with pytest.raises(DestinationError, match="the name is empty"):
        restored(snapshot, b"")


def test_the_users_own_links_are_followed(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """The destination may be a link, and missing folders above it are made."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    restored(Entry.of(b"s", grid.put_directory([Entry(b"a", b"Lx", FILE)])), tmp_path / "link/deep/er")
    assert (tmp_path / "real/deep/er/a").read_bytes() == b"x"


def test_a_relative_destination_works(grid: FakeGrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also `.` and names with slashes at the end; without callbacks."""
    monkeypatch.chdir(tmp_path)
    cap = grid.put_directory([Entry(b"a", b"Lx", FILE)])
    restore(grid, cap, "./out/")
    assert (tmp_path / "out/a").read_bytes() == b"x"
    monkeypatch.chdir(tmp_path / "out")
    restore(grid, Entry(b"b", b"Ly", FILE), ".")
    assert (tmp_path / "out/b").read_bytes() == b"y"


def test_paths_are_shown_on_one_line() -> None:
    """Whatever a name holds, a message can't be broken by it."""
    assert display_path(b"a\n\x1b[31m\xff\xc3\xa4") == "a\\n\\x1b[31m\\xffä"
