from __future__ import annotations

import os
from pathlib import Path
from stat import S_IFLNK, S_IFREG
from typing import TYPE_CHECKING

from tallac.dag import Entry
from tallac.look.diff import Difference, Tally, diff
from tallac.look.sides import LocalSide, StoredSide
from tallac.testing.memory_grid import MemoryGrid

if TYPE_CHECKING:
    from tests.unit.look.conftest import Shelf


def signs(shelf: Shelf, old: Entry, new: Entry) -> dict[str, str]:
    """Compare two directories; give the signs by path."""
    changes = diff(StoredSide(shelf.grid, old), StoredSide(shelf.grid, new), shelf.read_errors.append)
    return {change.path.decode(): change.difference.value for change in changes}


def test_every_kind_of_difference(shelf: Shelf) -> None:
    """Each sign stands for what it says; what is below something that came or went is named too."""
    old = shelf.directory(
        {
            "changed": b"1",
            "gone": {"below": b"x"},
            "mode": b"m",
            "same": b"s",
            "link": shelf.file(b"", mode=S_IFLNK | 0o777, target=b"a"),
            "turned": {"below": b"y"},
        }
    )
    new = shelf.directory(
        {
            "changed": b"2",
            "came": {"below": b"x"},
            "mode": shelf.file(b"m", mode=S_IFREG | 0o600),
            "same": b"s",
            "link": shelf.file(b"", mode=S_IFLNK | 0o777, target=b"b"),
            "turned": b"file",
        }
    )
    assert signs(shelf, old, new) == {
        "came": "+",
        "came/below": "+",
        "changed": "M",
        "gone": "-",
        "gone/below": "-",
        "link": "M",
        "mode": "U",
        "turned": "T",
        "turned/below": "-",
    }
    assert shelf.read_errors == []
    turned_back = signs(shelf, new, old)
    assert turned_back["turned/below"] == "+"
    assert turned_back["came"] == "-"


def test_what_is_no_difference(shelf: Shelf) -> None:
    """Inodes, ctimes, holes and directories' times don't count, nor what one side does not know."""
    old = shelf.directory({"a": shelf.file(b"x", inode=1, ctime=(1, 1), device=1), "b": shelf.file(b"x", mode=None, uid=None)})
    new = shelf.directory({"a": shelf.file(b"x", inode=2, ctime=(2, 2), device=2, holes=((0, 1),)), "b": b"x"})
    assert signs(shelf, old, new) == {}


def test_what_is_shared_is_not_read(shelf: Shelf) -> None:
    """A directory that both sides have is not opened, however much is in it."""
    shared = {f"d{number}": {"deep": {"file": b"x"}} for number in range(10)}
    old = shelf.directory({"shared": shared, "f": b"1"})
    new = shelf.directory({"shared": shared, "f": b"2"})
    shelf.grid.events.clear()
    assert signs(shelf, old, new) == {"f": "M"}
    assert shelf.reads() == 2
    assert signs(shelf, old, old) == {}
    assert shelf.reads() == 2


def test_two_grids(shelf: Shelf, tmp_path: Path) -> None:
    """Between grids, whose caps say nothing to each other, contents are read."""
    (tmp_path / "other").mkdir()
    other = type(shelf)(MemoryGrid(tmp_path / "other"))
    old = shelf.directory({"a": {"same": b"x" * 100}, "b": b"1" * 100, "c": b"1" * 100})
    new = other.directory({"a": {"same": b"x" * 100}, "b": b"2" * 100, "c": b"1" * 101})
    changes = list(diff(StoredSide(shelf.grid, old), StoredSide(other.grid, new), shelf.read_errors.append))
    assert [(change.path, change.difference) for change in changes] == [
        (b"b", Difference.CONTENT),
        (b"c", Difference.CONTENT),
    ]


def test_a_lost_directory_is_trouble(shelf: Shelf) -> None:
    """What can't be read is named, and never said to be added or removed; the rest is compared."""
    old = shelf.directory({"lost": {"a": b"1"}, "z": b"1"})
    new = shelf.directory({"lost": {"a": b"2"}, "z": b"2"})
    lost = shelf.directory({"a": b"1"})
    del shelf.grid.tables[lost.encoded]
    assert signs(shelf, old, new) == {"z": "M"}
    assert [trouble.path for trouble in shelf.read_errors] == [b"lost"]


def test_a_deep_tree(shelf: Shelf) -> None:
    """Depth costs no recursion."""
    old, new = shelf.directory({"f": b"1"}), shelf.directory({"f": b"2"})
    for _ in range(1500):
        old, new = shelf.directory({"d": old}), shelf.directory({"d": new})
    assert list(signs(shelf, old, new)) == ["d/" * 1500 + "f"]


def test_a_local_folder(shelf: Shelf, tmp_path: Path) -> None:
    """A local file is read unless all that was recorded of it agrees; --read-data reads it in any case."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"abc")
    status = (folder / "file").stat()
    known = {
        "mode": status.st_mode,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime": divmod(status.st_mtime_ns, 10**9),
        "ctime": divmod(status.st_ctime_ns, 10**9),
        "inode": status.st_ino,
    }
    stored = shelf.directory({"file": shelf.file(b"xyz", **known)})

    def compare(*, read_data: bool = False) -> list[tuple[bytes, str]]:
        local = LocalSide(folder)
        try:
            changes = diff(StoredSide(shelf.grid, stored), local, shelf.read_errors.append, read_data=read_data)
            return [(change.path, change.difference.value) for change in changes if change.path]
        finally:
            local.close()

    assert compare() == []
    assert compare(read_data=True) == [(b"file", "M")]
    os.utime(folder / "file", ns=(0, status.st_mtime_ns))
    assert compare() == [(b"file", "M")]
    (folder / "file").write_bytes(b"xyz")
    assert compare() == [(b"file", "U")]
    assert shelf.read_errors == []


def test_tallies(shelf: Shelf) -> None:
    """Files and directories, and their bytes, are counted by what became of them."""
    old = shelf.directory({"a": b"12345", "b": {"c": b"123"}, "t": {}, "u": b"u"})
    new = shelf.directory({"a": b"1", "d": {"e": b"12"}, "t": b"1234567", "u": shelf.file(b"u", uid=7)})
    tally = Tally()
    for change in diff(StoredSide(shelf.grid, old), StoredSide(shelf.grid, new), shelf.read_errors.append):
        tally.add(change)
    assert {difference.value: count for difference, count in tally.files.items()} == {"+": 1, "-": 1, "M": 1, "U": 1, "T": 1}
    assert {difference.value: count for difference, count in tally.directories.items()} == {"+": 1, "-": 1, "M": 0, "U": 0, "T": 0}
    assert (tally.bytes_added, tally.bytes_removed, tally.bytes_before, tally.bytes_after) == (9, 3, 5, 1)
