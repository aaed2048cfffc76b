"""Which snapshot is meant: `TARGET@WHEN`, where WHEN is `latest`, the beginning of a name, a day or an age."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from tallac.caps import DirectoryReadCap
from tallac.clock import SystemClock
from tallac.dag import ARCHIVES, LATEST, Entry, display_path, newest_snapshot, parse_snapshot_name
from tallac.errors import AuthorityError, EntryNotFoundError, NotADirectoryCapError, UsageError
from tallac.interfaces import CapReader
from tallac.transfer.place import Place, find_or_none

_SHOWN_MAX = 3
_BEGINNING_OF_NAME = re.compile(rb"[0-9]{4}(-.*)?", re.DOTALL)


def resolve_snapshot(reader: CapReader, place: Place) -> Place:
    """Return a place with `TARGET@WHEN` in its path as `TARGET/Archives/NAME`; any other place as it is.

    An entry that is really named so comes first; and without a target before the `@`, or with something behind it that is no WHEN,
    it is a name like any other.

    Raises:
        EntryNotFoundError: The target has no such snapshot.
        UsageError: It has several.
    """
    for number, component in enumerate(place.path):
        if component in (ARCHIVES, LATEST):
            break  # What follows is in a snapshot, or its name.
        name, mark, when = component.rpartition(b"@")
        if not mark or not is_when(when):
            continue
        above = Place(place.cap, place.path[:number], place.label)
        target = above.child(name) if name else above
        try:
            if find_or_none(reader, above.child(component)) is not None:
                break
            archives = find_or_none(reader, target.child(ARCHIVES))
        except (AuthorityError, NotADirectoryCapError):
            break  # Whoever follows the path says what is wrong with it.
        if archives is None or not isinstance(archives.cap, DirectoryReadCap):
            continue
        snapshots = [entry for entry in reader.read_directory(archives.cap) if entry.is_directory]
        chosen = choose_snapshot(snapshots, when, str(target))
        return target.child(ARCHIVES, chosen.name, *place.path[number + 1 :])
    return place


def is_when(text: bytes) -> bool:
    """Whether a text says which snapshot is meant, as far as can be told without looking."""
    return text.lower() == b"latest" or bool(_BEGINNING_OF_NAME.fullmatch(text)) or _moment(text) is not None


def choose_snapshot(snapshots: Sequence[Entry], when: bytes, label: str) -> Entry:
    """Choose a target's snapshot: by `latest`, its name or the beginning of one, or a moment, for the newest of that time.

    Raises:
        EntryNotFoundError: There is none.
        UsageError: Several names begin so.
    """
    by_name = {entry.name: entry for entry in snapshots}
    if when in by_name:
        return by_name[when]
    if when.lower() == b"latest":
        newest = newest_snapshot(snapshots, SystemClock().now_ns())
        if newest is None:
            raise EntryNotFoundError(f"{label}: no snapshots found")
        return newest
    beginning = sorted(name for name in by_name if name.startswith(when)) if when else []
    if len(beginning) == 1:
        return by_name[beginning[0]]
    if beginning:
        shown = ", ".join(map(display_path, beginning[:_SHOWN_MAX])) + (", ..." if len(beginning) > _SHOWN_MAX else "")
        raise UsageError(
            f"{label}@{display_path(when)}: {len(beginning)} snapshots begin with this: {shown}; write more of the name"
        )
    end_ns = None if _BEGINNING_OF_NAME.fullmatch(when) else _moment(when)
    if end_ns is not None:
        times = [(time_ns, entry.name) for entry in snapshots if (time_ns := parse_snapshot_name(entry.name)) is not None]
        before = [found for found in times if found[0] <= end_ns]
        if before:
            return by_name[max(before)[1]]
        oldest = f"; the oldest is {display_path(min(times)[1])}" if times else ""
        raise EntryNotFoundError(f"{label}@{display_path(when)}: no snapshot is as old as that{oldest}")
    raise EntryNotFoundError(
        f"no snapshot {display_path(when)} found among those of {label}; `tallac snapshots {label}` lists them"
    )


def _moment(text: bytes) -> int | None:
    """Return the end of a day, or a point in time, in ns since 1970; None where a text is neither."""
    from tallac.look.moments import parse_moment  # lazy import: few paths have an @

    try:
        return parse_moment(os.fsdecode(text), SystemClock().now_ns(), is_end=True)
    except UsageError:
        return None
