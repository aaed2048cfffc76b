from __future__ import annotations

import pytest

from tallac.caps import LiteralDirectory
from tallac.dag import Entry, Metadata, SnapshotFacts, snapshot_name
from tallac.errors import EntryNotFoundError, UsageError
from tallac.look.listing import SortBy, SortOrder
from tallac.look.snapshot_filter import ALL, SnapshotFilter, parse_latest, select_snapshots

DAY_NS = 86_400 * 10**9


def snapshot(day: int, *, host: str = "here", source: bytes = b"/a", tags: tuple[str, ...] = ()) -> Entry:
    """Make a snapshot of a day."""
    facts = SnapshotFacts(host=host, sources=(source,), tags=tags)
    return Entry.of(snapshot_name(day * DAY_NS), LiteralDirectory(b""), Metadata(snapshot=facts))


SNAPSHOTS = [
    snapshot(1),
    snapshot(2, host="there"),
    snapshot(3, source=b"/b", tags=("x",)),
    snapshot(4, tags=("x", "y")),
    Entry.of(b"other", LiteralDirectory(b"")),
]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ALL, [4, 0, 1, 2, 3]),
        (SnapshotFilter(hosts=("there",)), [1]),
        (SnapshotFilter(hosts=("there", "here"), sources=(b"/a",)), [0, 1, 3]),
        (SnapshotFilter(tags=(("x",),)), [2, 3]),
        (SnapshotFilter(tags=(("x", "y"), ("z",))), [3]),
        (SnapshotFilter(since_ns=2 * DAY_NS, until_ns=3 * DAY_NS), [1, 2]),
        (SnapshotFilter(latest=2), [2, 3]),
        (SnapshotFilter(latest=1, until_ns=2 * DAY_NS), [1]),
        (SnapshotFilter(latest=9), [0, 1, 2, 3]),
        (SnapshotFilter(names=(b"other",)), [4]),
        (SnapshotFilter(names=(SNAPSHOTS[0].name,), hosts=("there",)), []),
    ],
)
def test_choices(choice: SnapshotFilter, expected: list[int]) -> None:
    """All conditions hold at a time, the newest are counted last, and bounds belong to what they bound."""
    assert select_snapshots(reversed(SNAPSHOTS), choice) == [SNAPSHOTS[number] for number in expected]


def test_names_that_are_missing() -> None:
    """A name that no snapshot has is an error, not an empty answer."""
    with pytest.raises(EntryNotFoundError):
        select_snapshots(SNAPSHOTS, SnapshotFilter(names=(b"nothing",)))


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "1.5", "٣", "99999999999"])
def test_numbers(text: str) -> None:
    """What is no number of snapshots is an error."""
    assert parse_latest("12") == 12
    with pytest.raises(UsageError):
        parse_latest(text)


@pytest.mark.parametrize("run_count_max", [1, 2, 3, 4, 5])
def test_orders(run_count_max: int) -> None:
    """Sizes and times go down, names up; what is equal stays in order of its names; all the same if it goes through files."""
    entries = [
        Entry(b"a", b"L12", Metadata(mtime=(5, 0))),
        Entry(b"b", b"L1234", Metadata(mtime=(-5, 0))),
        Entry(b"c", b"L12"),
        Entry(b"d", b"M123456789", Metadata(mtime=(9, 0))),
    ]

    def names(by: SortBy, *, is_reversed: bool = False) -> bytes:
        return b"".join(entry.name for entry in SortOrder(by, is_reversed, run_count_max).sort(iter(entries)))

    assert names(SortBy.NAME) == b"abcd"
    assert names(SortBy.NAME, is_reversed=True) == b"dcba"
    assert names(SortBy.SIZE) == b"bacd"
    assert names(SortBy.SIZE, is_reversed=True) == b"dacb"
    assert names(SortBy.TIME) == b"dabc"
    assert names(SortBy.TIME, is_reversed=True) == b"cbad"
