from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, LiteralFile, MutableDirectoryWrite
from tallac.dag import Entry, Metadata, join_components
from tallac.errors import AuthorityError, EntryError, EntryExistsError, EntryNotFoundError, NotADirectoryCapError, StoreFullError
from tallac.testing.memory_grid import MemoryGrid
from tallac.transfer.directory_edits import find_strongest, link, make_directory, move, unlink
from tallac.transfer.files import get_file, put_file
from tallac.transfer.place import Place, find, list_directory, walk

PlaceMaker = Callable[[str], Place]
Put = Callable[[str, bytes], None]
Enter = Callable[[str, list[Entry]], None]

README = Entry.of(b"readme", LiteralFile(b"read me"), Metadata(mode=0o100640))


def names(grid: MemoryGrid, place: Place) -> list[bytes]:
    """List a directory's names."""
    return [entry.name for entry in list_directory(grid, place)]


def content(grid: MemoryGrid, place: Place) -> bytes:
    """Read a file."""
    sink = io.BytesIO()
    length = get_file(grid, place, sink)
    assert length == len(sink.getvalue())
    return sink.getvalue()


def test_put_makes_parents(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A file goes where it should, with directories on the way."""
    put("a/b/file", b"content")
    assert names(grid, place("a")) == [b"b"]
    assert content(grid, place("a/b/file")) == b"content"


def test_put_replaces_a_file(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """The newest content counts, and there is one entry."""
    put("file", b"old")
    put("file", b"new")
    assert names(grid, place("")) == [b"file"]
    assert content(grid, place("file")) == b"new"


def test_put_replaces_no_directory(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A directory in the way is an error, before anything is read."""
    put("a/file", b"")
    stream = io.BytesIO(b"unread")
    with pytest.raises(EntryExistsError, match="home:a: a directory is in the way"):
        put_file(grid, place("a"), stream, Metadata())
    assert stream.tell() == 0


def test_put_enters_last(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """What is entered has been made durable and committed before."""
    put("old", b"")
    grid.events.clear()
    put("file", b"x" * 100)
    wanted = [event for event in grid.events if event in ("put_small", "written", "commit")]
    assert wanted == ["put_small", "written", "commit"]
    assert grid.events[-1] == "edit"


def test_a_failed_put_enters_nothing(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A full store leaves the directory as it was."""
    put("file", b"old" * 100)
    grid.puts_left = 0
    with pytest.raises(StoreFullError):
        put("file", b"new" * 100)
    assert content(grid, place("file")) == b"old" * 100


@pytest.mark.parametrize("name", [b".", b"..", b"a\0b", b"x" * 5001])
def test_names_that_are_none(grid: MemoryGrid, place: PlaceMaker, name: bytes) -> None:
    """A name that no file system could hold is not entered."""
    with pytest.raises(EntryError, match="can't be the name"):
        put_file(grid, place("").child(name), io.BytesIO(b""), Metadata())


def test_names_are_bytes(grid: MemoryGrid, place: PlaceMaker) -> None:
    """Names that are no text are kept as they are."""
    odd = place("").child(b"\xff\n\x1b")
    put_file(grid, odd, io.BytesIO(b"odd"), Metadata())
    assert names(grid, place("")) == [b"\xff\n\x1b"]
    assert content(grid, odd) == b"odd"


def test_looking_for_what_is_not_there(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """The message names the first component that is missing, or in the way."""
    put("a/file", b"")
    with pytest.raises(EntryNotFoundError, match="home:a/x: no such entry"):
        find(grid, place("a/x/y"))
    with pytest.raises(NotADirectoryCapError, match="home:a/file: not a directory"):
        find(grid, place("a/file/y"))


def test_a_verify_cap_reads_nothing(grid: MemoryGrid, root: MutableDirectoryWrite) -> None:
    """A cap that does not allow to read is said to be one."""
    verify = root.read_cap.verify_cap
    with pytest.raises(AuthorityError, match="not allow reading"):
        find(grid, Place(verify, (), "cap:"))


def test_mkdir_keeps_what_is_there(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """An existing directory is given back as it is."""
    put("a/file", b"")
    assert make_directory(grid, place("a")) == make_directory(grid, place("a"))
    assert names(grid, place("a")) == [b"file"]


def test_mkdir_in_a_race(grid: MemoryGrid, place: PlaceMaker) -> None:
    """Who comes second to make a directory uses the first one's."""
    first: list[DirectoryWriteCap] = []
    grid.before_swap = lambda: first.append(make_directory(grid, place("a")))
    assert make_directory(grid, place("a")) == first[0]


def test_mkdir_with_a_file_in_the_way(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A file is not turned into a directory."""
    put("a", b"")
    with pytest.raises(NotADirectoryCapError, match="home:a: not a directory"):
        make_directory(grid, place("a/b"))


def test_snapshots_do_not_change(grid: MemoryGrid, place: PlaceMaker, put: Put, snapshot: Enter) -> None:
    """Nothing is entered into, moved out of or taken from an immutable directory."""
    snapshot("snap", [README])
    put("file", b"")
    for attempt in (
        lambda: put("snap/new", b""),
        lambda: make_directory(grid, place("snap/new")),
        lambda: unlink(grid, place("snap/readme")),
        lambda: move(grid, place("snap/readme"), place("readme")),
        lambda: move(grid, place("file"), place("snap/file")),
    ):
        with pytest.raises(AuthorityError, match="home:snap: a snapshot or another read-only directory"):
            attempt()
    assert names(grid, place("")) == [b"file", b"snap"]


def test_a_read_cap_changes_nothing(grid: MemoryGrid, root: MutableDirectoryWrite) -> None:
    """An alias with a read cap is read-only, and the message names it."""
    with pytest.raises(AuthorityError, match="ro:"):
        make_directory(grid, Place(root.read_cap, (b"a",), "ro:"))


def test_unlink(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """The entry is gone, and the others are not."""
    put("a", b"a")
    put("b", b"b")
    assert unlink(grid, place("a")).name == b"a"
    assert names(grid, place("")) == [b"b"]
    with pytest.raises(EntryNotFoundError, match="home:a"):
        unlink(grid, place("a"))
    with pytest.raises(EntryError, match="needs a name"):
        unlink(grid, place(""))


def test_a_move_in_one_directory_is_one_step(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """There is no moment at which both names are there, or none."""
    put("a", b"a")
    before = len(grid.mutable)
    states: list[list[bytes]] = []
    grid.events.clear()
    assert move(grid, place("a"), place("b")) == place("b")
    states.append(names(grid, place("")))
    assert (states, len(grid.mutable)) == ([[b"b"]], before)
    assert content(grid, place("b")) == b"a"


def test_a_move_into_a_directory(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A directory as the target takes the entry in under its name; a mutable one stays mutable."""
    put("a/file", b"a")
    put("b/other", b"b")
    assert move(grid, place("a"), place("b")) == place("b/a")
    assert names(grid, place("")) == [b"b"]
    put("b/a/new", b"new")
    assert names(grid, place("b/a")) == [b"file", b"new"]


def test_a_move_replaces_files_only(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A file in the way goes, a directory does not."""
    put("a", b"a")
    put("b", b"b")
    move(grid, place("a"), place("b"))
    assert content(grid, place("b")) == b"a"
    put("dir/b/x", b"")
    with pytest.raises(EntryExistsError, match="home:dir/b"):
        move(grid, place("b"), place("dir"))
    assert content(grid, place("b")) == b"a"


def test_a_move_below_itself(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A directory is not moved out of reach."""
    put("a/b/file", b"")
    with pytest.raises(EntryError, match="below itself"):
        move(grid, place("a"), place("a/b"))
    with pytest.raises(EntryError, match="below itself"):
        move(grid, place("a"), place("a/b/c"))
    assert move(grid, place("a"), place("")) == place("a")
    assert names(grid, place("a/b")) == [b"file"]


def test_a_move_to_itself(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A file moved onto itself is still there."""
    put("a", b"a")
    move(grid, place("a"), place("a"))
    assert content(grid, place("a")) == b"a"


def test_a_move_of_what_is_not_there(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """What is missing is named, and nothing changes."""
    put("dir/b", b"b")
    with pytest.raises(EntryNotFoundError, match="home:a"):
        move(grid, place("a"), place("b"))
    with pytest.raises(EntryNotFoundError, match="home:a"):
        move(grid, place("a"), place("dir/b"))
    assert content(grid, place("dir/b")) == b"b"


def test_links_lead_to_the_same(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A second name of a mutable directory changes it as the first does."""
    put("a/file", b"")
    cap, metadata = find_strongest(grid, place("a"))
    link(grid, cap, metadata, place("b"))
    put("b/new", b"")
    assert names(grid, place("a")) == [b"file", b"new"]


def test_walk_goes_all_the_way(grid: MemoryGrid, place: PlaceMaker, put: Put, snapshot: Enter) -> None:
    """Everything below is listed, each directory before what is in it."""
    put("a/b/file", b"")
    put("a/z", b"")
    snapshot("snap", [README])
    cap = find(grid, place("")).cap
    assert isinstance(cap, DirectoryReadCap)
    found = [join_components(components, entry.name) for components, entry in walk(grid, place(""), cap)]
    assert found == [b"a", b"a/b", b"a/b/file", b"a/z", b"snap", b"snap/readme"]


def test_listing_a_file(grid: MemoryGrid, place: PlaceMaker, put: Put) -> None:
    """A file lists itself."""
    put("a/file", b"123")
    assert [(entry.name, entry.size) for entry in list_directory(grid, place("a/file"))] == [(b"file", 3)]
