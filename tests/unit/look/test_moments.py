from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from tallac.errors import UsageError
from tallac.look.moments import parse_moment

NOW = datetime(2026, 11, 24, 12, 37, 16, tzinfo=UTC)
NOW_NS = 1_795_523_836 * 10**9
BERLIN = ZoneInfo("Europe/Berlin")


def moment(text: str, *, is_end: bool = False) -> str:
    """Read a time in Berlin; give it in UTC, without what is below a second."""
    ns = parse_moment(text, NOW_NS, zone=BERLIN, is_end=is_end)
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def test_now_is_now() -> None:
    """The constants agree."""
    assert int(NOW.timestamp()) * 10**9 == NOW_NS
    assert parse_moment("now", NOW_NS) == NOW_NS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23", "2026-11-22 23:00:00"),
        ("2026-11-23 17:02", "2026-11-23 16:02:00"),
        ("2026-11-23T17:02:11", "2026-11-23 16:02:11"),
        ("2026-11-23_17:02:11Z", "2026-11-23 17:02:11"),
        ("2026-07-01", "2026-06-30 22:00:00"),
        ("today", "2026-11-23 23:00:00"),
        ("Yesterday", "2026-11-22 23:00:00"),
        ("2 weeks ago", "2026-11-10 12:37:16"),
        ("a day ago", "2026-11-23 12:37:16"),
        ("1  month ago", "2026-10-24 11:37:16"),
        ("1 year 6 months ago", "2025-05-24 11:37:16"),
        ("1 year and 2 days ago", "2025-11-22 12:37:16"),
        ("90 minutes ago", "2026-11-24 11:07:16"),
        ("an hour ago", "2026-11-24 11:37:16"),
        ("30 seconds ago", "2026-11-24 12:36:46"),
        ("1y6m", "2025-05-24 11:37:16"),
        ("2w", "2026-11-10 12:37:16"),
        ("14d12h", "2026-11-10 00:37:16"),
    ],
)
def test_what_is_a_time(text: str, expected: str) -> None:
    """Dates are local unless they say Z; days and longer go by the calendar, hours by the clock."""
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23", "2026-11-23 22:59:59"),
        ("today", "2026-11-24 22:59:59"),
        ("yesterday", "2026-11-23 22:59:59"),
        ("2026-11-23 17:02", "2026-11-23 16:02:00"),
        ("2 weeks ago", "2026-11-10 12:37:16"),
    ],
)
def test_a_day_has_an_end(text: str, expected: str) -> None:
    """As an upper bound a day without a time means its end; a point in time stays one."""
    assert moment(text, is_end=True) == expected


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2 weeks", "ago", "two weeks ago", "-1 day ago", "1 h ago", "1x", "6", "2026-11", "2026-13-01", "2026-02-30",
     "2026-11-23 25:00", "2026-11-23 1:00", "2026-11-23Z", "9999 years ago", "1.5 days ago", "1 dayss ago", "²d", "1d ago",
     "1h30m", "1m1y", "1d1d"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    """What is no time is an error and never a guess."""
    with pytest.raises(UsageError):
        moment(text)


@given(st.text())
def test_any_text(text: str) -> None:
    """Whatever the text, there is a time or the one declared error."""
    with contextlib.suppress(UsageError):
        assert isinstance(parse_moment(text, NOW_NS), int)
