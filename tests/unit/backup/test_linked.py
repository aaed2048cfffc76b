"""Files with several names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tallac.testing.sample_vault import noise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.backup.conftest import Bench


def _linked(source: Path, size: int) -> None:
    (source / "deep" / "er").mkdir(parents=True)
    (source / "a").write_bytes(noise(size, size))
    for name in ("b", "deep/c", "deep/er/d", "z"):
        os.link(source / "a", source / name)


@pytest.mark.parametrize("size", [10, 90_000, 500_000])
def test_a_file_is_read_once_whatever_it_is_called(bench: Bench, size: int) -> None:
    """All names get the content and are links of each other; a new name costs one reading and not six."""
    _linked(bench.source, size)
    summary = bench.back_up()
    assert (summary.bytes_read, summary.files.new) == (size, 5)
    assert set(bench.filesystem.opened) == {b"a"}
    for name in ((b"a",), (b"b",), (b"deep", b"c"), (b"deep", b"er", b"d"), (b"z",)):
        assert bench.latest(*name) == noise(size, size)
        assert bench.entry(b"backups", b"Latest", *name).metadata.inode == (bench.source / "a").stat().st_ino
    os.link(bench.source / "a", bench.source / "new")
    assert bench.back_up().bytes_read == size


def test_another_name_is_tried_where_the_first_cannot_be_read(bench: Bench) -> None:
    """What is wrong with one name need not be with the others."""
    _linked(bench.source, 10)

    def refuse(name: bytes) -> None:
        if name == b"a":
            raise PermissionError(13, "Permission denied")

    bench.filesystem.before_open = refuse
    summary = bench.back_up()
    assert (summary.unreadable, summary.files.new) == (1, 4)
    assert bench.latest(b"deep", b"c") == noise(10, 10)
