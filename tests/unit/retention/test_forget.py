from __future__ import annotations

import stat
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from tallac.dag import Entry, Metadata
from tallac.errors import EntryError, EntryNotFoundError, FencedError, LocalStateError, UsageError
from tallac.retention.forget import GroupBy, Plan, RetentionPolicy, forget, forget_named, parse_group_by, undo
from tallac.retention.marks import hold, release
from tallac.retention.record import RetentionRecord, Sight
from tallac.retention.rules import parse_rules

if TYPE_CHECKING:
    from tests.unit.retention.conftest import Bench

DAY_NS = 86_400 * 10**9
HOUR_NS = 3_600 * 10**9
BY_HOST_AND_SOURCE = frozenset((GroupBy.HOST, GroupBy.SOURCE))


def order(
    *, allow_empty: bool = False, group_by: str = "host,source", tags: tuple[str, ...] = (), **counts: str
) -> RetentionPolicy:
    """Make an order."""
    return RetentionPolicy(parse_rules(counts, tags=tags), parse_group_by(group_by), allow_empty=allow_empty)


def run(bench: Bench, given: RetentionPolicy, *, dry_run: bool = False) -> Plan:
    """Forget."""
    return forget(bench.grid, bench.target, given, bench.record, bench.clock, dry_run=dry_run)


def test_rules_act(bench: Bench) -> None:
    """What no rule keeps is gone, the rest is as it was, and `Latest` is the newest."""
    names = bench.enter_days(10)
    kept = bench.entry(names[-1])
    assert run(bench, order(last="3"), dry_run=True).forgotten == set(names[:-3])
    assert bench.names() == names
    assert run(bench, order(last="3")).forgotten == set(names[:-3])
    assert bench.names() == names[-3:]
    assert bench.entry(names[-1]) == kept
    latest = bench.latest()
    assert latest is not None
    assert (latest.encoded, latest.metadata) == (kept.encoded, kept.metadata)


def test_effort_grows_with_the_number_of_snapshots(bench: Bench) -> None:
    """Each decision is looked at a few times, however many there are."""
    names = bench.enter_days(60)
    looks = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal looks
        looks += event == "call" and frame.f_code.co_name == "is_kept"

    sys.setprofile(count)
    try:
        run(bench, order(last="3"))
    finally:
        sys.setprofile(None)
    assert bench.names() == names[-3:]
    assert len(names) <= looks <= 5 * len(names)


def test_no_rule_is_an_error(bench: Bench) -> None:
    """Nothing is forgotten without a rule."""
    names = bench.enter_days(2)
    with pytest.raises(UsageError, match="give rules"):
        run(bench, order())
    assert bench.names() == names


def test_groups(bench: Bench) -> None:
    """The rules go for each host by itself, or for all together."""
    for host in ("one", "two"):
        for day in range(3):
            bench.enter(bench.clock.now_ns() - day * DAY_NS - (HOUR_NS if host == "one" else 0), host=host)
    assert len(run(bench, order(last="1"), dry_run=True).forgotten) == 4
    assert len(run(bench, order(last="1", group_by="none"), dry_run=True).forgotten) == 5
    assert len(run(bench, order(last="1", group_by="tags"), dry_run=True).forgotten) == 5


def test_what_is_no_snapshot_is_left_alone(bench: Bench) -> None:
    """A name that tells no time, and a file, are nobody's to forget."""
    bench.enter_days(3)
    strange = [Entry(b"mine", bench.entry(bench.names()[0]).encoded), Entry(b"2020-01-01_00:00:00Z", b"L")]
    bench.grid.edit_directory(bench.target.archives, lambda found: [*found, *strange])
    plan = run(bench, order(last="1"))
    assert sorted(plan.others) == [b"2020-01-01_00:00:00Z", b"mine"]
    assert len(bench.names()) == 3


def test_a_snapshot_that_comes_meanwhile_stays(bench: Bench) -> None:
    """What others enter while this runs is not forgotten, and what was not about to go stays for this time."""
    names = bench.enter_days(4)
    late: list[bytes] = []
    bench.grid.before_swap = lambda: late.append(bench.enter(bench.clock.now_ns() + 1_000_000_000))
    run(bench, order(last="2"))
    assert bench.names() == [*names[-2:], *late]


def test_a_hold_that_comes_meanwhile_holds(bench: Bench) -> None:
    """What is held while this runs is not forgotten."""
    names = bench.enter_days(4)

    def hold_it() -> None:
        hold(bench.grid, bench.target, names[:1], "", bench.clock)

    bench.grid.before_swap = hold_it
    run(bench, order(last="1"))
    assert bench.names() == [names[0], names[-1]]


def test_forged_times_evict_nothing(bench: Bench) -> None:
    """Snapshots that are entered after a first look, and claim the past and the future, take no honest one's place."""
    names = bench.enter_days(10)
    run(bench, order(daily="10"))
    assert bench.names() == names
    bench.clock.advance(3600)
    now_ns = bench.clock.now_ns()
    forged = [bench.enter(now_ns + day * DAY_NS, b"future") for day in range(1, 30)]
    forged += [bench.enter(now_ns - day * DAY_NS + HOUR_NS, b"past") for day in range(1, 10)]
    plan = run(bench, order(daily="10", last="5"))
    assert set(names) <= set(bench.names())
    bench.clock.advance(60)
    run(bench, order(daily="10", last="5"))
    assert set(names) <= set(bench.names())
    counted = {found.candidate.name: found.candidate.counted_ns for group in plan.groups.values() for found in group}
    assert all(counted[name] == now_ns for name in forged if name in counted)
    latest = bench.latest()
    assert latest is not None
    assert latest.encoded == bench.entry(names[-1]).encoded


def test_daily_snapshots_seen_once_a_week(bench: Bench) -> None:
    """An honest snapshot counts as of its own time, however late it is seen."""
    bench.enter_days(3)
    run(bench, order(daily="30"))
    bench.clock.advance(7 * 86_400)
    bench.enter_days(6)
    plan = run(bench, order(daily="30"))
    assert plan.forgotten == set()
    assert all(found.candidate.counted_ns == found.candidate.claimed_ns for group in plan.groups.values() for found in group)


@pytest.mark.parametrize(
    ("after_ns", "claimed_ns", "counted_ns"),
    [
        (None, 0, 0),
        (None, 100 * HOUR_NS, 50 * HOUR_NS),
        (40 * HOUR_NS, 45 * HOUR_NS, 45 * HOUR_NS),
        (40 * HOUR_NS, 39 * HOUR_NS, 50 * HOUR_NS),
        (40 * HOUR_NS, 40 * HOUR_NS - 60 * 10**9, 40 * HOUR_NS - 60 * 10**9),
        (40 * HOUR_NS, 50 * HOUR_NS + 60 * 10**9, 50 * HOUR_NS + 60 * 10**9),
    ],
)
def test_which_time_counts(after_ns: int | None, claimed_ns: int, counted_ns: int) -> None:
    """A claimed time counts where it lies between the looks, give or take some minutes."""
    assert Sight(after_ns, 50 * HOUR_NS).counted_ns(claimed_ns) == counted_ns


def test_a_look_from_the_future_proves_nothing(bench: Bench) -> None:
    """After the machine's own clock was ahead for a while, honest times are believed again."""
    bench.enter_days(2)
    bench.clock.advance(365 * 86_400)
    run(bench, order(last="unlimited"))
    bench.clock.advance(-364 * 86_400)
    name = bench.enter(bench.clock.now_ns())
    plan = run(bench, order(last="unlimited"))
    [found] = [found for group in plan.groups.values() for found in group if found.candidate.name == name]
    assert found.candidate.counted_ns == found.candidate.claimed_ns


def test_names(bench: Bench) -> None:
    """Named snapshots go, all or none."""
    names = bench.enter_days(3)
    with pytest.raises(EntryNotFoundError, match="no snapshot 2001"):
        forget_named(bench.grid, bench.target, [names[0], b"2001"], BY_HOST_AND_SOURCE, bench.record, bench.clock)
    assert bench.names() == names
    forget_named(bench.grid, bench.target, names[2:], BY_HOST_AND_SOURCE, bench.record, bench.clock)
    assert bench.names() == names[:2]
    latest = bench.latest()
    assert latest is not None
    assert latest.encoded == bench.entry(names[1]).encoded


def test_the_last_of_a_group(bench: Bench) -> None:
    """The last snapshot of a host goes only where that is said; then `Latest` goes too."""
    names = bench.enter_days(2)
    other = bench.enter(bench.clock.now_ns() - HOUR_NS, host="other")
    for named in ([other], names):
        with pytest.raises(EntryError, match="last snapshot"):
            forget_named(bench.grid, bench.target, named, BY_HOST_AND_SOURCE, bench.record, bench.clock)
    run(bench, order(tags=("none",)))
    assert bench.names() == [other, names[1]]
    run(bench, order(tags=("none",), allow_empty=True))
    assert bench.names() == []
    assert bench.latest() is None


def test_what_is_held(bench: Bench) -> None:
    """A held snapshot goes neither by rules nor by name, until it is released."""
    names = bench.enter_days(3)
    hold(bench.grid, bench.target, names[:1], "why", bench.clock)
    run(bench, order(last="1"))
    assert bench.names() == [names[0], names[2]]
    with pytest.raises(EntryError, match="held"):
        forget_named(bench.grid, bench.target, names[:1], BY_HOST_AND_SOURCE, bench.record, bench.clock)
    release(bench.grid, bench.target, names[:1], bench.clock)
    run(bench, order(last="1"))
    assert bench.names() == names[2:]


def test_undo_goes_back_run_by_run(bench: Bench) -> None:
    """Each undo takes back one forget, the last one first, with all metadata; then there is nothing left."""
    names = bench.enter_days(5)
    before = bench.target.read(bench.grid)
    run(bench, order(last="3"))
    run(bench, order(last="1"))
    assert undo(bench.grid, bench.target, [], bench.record, bench.clock, dry_run=True).back == names[2:4]
    assert bench.names() == names[4:]
    assert undo(bench.grid, bench.target, [], bench.record, bench.clock).back == names[2:4]
    assert undo(bench.grid, bench.target, [], bench.record, bench.clock).back == names[:2]
    assert bench.target.read(bench.grid) == before
    with pytest.raises(EntryError, match="nothing"):
        undo(bench.grid, bench.target, [], bench.record, bench.clock)


def test_undo_by_name(bench: Bench) -> None:
    """One of several comes back, the newest of all being `Latest` again."""
    names = bench.enter_days(3)
    forget_named(bench.grid, bench.target, names[1:], BY_HOST_AND_SOURCE, bench.record, bench.clock)
    undo(bench.grid, bench.target, names[2:], bench.record, bench.clock)
    assert bench.names() == [names[0], names[2]]
    latest = bench.latest()
    assert latest is not None
    assert latest.encoded == bench.entry(names[2]).encoded
    with pytest.raises(EntryNotFoundError):
        undo(bench.grid, bench.target, names[2:], bench.record, bench.clock)


def test_undo_links_nothing_that_is_lost(bench: Bench) -> None:
    """What prune has deleted is named and stays away; the rest comes back."""
    names = bench.enter_days(3)
    lost = bench.entry(names[0])
    run(bench, order(last="1"))
    del bench.grid.tables[lost.encoded]
    undone = undo(bench.grid, bench.target, [], bench.record, bench.clock)
    assert (undone.back, undone.lost) == ([names[1]], {names[0]: "the snapshot is gone"})
    assert bench.names() == names[1:]


def test_undo_while_a_prune_deletes(bench: Bench) -> None:
    """A session that is fenced links nothing; what was forgotten can still come back later."""
    names = bench.enter_days(2)
    run(bench, order(last="1"))
    bench.grid.fences = 1
    with pytest.raises(FencedError):
        undo(bench.grid, bench.target, [], bench.record, bench.clock)
    assert bench.names() == names[1:]
    undo(bench.grid, bench.target, [], bench.record, bench.clock)
    assert bench.names() == names


def test_undo_replaces_nothing(bench: Bench) -> None:
    """A name that another snapshot has by now is left to it."""
    names = bench.enter_days(2)
    run(bench, order(last="1"))
    bench.enter(bench.clock.now_ns() - DAY_NS, b"another")
    new = bench.entry(names[0])
    undone = undo(bench.grid, bench.target, [], bench.record, bench.clock)
    assert (undone.back, undone.taken) == ([], [names[0]])
    assert bench.entry(names[0]) == new


def test_other_keys_stay(bench: Bench) -> None:
    """A hold and a release leave what other tools keep with a snapshot as it was."""
    [name] = bench.enter_days(1)
    foreign: dict[str, object] = {"tahoe": {"linkmotime": 1.5}, "tallac": {"future": [1, 2]}}
    entry = bench.entry(name)
    changed = Entry(name, entry.encoded, Metadata(snapshot=entry.metadata.snapshot, other=foreign))
    bench.grid.edit_directory(bench.target.archives, lambda _: [changed])
    hold(bench.grid, bench.target, [name], "", bench.clock)
    release(bench.grid, bench.target, [name], bench.clock)
    assert bench.entry(name) == changed


def test_the_record_is_private(tmp_path: Path) -> None:
    """The record holds caps: nobody else can read it; one that is damaged is an error that names it."""
    path = tmp_path / "state" / "retention.db"
    with RetentionRecord(path):
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(LocalStateError, match=r"retention\.db"):
        RetentionRecord(path)


def test_only_one_host_s_snapshots_are_decided_on(bench: Bench) -> None:
    """A policy for a host leaves those of other hosts alone, whatever it keeps."""
    ours = [bench.enter(bench.clock.now_ns() - day * DAY_NS) for day in (3, 2, 1)]
    theirs = [bench.enter(bench.clock.now_ns() - day * DAY_NS - HOUR_NS, host="there") for day in (3, 2, 1)]
    plan = run(bench, RetentionPolicy(parse_rules({"last": "1"}), BY_HOST_AND_SOURCE, host="here"))
    assert plan.forgotten == set(ours[:2])
    assert {entry.name for entry in bench.target.read(bench.grid)} == {ours[2], *theirs}
