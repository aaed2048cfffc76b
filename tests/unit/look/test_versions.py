from __future__ import annotations

import random
from stat import S_IFREG
from typing import TYPE_CHECKING

import pytest

from tallac.dag import Entry, join_path
from tallac.look.criteria import Criteria, PathPattern
from tallac.look.find import find_versions
from tallac.look.tables import walk_tables
from tallac.look.versions import runs, walk_versions

if TYPE_CHECKING:
    from tests.unit.look.conftest import Shelf


def listing(shelf: Shelf, entry: Entry, path: bytes = b"") -> dict[bytes, bytes]:
    """List all below a directory by recursion: paths and caps."""
    found: dict[bytes, bytes] = {}
    for child in shelf.grid.read_directory(entry.cap):  # type: ignore[arg-type]
        below = path + b"/" + child.name if path else child.name
        found[below] = child.encoded
        if child.is_directory:
            found |= listing(shelf, child, below)
    return found


def test_a_walk_is_a_listing_of_each(shelf: Shelf, chance: random.Random) -> None:
    """A walk through many random snapshots gives each path once, with what each of them has there."""

    def tree(depth: int) -> dict[str, object]:
        names = chance.sample(["a", "a-b", "a.b", "b", "c"], chance.randrange(5))
        return {name: tree(depth - 1) if depth and chance.random() < 0.6 else b"%d" % chance.randrange(3) for name in names}

    snapshots = [shelf.directory(tree(3)) for _ in range(8)]  # type: ignore[arg-type]
    expected = [listing(shelf, snapshot) for snapshot in snapshots]
    found: list[dict[bytes, bytes]] = [{} for _ in snapshots]
    paths = []
    for versions in walk_versions(shelf.grid, snapshots, shelf.read_errors.append):
        paths.append(versions.path.split(b"/"))
        for version in versions.all:
            for number in version.snapshots:
                assert versions.path not in found[number]
                found[number][versions.path] = version.entry.encoded
    assert found == expected
    assert paths == sorted(paths)
    assert len({tuple(path) for path in paths}) == len(paths)
    assert shelf.read_errors == []


@pytest.mark.parametrize("names_max", [1, 2, 3, 100])
def test_a_walk_over_tables_sees_the_same(shelf: Shelf, chance: random.Random, names_max: int) -> None:
    """However few names are taken at a time, all come in order, equal names of a directory's versions together."""

    def tree(depth: int) -> dict[str, object]:
        names = chance.sample(["a", "a-b", "a.b", "b", "c", "d", "e"], chance.randrange(8))
        return {name: tree(depth - 1) if depth and chance.random() < 0.6 else b"%d" % chance.randrange(3) for name in names}

    snapshots = [shelf.directory(tree(3)) for _ in range(5)]  # type: ignore[arg-type]
    found: list[dict[bytes, bytes]] = [{} for _ in snapshots]
    last: dict[bytes, bytes] = {}
    for tables in walk_tables(shelf.grid, snapshots, shelf.read_errors.append, names_max=names_max):
        names = set()
        for table in tables.all:
            for entry in (*table.directories, *table.others):
                names.add(entry.name)
                assert entry.is_directory == (entry in table.directories)
                path = join_path(tables.path, entry.name)
                for number in table.snapshots:
                    assert path not in found[number]
                    found[number][path] = entry.encoded
        assert min(names) > last.get(tables.path, b"")
        last[tables.path] = max(names)
    assert found == [listing(shelf, snapshot) for snapshot in snapshots]
    assert shelf.read_errors == []


@pytest.mark.parametrize("names_max", [1, 100])
def test_a_walk_over_tables_names_what_is_lost(shelf: Shelf, names_max: int) -> None:
    """A directory that can't be read is named once, with the snapshots that have it, and the rest is walked."""
    snapshots = [shelf.directory({"a": {"f": b"1"}, "z": {"g": b"%d" % number}}) for number in range(3)]
    del shelf.grid.tables[shelf.directory({"f": b"1"}).encoded]
    del shelf.grid.tables[shelf.directory({"g": b"2"}).encoded]
    walked = walk_tables(shelf.grid, snapshots, shelf.read_errors.append, names_max=names_max)
    paths = {join_path(tables.path, entry.name) for tables in walked for table in tables.all for entry in table.others}
    assert paths == {b"z/g"}
    assert [(error.path, len(error.snapshots)) for error in shelf.read_errors] == [(b"a", 3), (b"z", 1)]


def test_what_is_shared_is_read_once(shelf: Shelf) -> None:
    """A hundred snapshots that share all but one file cost one more directory each."""
    shared = {f"d{number}": {"deep": {"file": b"x"}} for number in range(10)}
    snapshots = [shelf.directory({"shared": shared, "f": b"%d" % number}) for number in range(100)]
    shelf.grid.events.clear()
    criteria = Criteria([PathPattern("file")])
    found = list(find_versions(shelf.grid, snapshots, criteria, shelf.read_errors.append))
    assert shelf.reads() == 100 + 1 + 20
    assert [path.path for path in found][:1] == [b"shared/d0/deep/file"]
    assert all([version.snapshots for version in path.versions] == [tuple(range(100))] for path in found)


def test_versions(shelf: Shelf) -> None:
    """Versions are told apart by content and metadata, not by inode or ctime; a type that changed is another one."""
    snapshots = [
        shelf.directory({"f": shelf.file(b"1", inode=number, ctime=(number, 0)), "g": {"x": b"%d" % number}}) for number in range(2)
    ]
    snapshots.append(shelf.directory({"f": shelf.file(b"1", mode=S_IFREG | 0o600), "g": b"file"}))
    snapshots.append(shelf.directory({"f": b"2"}))
    snapshots.append(shelf.directory({"f": b"1"}))
    found = {path.path: path.versions for path in find_versions(shelf.grid, snapshots, Criteria(), shelf.read_errors.append)}
    assert [version.snapshots for version in found[b"f"]] == [(0, 1, 4), (2,), (3,)]
    assert [version.snapshots for version in found[b"g"]] == [(0, 1), (2,)]
    assert [version.snapshots for version in found[b"g/x"]] == [(0,), (1,)]


def test_below_a_path(shelf: Shelf) -> None:
    """With a path, only what is there is walked, in those snapshots that have it."""
    snapshots = [shelf.directory({"a": {"b": b"1"}, "c": b"1"}), shelf.directory({"c": b"2"}), shelf.directory({"a": b"file"})]
    found = find_versions(shelf.grid, snapshots, Criteria(), shelf.read_errors.append, path=[b"a"])
    assert [(path.path, [version.snapshots for version in path.versions]) for path in found] == [
        (b"a", [(0,), (2,)]),
        (b"a/b", [(0,)]),
    ]
    assert list(find_versions(shelf.grid, snapshots, Criteria(), shelf.read_errors.append, path=[b"nothing"])) == []


def test_a_lost_directory(shelf: Shelf) -> None:
    """What can't be read is named once, and the rest is found."""
    snapshots = [shelf.directory({"a": {"x": b"1"}, "b": b"1"}), shelf.directory({"a": {"x": b"1"}, "b": b"2"})]
    del shelf.grid.tables[shelf.directory({"x": b"1"}).encoded]
    found = find_versions(shelf.grid, snapshots, Criteria(), shelf.read_errors.append)
    assert [path.path for path in found] == [b"a", b"b"]
    assert [(trouble.path, len(trouble.snapshots)) for trouble in shelf.read_errors] == [(b"a", 2)]
    assert list(find_versions(shelf.grid, snapshots, Criteria(), shelf.read_errors.append, path=[b"a", b"x"])) == []
    assert [trouble.path for trouble in shelf.read_errors] == [b"a", b"a"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((), []), ((3,), [(3, 3)]), ((0, 1, 2), [(0, 2)]), ((0, 2, 3, 7), [(0, 0), (2, 3), (7, 7)])],
)
def test_runs(numbers: tuple[int, ...], expected: list[tuple[int, int]]) -> None:
    """Stretches without a gap are told by their ends."""
    assert runs(numbers) == expected
