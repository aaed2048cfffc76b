"""When a job runs, as users write it: `day at 03:00`, `week on monday`, a cron line. Everything becomes a cron line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from cronsim import CronSim, CronSimError

from tallac.errors import UsageError

_NS = 1_000_000_000
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_EVERY = re.compile(
    r"(?:(?P<count>[0-9]{1,2}) )?(?P<unit>minute|hour|day|weekday|week|month)s?"
    r"(?: on (?:the )?(?P<on>[a-z]+|[0-9]{1,2})(?:st|nd|rd|th)?)?"
    r"(?: at (?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}))?",
    re.ASCII,
)
_DURATION = re.compile(r"(?:([0-9]{1,6}) ?)?(seconds?|s|minutes?|min|m|hours?|h|days?|d|weeks?|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SHORTHANDS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}

HOW = "write one as in `hour`, `6 hours`, `day at 03:00`, `week on monday at 02:00`, `month on 1 at 04:30`, or a cron line"


class Schedule(msgspec.Struct, frozen=True):
    """The times at which a job is due, by the wall clock of this machine.

    Where clocks are put forward, a time that does not exist is due an hour later; where they are put back, one that comes twice
    is due once.

    Attributes:
        text: The user's own words.
        cron: The same as a cron line of five fields.
    """

    text: str
    cron: str

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read a schedule.

        Raises:
            UsageError: It makes no sense, or never comes.
        """
        words = " ".join(text.split())
        cron = _SHORTHANDS.get(words.lower()) or _cron_of(words.lower())
        if cron is None:
            cron = words if len(words.split()) == 5 else None
        if cron is None:
            raise UsageError(f"{text!r} is no time to run at; {HOW}")
        try:
            Fields.of(cron)
            next(CronSim(cron, datetime(2026, 1, 1)))  # noqa: DTZ001 - the wall clock.
        except (CronSimError, StopIteration) as error:
            reason = f" ({error})" if str(error) else ", for it never comes"
            raise UsageError(f"{text!r} is no time to run at{reason}; {HOW}") from error
        return cls(text, cron)

    def after(self, now_ns: int) -> int:
        """Return the first time after this one, both in nanoseconds since 1970, UTC."""
        return _nearest(self.cron, now_ns, is_earlier=False)

    def before(self, now_ns: int) -> int:
        """Return the last time that is not after this one, both in nanoseconds since 1970, UTC."""
        return _nearest(self.cron, now_ns, is_earlier=True)

    @property
    def interval_seconds(self) -> int:
        """The shortest time between two runs in the weeks to come, in seconds by the wall clock."""
        times = CronSim(self.cron, datetime(2026, 1, 1))  # noqa: DTZ001 - the wall clock.
        found = [next(times) for _ in range(50)]
        return int(min(later - earlier for earlier, later in pairwise(found)).total_seconds())


class Fields(msgspec.Struct, frozen=True):
    """The numbers that the fields of a cron line match, sorted.

    Attributes:
        minutes, hours, days, months: As they are.
        weekdays: From 1 for Monday to 7 for Sunday.
        joins_days_by_or: A day matches if its number in the month does or its day of the week; otherwise if both do.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    joins_days_by_or: bool

    @classmethod
    def of(cls, cron: str) -> Fields:
        """Read a cron line.

        Raises:
            UsageError: It has what only some programs know: the last day of a month, or a numbered day of the week.
        """
        read = CronSim(cron, datetime(2026, 1, 1))  # noqa: DTZ001 - the wall clock.
        days = [day for day in read.weekdays if isinstance(day, int)]
        if len(days) != len(read.weekdays) or min(read.days) < 1:
            raise UsageError(f"{cron!r}: L, W and # are not known to all schedulers; write numbers; {HOW}")
        weekdays = tuple(sorted({(day - 1) % 7 + 1 for day in days}))
        minutes, hours, numbers, months = (tuple(sorted(field)) for field in (read.minutes, read.hours, read.days, read.months))
        return cls(minutes, hours, numbers, months, weekdays, not read.day_and)


class Often(msgspec.Struct, frozen=True):
    """How often something is done beside a backup: once in each hour, day, week, month or year of the calendar.

    Attributes:
        text: The user's own words.
        period: `run` for each run, or the period's name.
        amount: What stands before it, as `5%` or `20 files`; "" for nothing.
    """

    text: str
    period: str
    amount: str = ""

    @classmethod
    def parse(cls, text: str) -> Often:
        """Read `each week`, or `5% each week`.

        Raises:
            UsageError: It is neither.
        """
        match = re.fullmatch(r"(?:(.+) )?(?:each|every) (run|hour|day|week|month|year)", " ".join(text.lower().split()))
        if match is None:
            raise UsageError(f"{text!r} does not say how often; write `each week`, or run, day, month or year in place of week")
        return cls(text, match[2], match[1] or "")

    def is_due(self, last_ns: int | None, now_ns: int) -> bool:
        """Whether it is to be done now; `last_ns` is when it was last done, None for never."""
        if last_ns is None or self.period == "run":
            return True
        return self._of(last_ns) != self._of(now_ns)

    def _of(self, time_ns: int) -> tuple[int, ...]:
        moment = _wall(time_ns)
        match self.period:
            case "hour":
                return (moment.year, moment.month, moment.day, moment.hour)
            case "day":
                return (moment.year, moment.month, moment.day)
            case "week":
                return moment.isocalendar()[:2]
            case "month":
                return (moment.year, moment.month)
            case _:
                return (moment.year,)


def parse_seconds(text: str) -> int:
    """Read a length of time: `30 seconds`, `10 minutes`, `2h`, `1 day`; `0` and `none` are nothing.

    Raises:
        UsageError: It is none.
    """
    words = " ".join(text.lower().split())
    if words in {"0", "none"}:
        return 0
    match = _DURATION.fullmatch(words)
    if match is None:
        raise UsageError(f"{text!r} is not a length of time; write one as in `30 seconds`, `10 minutes`, `2 hours` or `1 day`")
    return int(match[1] or 1) * _SECONDS[match[2][0]]


def _cron_of(words: str) -> str | None:
    """Translate a user's words; None where they are none of these."""
    match = _EVERY.fullmatch(words)
    if match is None:
        return None
    count, unit, on = int(match["count"] or 1), match["unit"], match["on"]
    hour, minute = int(match["hour"] or 0), int(match["minute"] or 0)
    if hour > 23 or minute > 59:
        raise UsageError(f"{match['hour']}:{match['minute']} is no time of day; {HOW}")
    if unit in {"minute", "hour"}:
        whole = 60 if unit == "minute" else 24
        if on or match["hour"]:
            raise UsageError(f"{words!r}: `on` and `at` go with day, week and month; {HOW}")
        if not 1 <= count <= whole or whole % count:
            raise UsageError(f"{words!r}: {count} does not divide {whole} {unit}s; choose a number that does, or write a cron line")
        if unit == "minute":
            return f"*/{count} * * * *" if count < whole else "0 * * * *"
        return f"0 */{count} * * *" if count < whole else "0 0 * * *"
    if count != 1:
        raise UsageError(f"{words!r}: days, weeks and months are not counted; choose one, or write a cron line")
    return _calendar_line(words, unit, on, f"{minute} {hour}")


def _calendar_line(words: str, unit: str, on: str | None, start: str) -> str:
    if unit == "month":
        if on is not None and not (on.isdigit() and 1 <= int(on) <= 28):
            raise UsageError(f"{words!r}: a day of the month is a number from 1 to 28, which every month has; {HOW}")
        return f"{start} {int(on or 1)} * *"
    if unit == "week":
        found = [number for number, day in enumerate(_DAYS) if on is None or (len(on) >= 3 and day.startswith(on))]
        if not found:
            raise UsageError(f"{words!r}: {on} is no day of the week; {HOW}")
        return f"{start} * * {found[0]}"
    if on is not None:
        raise UsageError(f"{words!r}: `on` goes with week and month; {HOW}")
    return f"{start} * * 1-5" if unit == "weekday" else f"{start} * * *"


def _nearest(cron: str, now_ns: int, *, is_earlier: bool) -> int:
    """Find the nearest time by the wall clock, and check it against the clock that knows no summer time."""
    now = _wall(now_ns)
    if is_earlier:
        # A reverse search excludes its beginning.
        now = now.replace(microsecond=0) + timedelta(seconds=1)
    for found in CronSim(cron, now, reverse=is_earlier):
        time_ns = int(found.timestamp()) * _NS
        if time_ns <= now_ns if is_earlier else time_ns > now_ns:
            return time_ns
    raise UsageError(f"{cron!r} never comes; {HOW}")


def _wall(time_ns: int) -> datetime:
    """Return a time by the wall clock of this machine."""
    return datetime.fromtimestamp(time_ns / _NS)  # noqa: DTZ006 - cron lines go by the wall clock.
