"""Names in a target: `Archives`, `Latest`, and those of snapshots, which are the UTC times at which they were added.

Two forms are read: `2026-11-23_17:02:11Z`, which is also the one that is written, and `2008-11-16 10.34 PM`, local time, of an old
Windows tool. Any other name belongs to another tool and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable
from datetime import UTC, datetime, timedelta

from tallac.dag.entry import Entry

ARCHIVES = b"Archives"
LATEST = b"Latest"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_SECOND_NS = 1_000_000_000
_UTC_FORM = re.compile(rb"(\d{4})-(\d\d)-(\d\d)_(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_LOCAL_FORM = re.compile(rb"(\d{4})-(\d\d)-(\d\d) (\d{1,2})\.(\d\d) ([AP])M", re.ASCII)

_FUTURE_TOLERANCE_NS = 600_000_000_000
"""How far the newest snapshot may be ahead of the clock, after a fast series of snapshots or by clocks that differ a little."""


def snapshot_name(time_ns: int) -> bytes:
    """Return the snapshot name of a UTC time, without fractions of a second."""
    moment = _EPOCH + (time_ns // _SECOND_NS) * _SECOND
    # strftime does not fill up years before 1000.
    return moment.replace(tzinfo=None).isoformat("_", "seconds").encode() + b"Z"


def parse_snapshot_name(name: bytes) -> int | None:
    """Parse a snapshot name of either form: return nanoseconds since 1970 in UTC, or None for any other name."""
    try:
        return _parse_utc(name) if name.endswith(b"Z") else _parse_local(name)
    except (ValueError, OverflowError, OSError):
        # The form is right, but there is no such time: a 31st of June, an hour 27.
        return None


def free_snapshot_name(time_ns: int, taken: Container[bytes]) -> bytes:
    """Return the name of a time, or of the first later second whose name is free."""
    while (name := snapshot_name(time_ns)) in taken:
        time_ns += _SECOND_NS
    return name


def next_snapshot_name(now_ns: int, entries: Collection[Entry]) -> bytes:
    """Return the name of a snapshot that is added now: that of the current time, or of the first second after all existing ones.

    So it is the newest one even if others were added within the same second or under a clock that is a little ahead, and some
    of them were forgotten since. Snapshots from the future don't count.
    """
    newest = newest_snapshot(entries, now_ns)
    newest_ns = None if newest is None else parse_snapshot_name(newest.name)
    if newest_ns is not None and newest_ns > now_ns - _SECOND_NS:
        now_ns = newest_ns + _SECOND_NS
    return free_snapshot_name(now_ns, {entry.name for entry in entries})


def newest_snapshot(entries: Iterable[Entry], now_ns: int) -> Entry | None:
    """Return the snapshot that `Latest` should refer to; None if there is none.

    A snapshot from the future, made under a wrong clock, would stay `Latest` for ever and is skipped.
    """
    timed = snapshots_by_time(entries)
    return next((entry for time_ns, entry in reversed(timed) if time_ns <= now_ns + _FUTURE_TOLERANCE_NS), None)


def snapshots_by_time(entries: Iterable[Entry]) -> list[tuple[int, Entry]]:
    """Return the snapshots among some entries with the times of their names, in ns since 1970, the newest last."""
    timed = [(parse_snapshot_name(entry.name), entry) for entry in entries]
    known = [(time_ns, entry) for time_ns, entry in timed if time_ns is not None]
    return sorted(known, key=lambda item: (item[0], item[1].name))


def _parse_utc(name: bytes) -> int | None:
    match = _UTC_FORM.fullmatch(name)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return (moment - _EPOCH) // _SECOND * _SECOND_NS


def _parse_local(name: bytes) -> int | None:
    match = _LOCAL_FORM.fullmatch(name)
    if match is None:
        return None
    year, month, day, hour, minute = map(int, match.groups()[:5])
    if not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if match[6] == b"P" else 0)
    # astimezone takes a naive datetime as local time, which is what the old tool wrote.
    moment = datetime(year, month, day, hour, minute).astimezone(UTC)
    return (moment - _EPOCH) // _SECOND * _SECOND_NS
