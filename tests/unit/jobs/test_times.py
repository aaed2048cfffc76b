from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from tallac.errors import UsageError
from tallac.jobs.times import Often, Schedule, parse_seconds


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a time zone with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> int:
    """Return a time by the wall clock in nanoseconds since 1970."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("hour", "0 */1 * * *"),
        ("6 hours", "0 */6 * * *"),
        ("15 minutes", "*/15 * * * *"),
        ("60 minutes", "0 * * * *"),
        ("24 hours", "0 0 * * *"),
        ("day", "0 0 * * *"),
        ("Day  at 03:00", "0 3 * * *"),
        ("weekday at 12:05", "5 12 * * 1-5"),
        ("week on monday at 02:00", "0 2 * * 1"),
        ("week on sun", "0 0 * * 0"),
        ("month on the 1st at 04:30", "30 4 1 * *"),
        ("month", "0 0 1 * *"),
        ("@daily", "0 0 * * *"),
        ("*/20 2-4 * * mon", "*/20 2-4 * * mon"),
    ],
)
def test_what_users_write(text: str, cron: str) -> None:
    """Words and cron lines both become cron lines, and the words are kept."""
    assert Schedule.parse(text) == Schedule(text, cron)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no time to run at"),
        ("sometimes", "is no time to run at"),
        ("7 hours", "7 does not divide 24 hours"),
        ("0 minutes", "0 does not divide"),
        ("2 days", "are not counted"),
        ("day at 25:00", "25:00 is no time of day"),
        ("hour at 03:00", "`on` and `at` go with day"),
        ("day on monday", "`on` goes with week and month"),
        ("week on 3", "3 is no day of the week"),
        ("month on 31", "from 1 to 28"),
        ("61 * * * *", "Bad minute"),
        ("* * * * * *", "is no time to run at"),
        ("0 0 30 2 *", "is no time to run at"),
    ],
)
def test_what_makes_no_sense(text: str, reason: str) -> None:
    """A time that makes no sense, or never comes, is refused with the reason and an example."""
    with pytest.raises(UsageError, match=reason) as raised:
        Schedule.parse(text)
    assert "day at 03:00" in str(raised.value) or "cron line" in str(raised.value)


@pytest.mark.parametrize(
    ("now", "before", "after"),
    [
        ("2026-11-30T12:00:00", "2026-11-30T03:00:00", "2026-12-01T03:00:00"),
        ("2026-11-30T03:00:00", "2026-11-30T03:00:00", "2026-12-01T03:00:00"),
        ("2026-11-30T02:59:59", "2026-11-29T03:00:00", "2026-11-30T03:00:00"),
        # The clocks are put back on 2026-10-25 at 3 o'clock, and forward on 2026-03-29 at 2 o'clock.
        ("2026-10-25T12:00:00", "2026-10-25T03:00:00", "2026-10-26T03:00:00"),
        ("2026-03-29T12:00:00", "2026-03-29T03:00:00", "2026-03-30T03:00:00"),
    ],
)
def test_times_around_a_moment(now: str, before: str, after: str) -> None:
    """The last time and the next are by the wall clock; a time that has just come is the last one."""
    schedule = Schedule.parse("day at 03:00")
    assert (schedule.before(at(now)), schedule.after(at(now))) == (at(before), at(after))


@pytest.mark.parametrize("text", ["day at 02:30", "hour", "15 minutes", "week on sunday at 02:30"])
def test_times_move_on_where_clocks_change(text: str) -> None:
    """Through both nights in which clocks change, times come one after the other, and each one's predecessor is found again."""
    schedule = Schedule.parse(text)
    for start in ("2026-03-28T00:30:00", "2026-10-24T00:30:00"):
        now = at(start)
        for _ in range(60):
            following = schedule.after(now)
            assert now < following
            assert schedule.before(following) == following
            now = following


@pytest.mark.parametrize(("text", "seconds"), [("15 minutes", 900), ("day at 03:00", 86_400), ("0 3,4 * * *", 3600)])
def test_intervals(text: str, seconds: int) -> None:
    """The interval is the shortest time between two runs."""
    assert Schedule.parse(text).interval_seconds == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10 minutes", 600),
        ("hour", 3600),
        ("2h", 7200),
        ("1 day", 86_400),
        ("30s", 30),
        ("0", 0),
        ("none", 0),
        ("2 weeks", 1_209_600),
    ],
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    """Lengths of time are read in words and in short."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("read", [parse_seconds, Often.parse])
@pytest.mark.parametrize("text", ["", "soon", "-1 minutes", "each", "1.5 hours", "1 month"])
def test_what_is_no_length_of_time(text: str, read: Callable[[str], object]) -> None:
    """Anything else is refused."""
    with pytest.raises(UsageError):
        read(text)


@pytest.mark.parametrize(
    ("text", "last", "now", "is_due"),
    [
        ("each week", "2026-11-29T23:59:59", "2026-11-30T00:00:01", True),
        ("each week", "2026-11-30T00:00:01", "2026-12-06T23:59:59", False),
        ("5% each month", "2026-11-30T12:00:00", "2026-12-01T03:00:00", True),
        ("every day", "2026-11-30T00:10:00", "2026-11-30T23:00:00", False),
        ("each run", "2026-11-30T00:10:00", "2026-11-30T00:10:01", True),
        ("each year", "2026-01-01T00:10:00", "2026-12-31T00:10:01", False),
        ("each hour", "2026-01-01T00:59:00", "2026-01-01T01:00:01", True),
    ],
)
def test_how_often(text: str, last: str, now: str, is_due: bool) -> None:
    """A period of the calendar is due when it is another one than that of the last time; what was never done is due."""
    often = Often.parse(text)
    assert often.is_due(at(last), at(now)) is is_due
    assert often.is_due(None, at(now))
