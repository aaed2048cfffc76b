from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from tallac.retention.decide import Candidate, decide
from tallac.retention.rules import Rules, parse_rules

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "forget.json").read_text())
NOW_NS = 1_795_453_331 * 10**9


def rules_of(options: list[list[str]]) -> Rules:
    """Read rules as restic's options say them."""
    given = {kind: value for kind, value in options if kind != "tag"}
    return parse_rules(
        {kind: value for kind, value in given.items() if not kind.startswith("within")},
        given.get("within"),
        {kind.removeprefix("within-"): value for kind, value in given.items() if kind.startswith("within-")},
        [value for kind, value in options if kind == "tag"],
    )


def candidates_of(history: list[tuple[str, list[str]]], zone: ZoneInfo | None = None) -> list[Candidate]:
    """Give a history's snapshots; each is named by its place."""
    times = [int(datetime.fromisoformat(time).replace(tzinfo=zone or UTC).timestamp()) * 10**9 for time, _ in history]
    return [
        Candidate(b"%d" % place, time_ns, time_ns, tuple(tags))
        for place, (time_ns, (_, tags)) in enumerate(zip(times, history, strict=True))
    ]


def test_restic_keeps_the_same() -> None:
    """For 500 random rules over random dates, what is kept is what restic keeps."""
    assert len(VECTORS["answers"]) == 500
    histories = {host: candidates_of(history) for host, history in VECTORS["histories"].items()}
    for answer in VECTORS["answers"]:
        rules = rules_of(answer["options"])
        for host, candidates in histories.items():
            decisions = decide(rules, candidates, NOW_NS, zone=ZoneInfo("UTC"), allow_empty=True)
            kept = sorted(int(decision.candidate.name) for decision in decisions if decision.is_kept)
            assert kept == answer["kept"][host], (answer["options"], host)


DAY_NS = 86_400 * 10**9


def days(count: int, first_ns: int = NOW_NS - 40 * DAY_NS) -> list[Candidate]:
    """Give honest snapshots, one a day."""
    return [Candidate(b"day %d" % day, first_ns + day * DAY_NS, first_ns + day * DAY_NS) for day in range(count)]


def kept(options: list[list[str]], candidates: list[Candidate]) -> set[bytes]:
    """Give the names that these rules keep."""
    decisions = decide(rules_of(options), candidates, NOW_NS, zone=ZoneInfo("UTC"))
    assert sorted(decision.candidate.name for decision in decisions) == sorted(candidate.name for candidate in candidates)
    return {decision.candidate.name for decision in decisions if decision.is_kept}


@pytest.mark.parametrize("claimed_ns", [NOW_NS + 400 * DAY_NS, NOW_NS - 30 * DAY_NS, 0], ids=["future", "past", "1970"])
@pytest.mark.parametrize("options", [[["daily", "30"]], [["daily", "7"], ["monthly", "3"]], [["within", "35d"]], [["weekly", "5"]]])
def test_forged_times_evict_nothing(claimed_ns: int, options: list[list[str]]) -> None:
    """A hundred snapshots that claim other times than those of their entry take nobody's place."""
    honest = days(30)
    forged = [
        Candidate(b"forged %d" % number, claimed_ns + number * DAY_NS // 3, NOW_NS - 9 * DAY_NS + number) for number in range(100)
    ]
    assert kept(options, honest) <= kept(options, honest + forged)


def test_a_wrong_clock_of_who_forgets_evicts_nothing() -> None:
    """Honest snapshots that this machine saw all at once, at a nonsensical time, still count as of their days."""
    honest = days(30)
    misjudged = [Candidate(found.name, found.claimed_ns, NOW_NS - 5000 * DAY_NS) for found in honest]
    assert kept([["daily", "7"]], honest) <= kept([["daily", "7"]], misjudged)


@given(
    st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=20),
    st.sampled_from([[["last", "3"]], [["daily", "2"], ["yearly", "5"]], [["within", "3d"]], [["within-daily", "2y"]]]),
)
def test_times_of_all_kinds(times: list[tuple[int, int]], options: list[list[str]]) -> None:
    """Whatever the times, each snapshot is decided on once, and one at least stays."""
    candidates = [Candidate(b"%d" % place, claimed, counted) for place, (claimed, counted) in enumerate(times)]
    assert bool(kept(options, candidates)) == bool(candidates)


def test_the_last_of_a_group_stays() -> None:
    """Where no rule keeps any, the newest stays, unless all may go."""
    honest = days(3)
    assert kept([["tag", "none"]], honest) == {b"day 2"}
    assert not any(found.is_kept for found in decide(rules_of([["tag", "none"]]), honest, NOW_NS, allow_empty=True))


def test_what_is_held_stays() -> None:
    """A snapshot that is held stays whatever the rules say, and the reason says so."""
    held = Candidate(b"held", 0, 0, is_held=True)
    decisions = decide(rules_of([["last", "1"]]), [held, *days(3)], NOW_NS)
    assert {found.candidate.name: found.reasons for found in decisions if found.is_kept} == {
        b"held": ("held",),
        b"day 2": ("last",),
    }


def test_the_ends_of_the_calendar() -> None:
    """Names may tell any year of four digits; they are decided on like others."""
    ends = [Candidate(b"first", -62_135_596_800 * 10**9, -62_135_596_800 * 10**9), Candidate(b"last", 253_402_300_799 * 10**9, 0)]
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        decisions = decide(rules_of([["yearly", "1"], ["within", "1y"]]), ends, NOW_NS, zone=ZoneInfo(zone))
        assert len(decisions) == 2


@pytest.mark.parametrize("options", [[["last", "1"]], [["daily", "2"], ["last", "1"]], [["tag", "x"]]])
def test_incomplete_snapshots_push_out_no_complete_one(options: list[list[str]]) -> None:
    """The newest complete snapshot stays beside newer ones that lack something; without these the rules decide alone."""
    whole = days(6)
    lacking = [*whole[:3], *(replace(found, is_complete=False) for found in whole[3:])]
    assert b"day 2" in kept(options, lacking)
    assert b"day 1" not in kept(options, lacking)
    assert b"day 2" not in kept(options, whole)


def test_a_complete_snapshot_that_the_rules_drop_anyway_goes() -> None:
    """What only tags keep goes without one, whatever is newer."""
    found = days(3)
    tagged = [replace(found[0], tags=("x",)), found[1], replace(found[2], is_complete=False)]
    assert kept([["tag", "x"]], tagged) == {b"day 0"}
