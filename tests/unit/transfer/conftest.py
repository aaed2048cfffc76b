from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tallac.caps import DirectoryWriteCap
from tallac.dag import Entry, Metadata
from tallac.testing.memory_grid import MemoryGrid
from tallac.transfer.files import put_file
from tallac.transfer.place import Place

PlaceMaker = Callable[[str], Place]


@pytest.fixture
def grid() -> MemoryGrid:
    """Give a new grid."""
    return MemoryGrid()


@pytest.fixture
def root(grid: MemoryGrid) -> DirectoryWriteCap:
    """Give a mutable directory."""
    return grid.create_directory()


@pytest.fixture
def place(root: DirectoryWriteCap) -> PlaceMaker:
    """Name a place below the root."""
    return lambda path: Place(root, tuple(part.encode() for part in path.split("/") if part), "home:")


@pytest.fixture
def put(grid: MemoryGrid, place: PlaceMaker) -> Callable[[str, bytes], None]:
    """Store a file."""

    def store(path: str, content: bytes) -> None:
        put_file(grid, place(path), io.BytesIO(content), Metadata())

    return store


@pytest.fixture
def snapshot(grid: MemoryGrid, root: DirectoryWriteCap) -> Callable[[str, list[Entry]], None]:
    """Enter an immutable directory below the root; an entry's content must be a literal."""

    def enter(name: str, entries: list[Entry]) -> None:
        with grid.session() as session, session.writing() as writer:
            cap = writer.put_directory(entries)
        entry = Entry.of(name.encode(), cap)
        grid.edit_directory(root, lambda found: [*found, entry])

    return enter
