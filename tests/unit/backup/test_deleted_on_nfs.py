"""Files that were deleted while open, as an NFS client shows them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.unit.backup.conftest import WatchedFileSystem

from tallac.source import Mounts

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench

NAME = ".nfs00000000000012ab00000003"


class OfKind(WatchedFileSystem):
    """Claims that all is on a file system of a kind."""

    def __init__(self, device: int, kind: str) -> None:
        super().__init__()
        self._mounts = Mounts({device: kind})

    def mounts(self) -> Mounts:
        return self._mounts


@pytest.mark.parametrize("kind", ["nfs", "nfs4"])
def test_what_was_deleted_is_left_out_with_a_word(bench: Bench, kind: str) -> None:
    """Only names of just that form are; an unchanged directory is passed over, and nothing more is said."""
    for name in (NAME, ".nfs", ".nfs0000000000001", f"{NAME}x", "kept"):
        (bench.source / name).write_text(name)
    bench.filesystem = OfKind(bench.source.stat().st_dev, kind)
    summary = bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b".nfs", b".nfs0000000000001", os.fsencode(f"{NAME}x"), b"kept"]
    assert summary.excluded == 1
    assert bench.notices == [
        (os.fsencode(bench.source / NAME), "left out: on NFS this is a file that was deleted while a program has it open")
    ]


@pytest.mark.parametrize("kind", ["ext4", "cifs"])
def test_elsewhere_it_is_a_file_like_others(bench: Bench, kind: str) -> None:
    """A name proves nothing by itself."""
    (bench.source / NAME).write_text("content")
    bench.filesystem = OfKind(bench.source.stat().st_dev, kind)
    bench.back_up()
    assert bench.latest(os.fsencode(NAME)) == b"content"
