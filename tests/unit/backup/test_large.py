"""Large files of backups that were killed within them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.backup import large_files
from tallac.errors import StoreFullError
from tallac.testing.sample_vault import noise

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


@pytest.fixture
def begun(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Break a backup off after 25 of the 39 chunks that a large file is cut into; one more is a hole."""
    monkeypatch.setattr(large_files, "JOB_SIZE", 3000)
    monkeypatch.setattr(large_files, "BEGINNING_SIZE", 5000)
    bench.grid.small_size_max = bench.grid.chunk_size = 1000
    path = bench.source / "large"
    path.write_bytes(noise(1, 10_000) + bytes(1000) + noise(2, 29_000))
    bench.grid.puts_left = 25
    with pytest.raises(StoreFullError):
        bench.back_up()
    bench.grid.puts_left = None
    return path


def test_a_killed_backup_of_a_large_file_goes_on_within_it(bench: Bench, begun: Path) -> None:
    """Of a large file that a backup has stored in part, only the rest is read."""
    summary = bench.back_up()
    assert bench.latest(b"large") == begun.read_bytes()
    assert 14_000 <= summary.bytes_read <= 14_000 + 3000 + 5000
    assert summary.bytes_read == 1000 * bench.grid.events.count("put_chunk")
    bench.back_up()
    assert bench.filesystem.opened == []


@pytest.mark.parametrize("place", [0, 39_999])
def test_a_large_file_that_changed_is_begun_anew(bench: Bench, begun: Path, place: int) -> None:
    """A beginning counts only while the file's ctime is what it was, even where size and mtime are."""
    before = begun.stat()
    with begun.open("r+b") as file:
        file.seek(place)
        file.write(b"!")
    os.utime(begun, ns=(before.st_atime_ns, before.st_mtime_ns))
    summary = bench.back_up()
    assert bench.latest(b"large") == begun.read_bytes()
    assert summary.bytes_read == 39_000


def test_a_large_file_that_grew_is_begun_anew(bench: Bench, begun: Path) -> None:
    """A beginning does not count for a longer file."""
    with begun.open("ab") as file:
        file.write(noise(3, 1000))
    summary = bench.back_up()
    assert bench.latest(b"large") == begun.read_bytes()
    assert summary.bytes_read == 40_000


def test_a_beginning_counts_as_far_as_the_grid_holds_it(bench: Bench, begun: Path) -> None:
    """What lies behind a chunk that the grid has lost is read again."""
    content = begun.read_bytes()
    bench.grid.contents.lose(hashlib.sha256(b"piece:" + content[4000:5000]).digest())
    summary = bench.back_up()
    assert bench.latest(b"large") == content
    assert summary.bytes_read == 39_000 - 4000
