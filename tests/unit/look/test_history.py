from __future__ import annotations

from stat import S_IFBLK, S_IFIFO, S_IFLNK, S_IFREG
from typing import TYPE_CHECKING

from tallac.look.history import Turn, history
from tallac.look.read_errors import ReadError

if TYPE_CHECKING:
    from tests.unit.look.conftest import Shelf


def test_turns(shelf: Shelf) -> None:
    """Absent, appeared, the same, metadata, changed, gone, back as it was: each period says how it begins."""
    other = shelf.file(b"1", mode=S_IFREG | 0o600)
    states = [{}, {"f": b"1"}, {"f": b"1"}, {"f": other}, {"f": b"2"}, {}, {}, {"f": b"1"}, {"f": {"d": b"x"}}]
    snapshots = [shelf.directory({"dir": state, "n": b"%d" % number}) for number, state in enumerate(states)]  # type: ignore[dict-item]
    found = history(shelf.grid, snapshots, [b"dir", b"f"])
    assert [(period.turn, period.first, period.last) for period in found] == [
        (Turn.ABSENT, 0, 0),
        (Turn.APPEARED, 1, 2),
        (Turn.METADATA, 3, 3),
        (Turn.CHANGED, 4, 4),
        (Turn.ABSENT, 5, 6),
        (Turn.RETURNED, 7, 7),
        (Turn.KIND, 8, 8),
    ]
    assert found[2].metadata == ("mode",)
    assert found[5].earlier == 1


def test_a_directory(shelf: Shelf) -> None:
    """A directory changes with what is below it, and a path through a file leads nowhere."""
    snapshots = [shelf.directory({"d": {"e": {"f": b"%d" % (number // 2)}}}) for number in range(4)]
    assert [(one.first, one.last) for one in history(shelf.grid, snapshots, [b"d"])] == [(0, 1), (2, 3)]
    assert [one.turn for one in history(shelf.grid, snapshots, [b"d", b"e", b"f", b"g"])] == [Turn.ABSENT]
    assert len(history(shelf.grid, snapshots, [])) == 2
    assert history(shelf.grid, [], [b"d"]) == []


def test_what_is_shared_is_read_once(shelf: Shelf) -> None:
    """A path in directories that all snapshots share is looked up once."""
    snapshots = [shelf.directory({"d": {"e": {"f": b"1"}}, "n": b"%d" % number}) for number in range(50)]
    shelf.grid.events.clear()
    assert len(history(shelf.grid, snapshots, [b"d", b"e", b"f"])) == 1
    assert shelf.reads() == 50 + 2


def test_a_lost_directory(shelf: Shelf) -> None:
    """Where a directory on the way is lost, the file is not said to be absent."""
    snapshots = [shelf.directory({"d": {"f": b"1"}}), shelf.directory({"d": {"f": b"2"}}), shelf.directory({"d": {"f": b"3"}})]
    del shelf.grid.tables[shelf.directory({"f": b"2"}).encoded]
    found = history(shelf.grid, snapshots, [b"d", b"f"])
    assert [period.turn for period in found] == [Turn.APPEARED, Turn.UNKNOWN, Turn.CHANGED]
    assert isinstance(found[1].state, ReadError)
    assert found[1].state.path == b"d"


def test_kinds(shelf: Shelf) -> None:
    """Another kind of file is no change of its mode, though all of these have no content; nor is where a link leads."""
    modes = {"link": S_IFLNK | 0o777, "pipe": S_IFIFO | 0o644, "empty": S_IFREG | 0o644, "block": S_IFBLK | 0o644}
    entries = [
        shelf.file(b"", mode=mode, mtime=(number, 0), target=b"t" if kind == "link" else None)
        for number, (kind, mode) in enumerate(modes.items())
    ]
    other = shelf.file(b"", mode=modes["link"], mtime=(9, 0), target=b"elsewhere")
    snapshots = [shelf.directory({"f": entry}) for entry in (entries[0], other, *entries[1:])]
    turns = [period.turn for period in history(shelf.grid, snapshots, [b"f"])]
    assert turns == [Turn.APPEARED, Turn.CHANGED, Turn.KIND, Turn.KIND, Turn.KIND]
