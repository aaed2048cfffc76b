from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tallac.caps import DirectoryWriteCap, ImmutableFile, LiteralFile, MutableDirectoryWrite
from tallac.dag import Entry, Metadata
from tallac.errors import DestinationError, EntryError, EntryExistsError, EntryNotFoundError, SourceError, StoreFullError
from tallac.source import NOTHING_OWN
from tallac.testing.memory_grid import MemoryGrid
from tallac.transfer.directory_edits import find_strongest
from tallac.transfer.download import copy_to_local, download
from tallac.transfer.files import get_file
from tallac.transfer.place import Place, find, list_directory
from tallac.transfer.report import CopyReport
from tallac.transfer.upload import copy_to_grid

PlaceMaker = Callable[[str], Place]
Put = Callable[[str, bytes], None]
Enter = Callable[[str, list[Entry]], None]

LOST = ImmutableFile(b"k" * 16, b"h" * 32, 1, 1, 1000)


def names(grid: MemoryGrid, place: Place) -> list[bytes]:
    """List a directory's names."""
    return [entry.name for entry in list_directory(grid, place)]


def content(grid: MemoryGrid, place: Place) -> bytes:
    """Read a file."""
    sink = io.BytesIO()
    get_file(grid, place, sink)
    return sink.getvalue()


def tree(folder: Path) -> list[str]:
    """List all that is in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def upload(grid: MemoryGrid, target: Place, *sources: Path | Place, recursive: bool = True, into: bool = False) -> CopyReport:
    """Copy to the grid."""
    report = CopyReport()
    copy_to_grid(grid, sources, target, recursive=recursive, into=into, report=report)
    return report


def fetch(grid: MemoryGrid, target: Path, *sources: Place, recursive: bool = True, into: bool = False) -> CopyReport:
    """Copy from the grid."""
    report = CopyReport()
    copy_to_local(grid, sources, target, NOTHING_OWN, recursive=recursive, into=into, report=report)
    return report


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """Give a local tree."""
    folder = tmp_path / "local"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "one").write_bytes(b"1")
    (folder / "sub" / "two").write_bytes(b"22")
    return folder


def test_a_file_up(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """A file gets the target's name, or its own in a directory, and keeps mode and time."""
    (local / "one").chmod(0o640)
    os.utime(local / "one", ns=(0, 1_500_000_000_123_456_789))
    upload(grid, place("x/new"), local / "one")
    upload(grid, place("x"), local / "one")
    assert names(grid, place("x")) == [b"new", b"one"]
    metadata = find(grid, place("x/one")).metadata
    assert (metadata.mode, metadata.mtime_ns) == (0o100640, 1_500_000_000_123_456_789)


def test_a_tree_up(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """A directory goes in under its own name, and can be changed there."""
    report = upload(grid, place("x"), local)
    assert names(grid, place("x/local")) == [b"one", b"sub"]
    assert names(grid, place("x/local/sub")) == [b"deep", b"two"]
    assert content(grid, place("x/local/sub/two")) == b"22"
    assert isinstance(find_strongest(grid, place("x/local/sub/deep"))[0], DirectoryWriteCap)
    assert (report.files, report.directories, report.bytes, report.is_complete) == (2, 3, 3, True)


def test_a_tree_up_again(grid: MemoryGrid, place: PlaceMaker, local: Path, put: Put) -> None:
    """Copying again goes into the directories that are there, and keeps what else is in them."""
    upload(grid, place("x"), local)
    cap, _ = find_strongest(grid, place("x/local/sub"))
    put("x/local/sub/other", b"")
    (local / "sub" / "two").write_bytes(b"new")
    upload(grid, place("x"), local)
    assert names(grid, place("x/local/sub")) == [b"deep", b"other", b"two"]
    assert content(grid, place("x/local/sub/two")) == b"new"
    assert find_strongest(grid, place("x/local/sub"))[0] == cap


def test_several_up(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """Several things go into the target, which becomes a directory."""
    upload(grid, place("x"), local / "one", local / "sub")
    assert names(grid, place("x")) == [b"one", b"sub"]


def test_directories_need_recursion(grid: MemoryGrid, place: PlaceMaker, local: Path, put: Put, tmp_path: Path) -> None:
    """Without -r nothing of a directory is copied, in either direction."""
    put("a/file", b"")
    with pytest.raises(EntryError, match="use cp -r"):
        upload(grid, place("x"), local, recursive=False)
    with pytest.raises(EntryError, match="use cp -r"):
        upload(grid, place("x"), place("a"), recursive=False)
    with pytest.raises(EntryError, match="use cp -r"):
        fetch(grid, tmp_path / "out", place("a"), recursive=False)
    assert not (tmp_path / "out").exists()


def test_two_of_one_name(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """Of two files of one name, neither takes the other's place; directories of one name are merged."""
    (local / "sub" / "one").write_bytes(b"other")
    with pytest.raises(EntryExistsError, match="same name"):
        upload(grid, place("x"), local / "one", local / "sub" / "one")
    assert names(grid, place("x")) == []
    (local / "sub" / "sub").mkdir()
    (local / "sub" / "sub" / "three").touch()
    upload(grid, place("x"), local / "sub", local / "sub" / "sub")
    assert names(grid, place("x/sub")) == [b"deep", b"one", b"sub", b"three", b"two"]


def test_what_cp_does_not_keep(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """Links and pipes below are named and left out; nothing outside is read."""
    (local / "link").symlink_to("/etc/passwd")
    (local / "sub" / "loop").symlink_to("..")
    os.mkfifo(local / "fifo")
    report = upload(grid, place("x"), local)
    assert sorted(skipped.path for skipped in report.skipped) == [str(local / name) for name in ("fifo", "link", "sub/loop")]
    assert names(grid, place("x/local")) == [b"one", b"sub"]


def test_a_source_that_is_not_there(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """What was asked for by name and can't be read is an error, and nothing is entered."""
    with pytest.raises(SourceError, match="nowhere: can't read it"):
        upload(grid, place(""), local / "one", local / "nowhere")
    with pytest.raises(EntryNotFoundError, match="home:nowhere"):
        upload(grid, place("x"), place("nowhere"))
    assert names(grid, place("")) == []


def test_a_full_store(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """What could not be stored as a whole is not entered in parts."""
    upload(grid, place("x"), local / "one")
    grid.puts_left = 1
    with pytest.raises(StoreFullError):
        upload(grid, place(""), local)
    assert names(grid, place("")) == [b"x"]


def test_a_new_directory_is_complete_before_it_is_entered(grid: MemoryGrid, place: PlaceMaker, local: Path) -> None:
    """The edit of the target comes last of all."""
    root = place("").cap
    assert isinstance(root, MutableDirectoryWrite)
    before = grid.mutable[root.writekey][0]
    upload(grid, place(""), local)
    assert grid.events[-1] == "edit"
    assert grid.mutable[root.writekey][0] == before + 1


def test_directories_are_in_the_way_of_files(grid: MemoryGrid, place: PlaceMaker, local: Path, put: Put) -> None:
    """A file does not replace a directory of its name."""
    put("one/file", b"")
    with pytest.raises(EntryExistsError, match="home:one"):
        upload(grid, place(""), local / "one")
    assert names(grid, place("one")) == [b"file"]


def test_within_the_grid(grid: MemoryGrid, place: PlaceMaker, put: Put, snapshot: Enter) -> None:
    """What is immutable is linked; a mutable directory gets a copy that changes alone."""
    snapshot("snap", [Entry.of(b"readme", LiteralFile(b"read me"))])
    put("a/sub/file", b"x" * 100)
    grid.events.clear()
    upload(grid, place("copy"), place("snap"), place("a"))
    assert "put_small" not in grid.events
    assert find(grid, place("copy/snap")).cap == find(grid, place("snap")).cap
    put("copy/a/sub/new", b"")
    assert names(grid, place("copy/a/sub")) == [b"file", b"new"]
    assert names(grid, place("a/sub")) == [b"file"]


def test_a_nameless_directory_is_poured_out(grid: MemoryGrid, place: PlaceMaker, snapshot: Enter, tmp_path: Path) -> None:
    """A bare cap, or an alias's root, gives its content; a directory with a name comes with it."""
    snapshot("snap", [Entry.of(b"readme", LiteralFile(b"read me"))])
    bare = Place(find(grid, place("snap")).cap, (), "cap:")
    upload(grid, place("poured"), bare)
    assert names(grid, place("poured")) == [b"readme"]
    fetch(grid, tmp_path / "bare", bare)
    fetch(grid, tmp_path / "named", place("snap"))
    assert tree(tmp_path) == ["bare", "bare/readme", "named", "named/snap", "named/snap/readme"]


def test_a_nameless_file(grid: MemoryGrid, place: PlaceMaker, tmp_path: Path) -> None:
    """A bare file cap needs a name from the target."""
    bare = Place(LiteralFile(b"text"), (), "cap:")
    with pytest.raises(EntryError, match="this file has no name"):
        upload(grid, place(""), bare)
    with pytest.raises(EntryError, match="this file has no name"):
        fetch(grid, tmp_path, bare)
    upload(grid, place("name"), bare)
    fetch(grid, tmp_path / "name", bare)
    assert content(grid, place("name")) == (tmp_path / "name").read_bytes() == b"text"


def test_a_tree_down(grid: MemoryGrid, place: PlaceMaker, put: Put, tmp_path: Path) -> None:
    """A directory comes down under its own name, into what is there."""
    put("a/sub/file", b"x" * 100)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    report = fetch(grid, tmp_path / "out", place("a"))
    assert tree(tmp_path / "out") == ["a", "a/sub", "a/sub/file", "mine"]
    assert (tmp_path / "out/a/sub/file").read_bytes() == b"x" * 100
    assert (report.files, report.directories, report.bytes) == (1, 2, 100)


def test_download_replaces_a_whole_file(grid: MemoryGrid, place: PlaceMaker, put: Put, tmp_path: Path) -> None:
    """A file on disk is replaced when the new one is complete, and a link's target gets it."""
    put("file", b"new")
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    assert download(grid, place("file"), tmp_path / "link", NOTHING_OWN) == 3
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_a_lost_file_is_never_half_there(grid: MemoryGrid, place: PlaceMaker, snapshot: Enter, tmp_path: Path) -> None:
    """What the store lost is named and left out, the rest is there, and what was there before stays."""
    snapshot("snap", [Entry.of(b"a", LiteralFile(b"a")), Entry.of(b"lost", LOST), Entry.of(b"z", LiteralFile(b"z"))])
    (tmp_path / "out" / "snap").mkdir(parents=True)
    (tmp_path / "out" / "snap" / "lost").write_bytes(b"mine")
    report = fetch(grid, tmp_path / "out", place("snap"))
    assert [skipped.path for skipped in report.skipped] == ["home:snap/lost"]
    assert tree(tmp_path / "out" / "snap") == ["a", "lost", "z"]
    assert (tmp_path / "out/snap/lost").read_bytes() == b"mine"


def test_download_into_a_device(grid: MemoryGrid, place: PlaceMaker, put: Put, tmp_path: Path, null_device: Path) -> None:
    """A device is written to and stays one."""
    put("file", b"new")
    assert download(grid, place("file"), null_device, NOTHING_OWN) == 3
    assert stat.S_ISCHR(null_device.stat().st_mode)
    (tmp_path / "folder" / "file").mkdir(parents=True)
    with pytest.raises(DestinationError, match="folder is in the way"):
        download(grid, place("file"), tmp_path / "folder", NOTHING_OWN)
    with pytest.raises(DestinationError, match="nowhere"):
        download(grid, place("file"), tmp_path / "nowhere" / "file", NOTHING_OWN)


def test_links_on_disk_lead_nowhere(grid: MemoryGrid, place: PlaceMaker, put: Put, tmp_path: Path) -> None:
    """A link below the target is neither followed for a directory nor written through for a file."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"mine")
    put("a/sub/file", b"")
    put("a/victim", b"new")
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "victim").symlink_to(outside / "victim")
    fetch(grid, tmp_path / "out", place("a"))
    assert (outside / "victim").read_bytes() == b"mine"
    assert (tmp_path / "out" / "a" / "victim").read_bytes() == b"new"
    (tmp_path / "out2" / "a").mkdir(parents=True)
    (tmp_path / "out2" / "a" / "sub").symlink_to(outside)
    with pytest.raises(DestinationError, match="move it away"):
        fetch(grid, tmp_path / "out2", place("a"))
    assert tree(outside) == ["victim"]


def test_hostile_names_stay_outside(grid: MemoryGrid, place: PlaceMaker, snapshot: Enter, tmp_path: Path) -> None:
    """A name that leads elsewhere is named and left out."""
    hostile = [b".", b"..", b"../up", b"/etc/x", b"a\0b"]
    snapshot("snap", [Entry.of(name, LiteralFile(b"")) for name in sorted([*hostile, b"fine"])])
    report = fetch(grid, tmp_path / "out", place("snap"))
    assert len(report.skipped) == len(hostile)
    assert tree(tmp_path) == ["out", "out/snap", "out/snap/fine"]


def test_kinds_of_entries_down(grid: MemoryGrid, place: PlaceMaker, snapshot: Enter, tmp_path: Path) -> None:
    """Rights and links come back; what cp can't make is named."""
    empty = LiteralFile(b"")
    snapshot(
        "snap",
        [
            Entry.of(b"fifo", empty, Metadata(mode=stat.S_IFIFO | 0o600)),
            Entry.of(b"link", empty, Metadata(mode=stat.S_IFLNK | 0o777, target=b"../../somewhere")),
            Entry.of(b"run", empty, Metadata(mode=stat.S_IFREG | 0o4755)),
        ],
    )
    report = fetch(grid, tmp_path / "out", place("snap"))
    assert [skipped.path for skipped in report.skipped] == ["home:snap/fifo"]
    assert (tmp_path / "out/snap/link").readlink() == Path("../../somewhere")
    assert stat.S_IMODE((tmp_path / "out/snap/run").stat().st_mode) == 0o755
