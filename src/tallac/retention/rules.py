"""Rules of retention, and their strict text forms. What is no rule is an error, never a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum

import msgspec

from tallac.errors import UsageError

_COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_DURATION = re.compile(r"(?:([0-9]{1,4})y)?(?:([0-9]{1,5})m)?(?:([0-9]{1,5})w)?(?:([0-9]{1,6})d)?(?:([0-9]{1,7})h)?", re.ASCII)
_TAG_LENGTH_MAX = 200
_THE_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Period(Enum):
    """The periods of which a rule keeps the newest snapshot."""

    LAST = "last"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"

    def of(self, moment: datetime, number: int) -> tuple[int, ...]:
        """Return the hour, day, ISO week, month or year that a time belongs to; for LAST, each snapshot is a period of its own."""
        match self:
            case Period.LAST:
                return (number,)
            case Period.HOURLY:
                return (moment.year, moment.month, moment.day, moment.hour)
            case Period.DAILY:
                return (moment.year, moment.month, moment.day)
            case Period.WEEKLY:
                return moment.isocalendar()[:2]
            case Period.MONTHLY:
                return (moment.year, moment.month)
            case Period.YEARLY:
                return (moment.year,)


class Duration(msgspec.Struct, frozen=True):
    """A length of time by the calendar, as in `1y6m14d12h`; months differ in length."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def before(self, moment: datetime, zone: tzinfo | None) -> datetime:
        """Return the time that lies so much earlier: years, months and days by the calendar, then hours by the clock.

        A 31st of a month without one is the 1st or later of the next, as restic has it.

        Args:
            moment: The end.
            zone: Whose calendar; None for the machine's own time zone.
        """
        months = (moment.year - self.years) * 12 + moment.month - 1 - self.months
        if months < 12:
            return _THE_BEGINNING
        try:
            first = moment.replace(year=months // 12, month=months % 12 + 1, day=1, tzinfo=None, fold=0)
            wall = first + timedelta(days=moment.day - 1 - self.days)
            # Python's arithmetic within one zone goes by the wall clock, which jumps twice a year; in UTC it does not.
            local = wall.astimezone() if zone is None else wall.replace(tzinfo=zone)
            return local.astimezone(UTC) - timedelta(hours=self.hours)
        except (OverflowError, ValueError):
            return _THE_BEGINNING

    def __str__(self) -> str:
        """Write it as it is read."""
        parts = ((self.years, "y"), (self.months, "m"), (self.days, "d"), (self.hours, "h"))
        return "".join(f"{count}{unit}" for count, unit in parts if count)


class Rules(msgspec.Struct, frozen=True):
    """Rules for what is kept; a snapshot that no rule keeps is forgotten.

    Attributes:
        counts: How many of the newest of each period; None for all.
        within: Everything that is newer than this, counted from the newest snapshot.
        periods_within: The newest of each period, as far as it is newer than this.
        tags: Everything that has all tags of one of these sets.
    """

    counts: Mapping[Period, int | None]
    within: Duration | None = None
    periods_within: Mapping[Period, Duration] | None = None
    tags: tuple[tuple[str, ...], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no rule at all."""
        return not (self.counts or self.within or self.periods_within or self.tags)


def parse_count(text: str) -> int | None:
    """Read how many are to be kept: a number from 1 on, or `unlimited` (None).

    Raises:
        UsageError: It is neither.
    """
    if text == "unlimited":
        return None
    if not _COUNT.fullmatch(text):
        raise UsageError(
            f"{text!r} is not a number of snapshots: give 1 or more, or unlimited; to keep none by a rule, leave it out"
        )
    return int(text)


def parse_duration(text: str) -> Duration:
    """Read a length of time: years, months, weeks, days and hours in this order, each at most once, as in `1y6m` or `2w`.

    Raises:
        UsageError: It is none, or nothing.
    """
    match = _DURATION.fullmatch(text)
    years, months, weeks, days, hours = (int(part or 0) for part in match.groups()) if match else (0,) * 5
    duration = Duration(years, months, 7 * weeks + days, hours)
    if duration == Duration():
        raise UsageError(
            f"{text!r} is not a duration: write years, months, weeks, days and hours in this order, as in 1y6m, 2w or 14d12h"
        )
    return duration


def parse_tags(text: str) -> tuple[str, ...]:
    """Read tags with commas between them.

    Raises:
        UsageError: One of them can't be a tag.
    """
    return tuple(check_tag(tag) for tag in text.split(","))


def check_tag(text: str) -> str:
    """Return a tag, once it is checked.

    Raises:
        UsageError: It can't be one.
    """
    if not text or text != text.strip() or not text.isprintable() or "," in text or len(text) > _TAG_LENGTH_MAX:
        raise UsageError(f"{text!r} can't be a tag: a tag is a word or more without commas, at most {_TAG_LENGTH_MAX} characters")
    return text


def parse_rules(
    counts: Mapping[str, str | None],
    within: str | None = None,
    periods_within: Mapping[str, str | None] | None = None,
    tags: Iterable[str] = (),
) -> Rules:
    """Read rules from the texts of options; None where an option was not given.

    Args:
        counts: By a period's name.
        within: A length of time.
        periods_within: Lengths of time by a period's name; not for `last`.
        tags: Sets of tags, each with commas between them.

    Raises:
        UsageError: A text is no rule.
    """
    return Rules(
        {Period(name): parse_count(text) for name, text in counts.items() if text is not None},
        None if within is None else parse_duration(within),
        {Period(name): parse_duration(text) for name, text in (periods_within or {}).items() if text is not None},
        tuple(parse_tags(text) for text in tags),
    )
