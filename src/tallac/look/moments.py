"""Points in time as users write them: `2 weeks ago`, `yesterday`, `2026-11-23 17:00`. Any other text is an error."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from tallac.errors import UsageError

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T_](\d\d):(\d\d)(?::(\d\d))?(Z)?)?", re.ASCII)
_PART = re.compile(r"(\d{1,6}|an?) ?([a-z]+)", re.ASCII)
# In this order and each once, as a duration for `forget` is: so 1h30m is no hour and 30 months.
_SHORT = re.compile(r"(?=\d)(?:\d{1,6}y)?(?:\d{1,6}m)?(?:\d{1,6}w)?(?:\d{1,6}d)?(?:\d{1,6}h)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CLOCK = {"second": 1, "minute": 60, "hour": 3600}
_CALENDAR = {"day": (0, 1), "week": (0, 7), "month": (1, 0), "year": (12, 0)}
_SHORT_UNITS = {"h": "hour", "d": "day", "w": "week", "m": "month", "y": "year"}


def parse_moment(text: str, now_ns: int, *, zone: tzinfo | None = None, is_end: bool = False) -> int:
    """Parse a point in time: return nanoseconds since 1970, UTC.

    The text is a date, `2026-11-23`, with or without a time, in the machine's time zone, or in UTC with a Z at its end as in
    snapshot names; `now`, `today` or `yesterday`; or an age: `2 weeks ago`, `1 year 6 months ago`, `1y6m`, where m means months.
    Days, weeks, months and years follow the calendar, hours and smaller units the clock.

    Args:
        text: The user's text.
        now_ns: The present, in ns since 1970.
        zone: The time zone; None for the machine's own.
        is_end: Whether a date without a time means the end of the day and not its beginning.

    Raises:
        UsageError: The text is not a point in time, or it is out of the calendar's range.
    """
    words = " ".join(text.split()).lower()
    try:
        moment = _parse_date(text.strip(), zone, is_end=is_end)
        if moment is None:
            now = _EPOCH + timedelta(microseconds=now_ns // 1000)
            moment = _parse_day(words, now, zone, is_end=is_end) or _parse_ago(words, now, zone)
        if moment is not None:
            return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError, OSError) as error:
        reason = "there is no such day or time" if _DATE.fullmatch(text.strip()) else "no calendar goes so far back"
        raise UsageError(f"{text!r}: {reason}") from error
    raise UsageError(f"{text!r} is not a time: write one as in 2026-11-23, '2026-11-23 17:02', yesterday, '2 weeks ago' or 1y6m")


def _parse_date(text: str, zone: tzinfo | None, *, is_end: bool) -> datetime | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    wall = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - its zone comes next.
    if match[7]:
        return wall.replace(tzinfo=UTC)
    return _day_end(wall, zone) if is_end and match[4] is None else _in_zone(wall, zone)


def _parse_day(words: str, now: datetime, zone: tzinfo | None, *, is_end: bool) -> datetime | None:
    if words == "now":
        return now
    if words not in ("today", "yesterday"):
        return None
    wall = now.astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    wall -= timedelta(days=words == "yesterday")
    return _day_end(wall, zone) if is_end else _in_zone(wall, zone)


def _parse_ago(words: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    """Parse an age: spelled out with `ago` at the end, or short as in `1y6m`."""
    if words.endswith(" ago"):
        parts = re.split(r",? (?:and )?(?=\d|an? )", words.removesuffix(" ago"))
        counted = [_count_unit(part, is_short=False) for part in parts]
    elif _SHORT.fullmatch(words):
        counted = [_count_unit(part, is_short=True) for part in re.findall(r"\d+[a-z]+", words)]
    else:
        return None
    months = days = seconds = 0
    for found in counted:
        if found is None:
            return None
        count, unit = found
        months += count * _CALENDAR.get(unit, (0, 0))[0]
        days += count * _CALENDAR.get(unit, (0, 0))[1]
        seconds += count * _CLOCK.get(unit, 0)
    if not (months or days):
        return now - timedelta(seconds=seconds)
    wall = now.astimezone(zone).replace(tzinfo=None)
    total = wall.year * 12 + wall.month - 1 - months
    # A day that a month does not have becomes the 1st or later of the next, as in the rules for forgetting.
    first = wall.replace(year=total // 12, month=total % 12 + 1, day=1)
    return _in_zone(first + timedelta(days=wall.day - 1 - days), zone) - timedelta(seconds=seconds)


def _count_unit(part: str, *, is_short: bool) -> tuple[int, str] | None:
    match = _PART.fullmatch(part)
    if match is None:
        return None
    count = 1 if match[1] in ("a", "an") else int(match[1])
    unit = _SHORT_UNITS.get(match[2]) if is_short else match[2].removesuffix("s")
    return (count, unit) if unit in _CLOCK or unit in _CALENDAR else None


def _in_zone(wall: datetime, zone: tzinfo | None) -> datetime:
    # astimezone takes a datetime without a zone as local time.
    try:
        return (wall.astimezone() if zone is None else wall.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        # On the calendar's first and last day the offset of the zone leads beyond it, and no file is as old as that.
        return wall.replace(tzinfo=UTC)


def _day_end(wall: datetime, zone: tzinfo | None) -> datetime:
    if wall.date() == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return _in_zone(wall + timedelta(days=1), zone) - timedelta(microseconds=1)
