from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from tallac.errors import UsageError
from tallac.retention.forget import GroupBy, parse_group_by
from tallac.retention.rules import Duration, Period, parse_count, parse_duration, parse_rules, parse_tags

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("30", 30), ("unlimited", None)])
def test_counts(text: str, count: int | None) -> None:
    """A number from 1 on, or the word for all."""
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "0", "-1", "-2", "+1", "01", " 1", "1 ", "1.5", "1e3", "٣", "Unlimited", "all", "1" * 20])
def test_what_is_no_count(text: str) -> None:
    """Anything else is refused, and never taken for a number nearby (row 23)."""
    with pytest.raises(UsageError):
        parse_count(text)


@pytest.mark.parametrize(
    "text", ["", "0d", "0y0m", "1", "d", "1d1y", "1d1d", "-1d", "1 d", "1D", "1.5h", "1y ", "٣d", "9" * 9 + "d"]
)
def test_what_is_no_duration(text: str) -> None:
    """A unit that is unknown, doubled or out of order is refused, and so is no time at all."""
    with pytest.raises(UsageError):
        parse_duration(text)


@given(st.text(alphabet=st.one_of(st.sampled_from("0123456789ymdhw-+. ,"), st.characters()), max_size=12))
def test_texts_of_all_kinds(text: str) -> None:
    """Whatever is given is a rule in its one form, or a usage error; what is read is written alike (row 23)."""
    try:
        count = parse_count(text)
    except UsageError:
        assert not re.fullmatch(r"[1-9][0-9]{0,8}|unlimited", text, re.ASCII)
    else:
        assert text == ("unlimited" if count is None else str(count))
    try:
        duration = parse_duration(text)
    except UsageError:
        pass
    else:
        assert parse_duration(str(duration)) == duration
        numbers = [int(number) for number in re.findall(r"[0-9]+", text, re.ASCII)]
        assert [number for number in numbers if number] == [int(number) for number in re.findall(r"[0-9]+", str(duration))]
    try:
        tags = parse_tags(text)
    except UsageError:
        pass
    else:
        assert ",".join(tags) == text
    try:
        groups = parse_group_by(text)
    except UsageError:
        pass
    else:
        assert groups <= set(GroupBy)
        assert text


def test_which_option_is_wrong() -> None:
    """One wrong rule among right ones is an error: it is never left out (row 23)."""
    with pytest.raises(UsageError, match="'x'"):
        parse_rules({"last": "3", "daily": "x"})
    with pytest.raises(UsageError, match="tag"):
        parse_rules({"last": "3"}, tags=["a", "b,,c"])
    assert parse_rules({"last": "3", "daily": None}).counts == {Period.LAST: 3}
    assert parse_rules({"last": None}).is_empty


@pytest.mark.parametrize(
    ("duration", "moment", "before"),
    [
        (Duration(months=1), datetime(2026, 3, 31, 12, tzinfo=UTC), datetime(2026, 3, 3, 12, tzinfo=UTC)),
        (Duration(years=1), datetime(2024, 2, 29, tzinfo=UTC), datetime(2023, 3, 1, tzinfo=UTC)),
        (Duration(months=14, days=1), datetime(2026, 1, 1, tzinfo=UTC), datetime(2024, 10, 31, tzinfo=UTC)),
        (Duration(days=1), datetime(2026, 3, 30, 1, tzinfo=BERLIN), datetime(2026, 3, 29, 1, tzinfo=BERLIN)),
        (Duration(hours=24), datetime(2026, 3, 30, 1, tzinfo=BERLIN), datetime(2026, 3, 29, 0, tzinfo=BERLIN)),
        (Duration(years=9999), datetime(2026, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
        (Duration(days=999_999), datetime(2026, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_durations_by_the_calendar(duration: Duration, moment: datetime, before: datetime) -> None:
    """Years, months and days go by the calendar, hours by the clock; there is nothing before the calendar's first day."""
    assert duration.before(moment, moment.tzinfo) - before == timedelta()
