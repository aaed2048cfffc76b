from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tallac.dag import EncodedCap, Entry
from tallac.interfaces import StoredObject
from tallac.look.stats import gather
from tallac.look.usage import measure
from tallac.testing.memory_grid import MemoryGrid

if TYPE_CHECKING:
    from tests.unit.look.conftest import Shelf


class MeasuredGrid(MemoryGrid):
    """A grid in memory that stores each cap as two copies of an object of half its size, and has lost some.

    Files of an even size show their object, as small files of a vault do.
    """

    lost: frozenset[bytes] = frozenset()

    def objects_of(self, encoded: bytes) -> list[StoredObject]:
        return [StoredObject(name_of(encoded), EncodedCap(encoded).size)] if EncodedCap(encoded).is_hashed else []

    def sole_objects(self, caps: Mapping[bytes, int]) -> tuple[dict[bytes, int], list[bytes]]:
        showing = {encoded for encoded, size in caps.items() if encoded[:1] == b"C" and size % 2 == 0}
        return {name_of(encoded): caps[encoded] for encoded in showing}, [encoded for encoded in caps if encoded not in showing]

    def stored_sizes(self, names: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
        for name in sorted({*names} - {name_of(encoded) for encoded in self.lost}):
            yield name, int.from_bytes(name[-4:], "big") // 2
            yield name, int.from_bytes(name[-4:], "big") // 2


def name_of(encoded: bytes) -> bytes:
    """Return the name of a cap's object, which tells its size."""
    return sha256(encoded).digest()[:12] + EncodedCap(encoded).size.to_bytes(4, "big")


@pytest.fixture
def measured(shelf: Shelf) -> Shelf:
    """Give a shelf whose grid tells what it stores."""
    shelf.grid = MeasuredGrid(shelf.grid.contents.folder)
    return shelf


def caps_below(shelf: Shelf, entry: Entry) -> Iterator[Entry]:
    """Give an entry and all below it."""
    yield entry
    if entry.is_directory:
        for child in shelf.grid.read_directory(entry.cap):  # type: ignore[arg-type]
            yield from caps_below(shelf, child)


def test_figures_are_those_of_sets(measured: Shelf, chance: random.Random) -> None:
    """Over random snapshots, what is freed, shared and unique is what sets of caps say."""

    def tree(depth: int) -> dict[str, object]:
        names = chance.sample(["a", "b", "c", "d"], chance.randrange(1, 4))
        return {name: tree(depth - 1) if depth and chance.random() < 0.5 else b"%d" % chance.randrange(9) * 99 for name in names}

    for _ in range(20):
        snapshots = [measured.directory(tree(2)) for _ in range(4)]  # type: ignore[arg-type]
        found = gather(measured.grid, snapshots, measured.read_errors.append)
        below = [list(caps_below(measured, snapshot)) for snapshot in snapshots]
        sets = [{entry.encoded for entry in entries} for entries in below]
        for number, figures in enumerate(found.snapshots):
            alone = sets[number].difference(*(sets[:number] + sets[number + 1 :]))
            assert figures.freed == sum(int.from_bytes(encoded[49:], "big") // 2 for encoded in alone)
            files = [entry for entry in below[number] if not entry.is_directory]
            assert (figures.files, figures.size) == (len(files), sum(entry.size for entry in files))
            assert figures.directories == len(below[number]) - len(files) - 1
        every = {entry.encoded: entry for entries in below for entry in entries}
        assert found.unique_size == sum(entry.size for entry in every.values() if not entry.is_directory)
        assert found.stored_size == sum(entry.size // 2 for entry in every.values())
        assert found.restore_size == sum(figures.size for figures in found.snapshots)
    assert measured.read_errors == []


def test_a_grid_that_does_not_tell(shelf: Shelf) -> None:
    """Where the grid tells nothing of its store, what it holds is counted all the same."""
    found = gather(shelf.grid, [shelf.directory({"a": b"1" * 100})], shelf.read_errors.append)
    assert not found.knows_store
    assert (found.unique_size, found.restore_size, found.stored_size) == (100, 100, 0)


def test_what_is_lost_is_named(measured: Shelf) -> None:
    """A file that can't be measured is named at each of its paths, and the rest is measured."""
    file = measured.file(b"1" * 100)
    measured.grid.lost = frozenset((file.encoded,))  # type: ignore[attr-defined]
    snapshots = [measured.directory({"a": file, "b": b"2" * 100}), measured.directory({"c": {"a": file}})]
    found = gather(measured.grid, snapshots, measured.read_errors.append)
    assert [(trouble.path, len(trouble.snapshots)) for trouble in measured.read_errors] == [(b"a", 1), (b"c/a", 1)]
    assert found.stored_files == 50


def usages(shelf: Shelf, entry: Entry, depth_max: int | None = None) -> list[tuple[bytes, int, int, int]]:
    """Measure."""
    found = measure(shelf.grid, entry, shelf.read_errors.append, depth_max=depth_max)
    return [(usage.path, usage.size, usage.files, usage.directories) for usage in found]


def test_usage(shelf: Shelf) -> None:
    """Directories come after what is in them, with sums; a depth cuts the list and not the sums."""
    entry = shelf.directory({"a": {"b": {"f": b"123"}, "c": {"f": b"123"}}, "z": b"12"})
    assert usages(shelf, entry) == [(b"a/b", 3, 1, 1), (b"a/c", 3, 1, 1), (b"a", 6, 2, 3), (b"", 8, 3, 4)]
    assert usages(shelf, entry, 1) == [(b"a", 6, 2, 3), (b"", 8, 3, 4)]
    assert usages(shelf, entry, 0) == [(b"", 8, 3, 4)]
    assert usages(shelf, shelf.file(b"1234")) == [(b"", 4, 1, 0)]
    assert usages(shelf, shelf.directory({})) == [(b"", 0, 0, 1)]


def test_usage_of_what_is_shared(shelf: Shelf) -> None:
    """What is deeper than is shown is read once, and counts as often as it is there."""
    entry = shelf.directory({f"s{number}": {"same": {"deep": {"f": b"123"}}} for number in range(50)})
    shelf.grid.events.clear()
    assert usages(shelf, entry, 0) == [(b"", 150, 50, 151)]
    assert shelf.reads() == 4


def test_usage_of_what_is_lost(shelf: Shelf) -> None:
    """What can't be read is named at each place, and sums that lack it say so."""
    entry = shelf.directory({"a": {"x": {"f": b"123"}}, "b": {"x": {"f": b"123"}}, "c": {"g": b"1"}})
    del shelf.grid.tables[shelf.directory({"f": b"123"}).encoded]
    found = list(measure(shelf.grid, entry, shelf.read_errors.append, depth_max=1))
    assert [(usage.path, usage.is_whole) for usage in found] == [(b"a", False), (b"b", False), (b"c", True), (b"", False)]
    assert [trouble.path for trouble in shelf.read_errors] == [b"a/x", b"b/x"]


def test_usage_of_a_deep_tree(shelf: Shelf) -> None:
    """Depth costs no recursion."""
    entry = shelf.directory({"f": b"1"})
    for _ in range(1500):
        entry = shelf.directory({"d": entry})
    assert usages(shelf, entry, 0) == [(b"", 1, 1, 1501)]
