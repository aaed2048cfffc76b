"""Sorting a listing that is too long for memory: sorted runs in a temporary file, merged as they are read."""

from __future__ import annotations

import heapq
import marshal
import os
import tempfile
from collections.abc import Iterator

import msgspec

from tallac.errors import LocalStateError
from tallac.source.entry import SourceEntry

_BLOCK_COUNT = 128
_Row = tuple[object, ...]


class SortedSpill:
    """Runs of entries on disk, each sorted by name, that can be read merged any number of times.

    The file has no name and goes with `close`. Memory: one block of 128 entries a run while it is read.

    Raises (all methods):
        LocalStateError: The folder for temporary files is full or fails.
    """

    def __init__(self) -> None:
        """Open the temporary file."""
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # It lives as long as this object.
        except OSError as error:
            raise _failure(error) from error
        self._runs: list[list[tuple[int, int]]] = []
        self._end = 0

    def add_run(self, entries: list[SourceEntry]) -> None:
        """Write a run, which comes sorted by name."""
        blocks = []
        for start in range(0, len(entries), _BLOCK_COUNT):
            rows = [msgspec.structs.astuple(entry) for entry in entries[start : start + _BLOCK_COUNT]]
            # marshal is fast and knows integers of any size; the bytes never leave this process.
            block = marshal.dumps(rows)
            self._write(block)
            blocks.append((self._end, len(block)))
            self._end += len(block)
        self._runs.append(blocks)

    def __iter__(self) -> Iterator[SourceEntry]:
        """Iterate over all entries in the order of their names; of several with one name, the first."""
        previous = None
        # A row begins with its name, so rows compare as their names do.
        for row in heapq.merge(*(self._rows(blocks) for blocks in self._runs)):
            if row[0] != previous:
                previous = row[0]
                yield SourceEntry(*row)  # type: ignore[arg-type]  # The row was made from such an entry.

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()

    def _write(self, block: bytes) -> None:
        view = memoryview(block)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _failure(error) from error

    def _rows(self, blocks: list[tuple[int, int]]) -> Iterator[_Row]:
        for offset, length in blocks:
            try:
                block = os.pread(self._file.fileno(), length, offset)
            except OSError as error:
                raise _failure(error) from error
            yield from marshal.loads(block)  # noqa: S302  # It reads what this process wrote to a file without a name.


def _failure(error: OSError) -> LocalStateError:
    return LocalStateError(
        f"{tempfile.gettempdir()}: a long directory listing can't be kept here: {error.strerror}; "
        "make room, or set TMPDIR to another folder"
    )
