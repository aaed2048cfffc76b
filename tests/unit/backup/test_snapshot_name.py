from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tallac.backup import free_snapshot_name, parse_snapshot_name, snapshot_name
from tallac.dag import Entry, next_snapshot_name

SECOND = 1_000_000_000


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is that of Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_name_is_the_utc_time() -> None:
    """The name is the time in UTC, cut to the second."""
    assert snapshot_name(1_795_453_331 * SECOND + 999_999_999) == b"2026-11-23_17:02:11Z"


@pytest.mark.parametrize("seconds", [0, 1, 1_795_453_331, 4_102_444_799, -1, -62_135_596_800])
def test_names_are_read_as_they_are_written(seconds: int) -> None:
    """Writing and reading a name gives the same second."""
    assert parse_snapshot_name(snapshot_name(seconds * SECOND)) == seconds * SECOND


@pytest.mark.parametrize(
    ("name", "utc"),
    [
        (b"2008-11-16 10.34 PM", b"2008-11-16_21:34:00Z"),
        (b"2008-07-16 12.05 AM", b"2008-07-15_22:05:00Z"),
        (b"2008-07-16 12.05 PM", b"2008-07-16_10:05:00Z"),
        (b"2008-07-16 01.05 AM", b"2008-07-15_23:05:00Z"),
    ],
)
def test_the_old_windows_form_is_local_time(berlin: None, name: bytes, utc: bytes) -> None:
    """Names of the old Windows tool are read as local time with a twelve-hour clock."""
    assert parse_snapshot_name(name) == parse_snapshot_name(utc)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"Latest",
        b"2026-11-23_17:02:11",
        b"2026-13-23_17:02:11Z",
        b"2026-06-31_17:02:11Z",
        b"2026-11-23_17:02:11Z\n",
        b"2008-11-16 13.34 PM",
        b"2008-11-16 0.34 AM",
        b"0000-11-16 10.34 PM",
        "２０２６-11-23_17:02:11Z".encode(),
        b"\xff\xfe",
    ],
)
def test_other_names_are_no_snapshots(name: bytes) -> None:
    """A name that is no time of either form is none of ours."""
    assert parse_snapshot_name(name) is None


def test_a_taken_second_gives_way_to_the_next() -> None:
    """Two snapshots of one second get two names."""
    taken = {b"2026-11-23_17:02:11Z", b"2026-11-23_17:02:12Z"}
    assert free_snapshot_name(1_795_453_331 * SECOND, taken) == b"2026-11-23_17:02:13Z"


@pytest.mark.parametrize(
    ("there", "name"),
    [
        ([], b"2026-11-23_17:02:11Z"),
        ([b"2026-11-23_17:02:10Z", b"other"], b"2026-11-23_17:02:11Z"),
        ([b"2026-11-23_17:02:11Z"], b"2026-11-23_17:02:12Z"),
        ([b"2026-11-23_17:03:40Z", b"2026-11-23_17:02:11Z"], b"2026-11-23_17:03:41Z"),
        # From the future: passed over, and not overwritten.
        ([b"2026-11-23_18:02:11Z"], b"2026-11-23_17:02:11Z"),
        ([b"2026-11-23_17:12:11Z", b"2026-11-23_17:12:12Z"], b"2026-11-23_17:12:13Z"),
    ],
)
def test_a_snapshot_comes_after_all_but_those_from_the_future(there: list[bytes], name: bytes) -> None:
    """Its name is the time, or the first second after those that are there; ten minutes from now the future begins."""
    entries = [Entry(other, b"L") for other in there]
    assert next_snapshot_name(1_795_453_331 * SECOND + 5, entries) == name
