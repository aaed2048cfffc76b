"""Sorting of directory listings of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from enum import Enum
from itertools import islice
from operator import attrgetter
from typing import BinaryIO

import msgspec

from tallac.dag import Entry, decode_table, encode_table
from tallac.errors import LocalStateError
from tallac.look.metadata import size_of

RUN_COUNT_MAX = 20_000
"""The number of entries that are sorted in memory; a larger directory is sorted by way of unnamed temporary files."""

_LENGTH_SIZE = 4

Key = Callable[[Entry], bytes | int | tuple[bool, int]]


class SortBy(Enum):
    """The key that a listing is sorted by."""

    NAME = "name"
    SIZE = "size"
    TIME = "time"


class SortOrder(msgspec.Struct, frozen=True):
    """A sort order of entries.

    Attributes:
        by: The key. Names are ascending; sizes and times are descending, as in ls(1).
        is_reversed: Whether the order is reversed.
        run_count_max: The number of entries that may be in memory at a time.
    """

    by: SortBy = SortBy.NAME
    is_reversed: bool = False
    run_count_max: int = RUN_COUNT_MAX

    def sort(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Iterate over a directory's entries, which come sorted by name, in this order; equal ones stay in order of their names.

        Raises:
            LocalStateError: The temporary files can't be written.
        """
        match self.by:
            case SortBy.NAME if not self.is_reversed:
                return iter(entries)
            case SortBy.NAME:
                return self._sorted(entries, attrgetter("name"), is_down=True)
            case SortBy.SIZE:
                return self._sorted(entries, size_of, is_down=not self.is_reversed)
            case SortBy.TIME:
                return self._sorted(entries, _time_of, is_down=not self.is_reversed)

    def _sorted(self, entries: Iterable[Entry], key: Key, *, is_down: bool) -> Iterator[Entry]:
        """Sort runs of entries, and merge several."""
        left = iter(entries)
        run = sorted(islice(left, self.run_count_max), key=key, reverse=is_down)
        if len(run) < self.run_count_max:
            yield from run
            return
        import heapq  # lazy import: few directories are as long

        with ExitStack() as opened:
            runs = []
            while run:
                runs.append(_spilled(run, opened))
                run = sorted(islice(left, self.run_count_max), key=key, reverse=is_down)
            yield from heapq.merge(*runs, key=key, reverse=is_down)


def _spilled(run: Iterable[Entry], opened: ExitStack) -> Iterator[Entry]:
    """Write a run to disk, and return an iterator that reads it again."""
    import tempfile  # lazy import: few directories are as long

    try:
        file = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it.
        for entry in run:
            table = encode_table([entry])
            file.write(len(table).to_bytes(_LENGTH_SIZE, "big") + table)
        file.seek(0)
    except OSError as error:
        raise LocalStateError(f"{tempfile.gettempdir()}: can't sort a long directory in this folder ({error.strerror})") from error
    return _read_back(file)


def _read_back(file: BinaryIO) -> Iterator[Entry]:
    while length := file.read(_LENGTH_SIZE):
        yield from decode_table(file.read(int.from_bytes(length, "big")))


def _time_of(entry: Entry) -> tuple[bool, int]:
    """Return a sort key that makes entries without a known time the oldest."""
    mtime_ns = entry.metadata.mtime_ns
    return mtime_ns is not None, mtime_ns or 0
