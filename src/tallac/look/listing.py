"""The order in which a directory is listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tallac.dag import Entry
from tallac.look.metadata import size_of


class SortBy(Enum):
    """What a listing is sorted by."""

    NAME = "name"
    SIZE = "size"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Order:
    """An order of entries.

    Attributes:
        by: Names go up from the smallest; sizes and times down from the largest and newest, as ls(1) has it.
        is_reversed: The other way round.
    """

    by: SortBy = SortBy.NAME
    is_reversed: bool = False

    def arrange(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """Give a directory's entries, which come sorted by name, in this order; what is equal stays in order of its names."""
        match self.by:
            case SortBy.NAME:
                return reversed(list(entries)) if self.is_reversed else entries
            case SortBy.SIZE:
                return sorted(entries, key=size_of, reverse=not self.is_reversed)
            case SortBy.TIME:
                return sorted(entries, key=_time_of, reverse=not self.is_reversed)


def _time_of(entry: Entry) -> tuple[bool, int]:
    """Give a key under which what has no known time is the oldest."""
    mtime_ns = entry.metadata.mtime_ns
    return mtime_ns is not None, mtime_ns or 0
