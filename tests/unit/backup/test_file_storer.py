"""Reading small files and storing them together, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tallac.backup import file_storer as module
from tallac.backup.file_storer import FileStorer
from tallac.backup.messages import BatchJob, Part
from tallac.dag import decode_table
from tallac.interfaces import Buffer
from tallac.testing.memory_contents import Contents, MemoryChunkWriter

SMALL_SIZE_MAX = 1000


class CountingWriter(MemoryChunkWriter):
    """Remembers how long the files are that it is given at a time."""

    def __init__(self) -> None:
        super().__init__(Contents())
        self.given: list[list[int]] = []

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        """Count, and store them."""
        self.given.append([len(content) for content in contents])
        return super().put_several(contents)


def test_files_are_stored_together_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in memory exceeds the bound by less than one file, and entries and problems come where they belong, in order."""
    monkeypatch.setattr(module, "STORED_TOGETHER_SIZE", 1500)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            (tmp_path / folder / f"file{number}").write_bytes(f"{folder}{number}".encode() * 100)
    (tmp_path / "one" / "grown").write_bytes(bytes(SMALL_SIZE_MAX + 1))
    names = [b"file0", b"file1", b"file2", b"file3"]
    job = BatchJob(
        [
            Part((b"one",), [*names, b"grown"]),
            Part((b"gone",), [b"a", b"b"]),
            Part((b"two",), [b"absent", *names]),
        ]
    )
    writer = CountingWriter()
    root = os.open(tmp_path, os.O_RDONLY)
    storer = FileStorer(root, writer, SMALL_SIZE_MAX)
    try:
        one, gone, two = storer.store_batch(job)
    finally:
        storer.close()
        os.close(root)
    assert writer.given == [[400, 400, 400, 400], [400, 400, 400, 400], []]
    alone = MemoryChunkWriter(Contents())
    for result, folder in ((one, "one"), (two, "two")):
        entries = decode_table(result.table)
        assert [entry.name for entry in entries] == names
        contents = [(tmp_path / folder / os.fsdecode(name)).read_bytes() for name in names]
        assert [entry.encoded for entry in entries] == alone.put_several(contents)
    assert [(problem.name, problem.error_number) for problem in one.problems] == [(b"grown", None)]
    assert [problem.name for problem in gone.problems] == [b"a", b"b"]
    assert [problem.name for problem in two.problems] == [b"absent"]
    assert decode_table(gone.table) == []
