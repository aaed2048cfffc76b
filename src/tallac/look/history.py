"""The history of one path: its versions over many snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from tallac.dag import Entry
from tallac.interfaces import CapReader
from tallac.look.metadata import differing, has_same_special_content, is_alike, kind_of
from tallac.look.read_errors import ReadError
from tallac.look.versions import PathFinder, State


class Turn(Enum):
    """The change that a period of snapshots begins with."""

    APPEARED = "appeared"
    CHANGED = "changed"
    KIND = "kind changed"
    METADATA = "metadata only"
    RETURNED = "as before"
    ABSENT = "absent"
    UNKNOWN = "can't be read"


class Period(msgspec.Struct, frozen=True):
    """Consecutive snapshots that have the same state at a path.

    Attributes:
        turn: How it differs from the period before.
        first, last: The first and last snapshot, as positions in the given list.
        state: Their state of the path.
        metadata: The names of the metadata that differ from before, if nothing else does.
        earlier: The first earlier period with the same state, as a position among the periods; None if there is none.
    """

    turn: Turn
    first: int
    last: int
    state: State
    metadata: tuple[str, ...] = ()
    earlier: int | None = None


def history(reader: CapReader, snapshots: Sequence[Entry], path: Sequence[bytes]) -> list[Period]:
    """Return the periods of a path over some snapshots, in order.

    A directory is the same as long as everything below it is.

    Args:
        reader: The grid of the snapshots.
        snapshots: The snapshots, the oldest first.
        path: The path below them.
    """
    finder = PathFinder(reader)
    periods: list[Period] = []
    for number, snapshot in enumerate(snapshots):
        state = finder.find(snapshot, path)
        if periods and _is_same(periods[-1].state, state):
            before = periods.pop()
            periods.append(Period(before.turn, before.first, number, before.state, before.metadata, before.earlier))
        else:
            periods.append(_begin(periods, number, state))
    return periods


def _begin(periods: Sequence[Period], number: int, state: State) -> Period:
    before = periods[-1].state if periods else None
    if state is None:
        return Period(Turn.ABSENT, number, number, state)
    if isinstance(state, ReadError):
        return Period(Turn.UNKNOWN, number, number, state)
    earlier = next((place for place, period in enumerate(periods) if _is_same(period.state, state)), None)
    if earlier is not None:
        return Period(Turn.RETURNED, number, number, state, earlier=earlier)
    if not isinstance(before, Entry):
        # After a snapshot that can't be read, it is unknown whether the path was there.
        return Period(Turn.APPEARED if before is None else Turn.CHANGED, number, number, state)
    if kind_of(before) is not kind_of(state):
        return Period(Turn.KIND, number, number, state)
    fields = differing(before.metadata, state.metadata, is_directory=state.is_directory)
    # Where a link leads, or which device it is, is content that is kept among the metadata.
    is_content_same = before.encoded == state.encoded and has_same_special_content(before.metadata, state.metadata)
    is_metadata = is_content_same and bool(fields)
    return Period(Turn.METADATA if is_metadata else Turn.CHANGED, number, number, state, fields if is_metadata else ())


def _is_same(old: State, new: State) -> bool:
    if isinstance(old, Entry) and isinstance(new, Entry):
        return old.encoded == new.encoded and is_alike(old, new)
    return old == new
