"""What is stored already is not stored again: whole files, the rest of a changed file, the rest of a changed directory."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.ticks import settle

MEMORY_DISK = Path("/dev/shm")


@pytest.fixture
def many_names() -> Iterator[Path]:
    """Give an empty folder where many files are made quickly."""
    where = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


def write_noise(path: Path, chance: random.Random, megabytes: int) -> None:
    """Write what no compressor makes smaller."""
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(chance.randbytes(1 << 20))


def insert(path: Path, offset: int, content: bytes) -> None:
    """Insert some bytes in the middle of a file."""
    changed = path.with_name("changed")
    with path.open("rb") as old, changed.open("wb") as new:
        new.write(old.read(offset))
        new.write(content)
        shutil.copyfileobj(old, new, 1 << 20)
    changed.replace(path)


def test_a_copy(tallac: Tallac, source: Path, chance: random.Random) -> None:
    """A copy of a file, small or large, costs its entry in a directory."""
    write_noise(source / "large", chance, 5)
    (source / "small").write_bytes(chance.randbytes(10_000))
    settle(source)
    tallac("-q", "backup", source)
    shutil.copy(source / "large", source / "empty" / "copy of large")
    shutil.copy(source / "small", source / "empty" / "copy of small")
    result = tallac("--json", "backup", source)
    assert result.summary("bytes_read") == 5 * (1 << 20) + 10_000
    assert result.summary("bytes_stored") < 10_000
    assert tallac("get", "Latest/empty/copy of large").out == (source / "large").read_bytes()


@pytest.mark.parametrize("megabytes", [64, pytest.param(1024, marks=pytest.mark.torture)])
def test_an_insertion(tallac: Tallac, source: Path, chance: random.Random, megabytes: int) -> None:
    """A kilobyte more in the middle of a large file costs a few chunks."""
    write_noise(source / "large", chance, megabytes)
    tallac("-q", "backup", source)
    insert(source / "large", (megabytes << 19) + 12_345, chance.randbytes(1024))
    result = tallac("--json", "backup", source)
    assert result.summary("bytes_stored") < 8_000_000
    tallac("get", "Latest/large", source / "got")
    assert (source / "got").stat().st_size == (megabytes << 20) + 1024
    with (source / "large").open("rb") as expected, (source / "got").open("rb") as got:
        while part := expected.read(1 << 20):
            assert got.read(1 << 20) == part


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.torture)])
def test_a_large_directory(tallac: Tallac, many_names: Path, count: int) -> None:
    """One change in a directory of very many names costs a few chunks."""
    for number in range(count):
        (many_names / f"a name of some length, number {number}").touch()
    settle(many_names)
    first = tallac("--json", "backup", many_names)
    assert first.summary("files_new") == count
    (many_names / f"a name of some length, number {count // 2}").write_text("changed")
    (many_names / "a new name").touch()
    second = tallac("--json", "backup", many_names)
    assert (second.summary("files_new"), second.summary("files_changed")) == (1, 1)
    assert second.summary("bytes_stored") < 300_000
    assert second.summary("bytes_stored") < first.summary("bytes_stored") / 3
    assert len(tallac("ls", "Latest").lines) == count + 1
