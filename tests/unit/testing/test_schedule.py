"""A schedule has the calls that a client gives together run in any order, beside each other and beside other clients'."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tallac.errors import ConflictError, StoreError
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.schedule import Schedule

SEEDS = range(40)


def traces(make_calls: Callable[[Schedule, list[str]], dict[str, Callable[[], object]]]) -> set[tuple[str, ...]]:
    """Run clients once for each seed, and return all orders in which they note what they do."""
    found = set()
    for seed in SEEDS:
        schedule, trace = Schedule(seed), list[str]()
        schedule.run(make_calls(schedule, trace))
        assert not schedule.errors
        found.add(tuple(trace))
    return found


def two_steps(schedule: Schedule, trace: list[str], name: str) -> str:
    """Take two steps, with a pause between."""
    schedule.pause()
    trace.append(f"{name}1")
    schedule.pause()
    trace.append(f"{name}2")
    return name


def test_calls_run_in_every_order_and_answers_come_in_theirs() -> None:
    """Two calls of two steps run in all six orders, and the answers are those of the calls as they were given."""

    def clients(schedule: Schedule, trace: list[str]) -> dict[str, Callable[[], object]]:
        def work() -> None:
            assert schedule.run_together([partial(two_steps, schedule, trace, name) for name in "ab"]) == ["a", "b"]
            trace.append("end")

        return {"client": work}

    found = traces(clients)
    assert len(found) == 6
    assert all(trace[-1] == "end" for trace in found)


def test_another_client_comes_between() -> None:
    """Another client has its turn before, between and after two calls that are given together."""

    def clients(schedule: Schedule, trace: list[str]) -> dict[str, Callable[[], object]]:
        calls = [partial(two_steps, schedule, trace, name) for name in "ab"]
        return {"client": lambda: schedule.run_together(calls), "other": partial(two_steps, schedule, trace, "o")}

    assert {trace.index("o1") for trace in traces(clients)} == {0, 1, 2, 3, 4}


def test_calls_within_calls() -> None:
    """A call may itself give some together, and more of them than there are threads."""

    def clients(schedule: Schedule, trace: list[str]) -> dict[str, Callable[[], object]]:
        def inner(number: int) -> int:
            return sum(schedule.run_together([partial(int, number), partial(int, 1)]))

        def work() -> None:
            assert schedule.run_together([partial(inner, number) for number in range(20)]) == list(range(1, 21))
            trace.append("end")

        return {"client": work}

    assert traces(clients) == {("end",)}


def test_of_several_errors_one_that_is_no_exception_counts_and_then_the_first() -> None:
    """As with `tallac.together.run_together`; what has not begun by then does not begin."""

    def outcome(seed: int, errors: list[BaseException]) -> tuple[int, type[BaseException]]:
        schedule, begun = Schedule(seed), list[BaseException]()

        def fail(error: BaseException) -> None:
            begun.append(error)
            schedule.pause()
            raise error

        schedule.run({"client": lambda: schedule.run_together([partial(fail, error) for error in errors])})
        return len(begun), type(schedule.errors["client"])

    store = {outcome(seed, [StoreError("one"), ConflictError("two")]) for seed in SEEDS}
    assert store == {(1, StoreError), (1, ConflictError), (2, StoreError)}
    crash = {outcome(seed, [StoreError("one"), SimulatedCrash()]) for seed in SEEDS}
    assert crash == {(1, StoreError), (1, SimulatedCrash), (2, SimulatedCrash)}


def test_a_killed_client_dies_in_all_its_calls() -> None:
    """None of the calls goes on after its client was killed."""
    schedule, trace = Schedule(1), list[str]()
    schedule.kill("client")
    schedule.run({"client": lambda: schedule.run_together([partial(two_steps, schedule, trace, name) for name in "ab"])})
    assert isinstance(schedule.errors["client"], SimulatedCrash)
    assert trace == []


def test_a_suspended_client_is_so_in_all_its_calls() -> None:
    """While a client sleeps, another one has all turns, whatever the first has under way."""

    def clients(schedule: Schedule, trace: list[str]) -> dict[str, Callable[[], object]]:
        def work() -> None:
            schedule.suspend("client", 1000)
            schedule.run_together([partial(two_steps, schedule, trace, name) for name in "ab"])

        return {"client": work, "other": partial(two_steps, schedule, trace, "o")}

    assert all(trace.index("o2") < min(trace.index("a2"), trace.index("b2")) for trace in traces(clients))


def test_without_a_schedule_calls_run_one_by_one() -> None:
    """A thread that is no client of the schedule carries out its calls as they were given."""
    assert Schedule(0).run_together([partial(int, number) for number in range(4)]) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", [3, 4])
def test_a_seed_replays_its_order(seed: int) -> None:
    """The same seed gives the same order."""

    def trace_of() -> list[str]:
        schedule, trace = Schedule(seed), list[str]()
        schedule.run({"client": lambda: schedule.run_together([partial(two_steps, schedule, trace, name) for name in "abcdefgh"])})
        return trace

    assert trace_of() == trace_of()
