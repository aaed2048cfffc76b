from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tallac.caps import DirectoryWriteCap
from tallac.dag import Entry
from tallac.look.tables import Tables, walk_tables, walk_tables_back

if TYPE_CHECKING:
    from tests.unit.look.conftest import Shelf


def random_tree(chance: random.Random, depth: int) -> dict[str, object]:
    """Give names that sort otherwise than their paths do, some of them directories."""
    names = chance.sample(["a", "a-b", "a.b", "b", "c"], chance.randrange(6))
    return {
        name: random_tree(chance, depth - 1) if depth and chance.random() < 0.6 else b"%d" % chance.randrange(3) for name in names
    }


def walked(shelf: Shelf, snapshots: list[Entry], names_max: int = 100) -> list[Tables]:
    """Walk from the beginning."""
    return list(walk_tables(shelf.grid, snapshots, shelf.read_errors.append, names_max=names_max))


def walked_back(shelf: Shelf, snapshots: list[Entry], names_max: int = 100) -> list[Tables]:
    """Walk from the end on."""
    return list(walk_tables_back(shelf.grid, snapshots, names_max=names_max))


def test_the_opposite_order(shelf: Shelf, chance: random.Random) -> None:
    """From the end on comes the same as from the beginning, and in the opposite order."""
    for _ in range(10):
        snapshots = [shelf.directory(random_tree(chance, 3)) for _ in range(4)]  # type: ignore[arg-type]
        assert walked_back(shelf, snapshots) == walked(shelf, snapshots)[::-1]
    assert walked_back(shelf, []) == []


def test_a_walk_ends_where_it_is_told(shelf: Shelf, chance: random.Random) -> None:
    """Before a directory is read a walk can be ended, and has given all that comes before it."""
    snapshots = [shelf.directory(random_tree(chance, 3)) for _ in range(4)]  # type: ignore[arg-type]
    whole = walked(shelf, snapshots)
    for place, tables in enumerate(whole):
        asked: list[bytes] = []

        def is_there(path: bytes, wanted: bytes = tables.path, asked: list[bytes] = asked) -> bool:
            asked.append(path)
            return path == wanted

        assert list(walk_tables(shelf.grid, snapshots, shelf.read_errors.append, ends_at=is_there)) == whole[:place]
        assert asked == sorted(asked, key=lambda path: path.split(b"/"))


@pytest.mark.parametrize("what", ["lost", "long", "mutable"])
def test_what_is_not_given_whole(shelf: Shelf, what: str) -> None:
    """From the end on, a walk comes no further than to a directory that is lost, long or mutable, and reports nothing."""
    inner = shelf.directory(dict.fromkeys("fghijkl", b"1"))
    if what == "mutable":
        cap = shelf.grid.create_directory()
        assert isinstance(cap, DirectoryWriteCap)
        inner = Entry.of(b"-", cap.read_cap, inner.metadata)
    snapshot = shelf.directory({"a": {"f": b"1"}, "b": {"c": inner}, "d": {"f": b"4"}, "e": {}, "f": b"5"})
    if what == "lost":
        del shelf.grid.tables[inner.encoded]
    found = list(walk_tables_back(shelf.grid, [snapshot], names_max=6 if what == "long" else 100))
    assert [tables.path for tables in found] == [b"d"]
    assert shelf.read_errors == []
