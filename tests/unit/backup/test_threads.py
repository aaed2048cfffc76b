"""Grids that are asked from threads, and that take large files as streams."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tallac.dag import Entry
from tallac.errors import StoreFullError
from tallac.interfaces import Chunk, FileContent
from tallac.testing.memory_grid import MemoryCapWriter, MemoryGrid, MemorySession

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench

    from tallac.caps import FileReadCap

SMALL_SIZE_MAX = 1000


class StreamingWriter(MemoryCapWriter):
    """Takes large files as streams, from several threads."""

    takes_chunks = False
    threads = 4

    def put_file(self, content: FileContent) -> FileReadCap:
        self._grid.events.append("put_file")
        return super().put_file(content)

    def cut(self, descriptor: int, size: int, start: int = 0) -> Iterator[Chunk]:
        raise AssertionError("no pieces are taken here")


class StreamingSession(MemorySession):
    """A stay of such a writer."""

    @contextmanager
    def writing(self) -> Iterator[MemoryCapWriter]:
        yield StreamingWriter(self._grid)


class StreamingGrid(MemoryGrid):
    """A grid in memory that works as one behind a gateway does."""

    @contextmanager
    def session(self) -> Iterator[MemorySession]:
        yield StreamingSession(self)


@pytest.fixture
def streaming(bench: Bench) -> Bench:
    """Give a bench over such a grid, with many small files in its source and two large ones."""
    bench.grid = StreamingGrid(small_size_max=SMALL_SIZE_MAX)
    bench.root = bench.grid.create_directory()
    for number in range(150):
        folder = bench.source / f"folder{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"file{number:03}").write_bytes(b"%d\n" % number * 20)
    for name in ("folder1", "folder2"):
        (bench.source / name / "large").write_bytes(os.urandom(200_000))
    return bench


def test_all_is_stored(streaming: Bench) -> None:
    """Every file comes out in its place, whatever thread read it; large ones are streams, and are not read again unchanged."""
    summary = streaming.back_up()
    assert summary.files.new == 152
    assert summary.bytes_read == summary.size
    assert streaming.grid.events.count("put_file") == 2
    for path in streaming.source.rglob("*"):
        if path.is_file():
            names = [os.fsencode(name) for name in path.relative_to(streaming.source).parts]
            assert streaming.latest(*names) == path.read_bytes()
    assert streaming.back_up().bytes_read == 0


def test_a_large_file_that_changes_is_read_again(streaming: Bench) -> None:
    """What is written to a file while it is streamed is in the snapshot."""
    path = streaming.source / "folder1" / "large"
    changes = iter([b"more"])

    def change(name: bytes) -> None:
        if name == b"large" and (more := next(changes, None)):
            with path.open("ab") as file:
                file.write(more)

    streaming.filesystem.after_open = change
    streaming.back_up()
    content = streaming.latest(b"folder1", b"large")
    assert content == path.read_bytes()


def test_a_full_grid_ends_the_backup(streaming: Bench) -> None:
    """ReadError in one thread ends the backup with that trouble, and nothing is entered."""
    streaming.grid.puts_left = 40
    with pytest.raises(StoreFullError):
        streaming.back_up()
    assert not _entered(streaming)


def _entered(bench: Bench) -> list[Entry]:
    return [entry for _, entries in bench.grid.mutable.values() for entry in entries if entry.name == b"Latest"]
