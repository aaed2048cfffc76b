from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tallac.dag import Metadata
from tallac.errors import FencedError
from tallac.source import NOTHING_OWN
from tallac.testing.memory_grid import MemoryGrid
from tallac.transfer.download import copy_to_local, download
from tallac.transfer.files import get_file, put_file
from tallac.transfer.place import Place, list_directory
from tallac.transfer.report import CopyReport
from tallac.transfer.upload import copy_to_grid

PlaceMaker = Callable[[str], Place]
Put = Callable[[str, bytes], None]


class Stream:
    """A stream that can be read once."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def readinto(self, buffer: memoryview, /) -> int:
        return self._file.readinto(buffer)


def content(grid: MemoryGrid, place: Place) -> bytes:
    """Read a file."""
    sink = io.BytesIO()
    get_file(grid, place, sink)
    return sink.getvalue()


def copy_up(grid: MemoryGrid, target: Place, source: Path) -> CopyReport:
    """Copy to the grid."""
    report = CopyReport()
    copy_to_grid(grid, [source], target, recursive=True, into=False, report=report)
    return report


def copy_down(grid: MemoryGrid, source: Place, target: Path) -> CopyReport:
    """Copy from the grid."""
    report = CopyReport()
    copy_to_local(grid, [source], target, NOTHING_OWN, recursive=True, into=False, report=report)
    return report


def test_a_put_that_a_prune_fenced(grid: MemoryGrid, place: PlaceMaker) -> None:
    """A file is stored once more; a stream that can't be read again is not, and neither is entered half."""
    reports: list[int] = []
    report = CopyReport(progress=lambda report: reports.append(report.bytes))
    grid.fences = 1
    put_file(grid, place("file"), io.BytesIO(b"content"), Metadata(), report=report)
    assert content(grid, place("file")) == b"content"
    assert report.bytes == reports[-1] == 7
    grid.fences = 1
    with pytest.raises(FencedError):
        put_file(grid, place("stream"), Stream(b"content"), Metadata())
    grid.fences = 2
    with pytest.raises(FencedError):
        put_file(grid, place("other"), io.BytesIO(b"content"), Metadata())
    assert [entry.name for entry in list_directory(grid, place(""))] == [b"file"]


def test_a_file_that_is_put_from_its_middle(grid: MemoryGrid, place: PlaceMaker) -> None:
    """A second attempt begins where the first one did, and not at the file's beginning."""
    middle = io.BytesIO(b"before after")
    middle.seek(7)
    grid.fences = 1
    put_file(grid, place("file"), middle, Metadata())
    assert content(grid, place("file")) == b"after"


def test_a_copy_that_a_prune_fenced(grid: MemoryGrid, place: PlaceMaker, tmp_path: Path) -> None:
    """All is stored once more, and counted once; fenced twice, the copy fails and nothing is entered."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"content")
    (tmp_path / "a" / "link").symlink_to("b")
    grid.fences = 1
    report = copy_up(grid, place("there"), tmp_path / "a")
    assert (report.files, report.directories, report.bytes, len(report.skipped)) == (1, 2, 7, 1)
    assert content(grid, place("there/a/b/file")) == b"content"
    grid.fences = 2
    with pytest.raises(FencedError):
        copy_up(grid, place("elsewhere"), tmp_path / "a")
    assert list(list_directory(grid, place("elsewhere"))) == []


def test_how_far_a_copy_is(grid: MemoryGrid, place: PlaceMaker, put: Put, tmp_path: Path) -> None:
    """A copy tells how many bytes are done, and how many there are to be where that is known."""
    put("file", b"x" * 3_000_000)
    report = CopyReport()
    seen: list[tuple[int, int]] = []
    report.progress = lambda report: seen.append((report.bytes, report.bytes_expected))
    download(grid, place("file"), tmp_path / "file", NOTHING_OWN, report)
    assert seen == [(1 << 20, 3_000_000), (2 << 20, 3_000_000), (3_000_000, 3_000_000)]
    assert (report.files, report.bytes) == (1, 3_000_000)
    assert copy_up(grid, place("copy"), tmp_path / "file").bytes_expected == 3_000_000
    assert copy_down(grid, place("file"), tmp_path / "other").bytes_expected == 3_000_000
    assert copy_up(grid, place("folder"), tmp_path).bytes_expected == 0
