"""Several calls at a time give what they give one after the other."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from tallac.errors import StoreError
from tallac.together import run_together


def test_results_come_in_the_order_of_the_calls() -> None:
    """What the calls return is in their order, however many are under way."""
    for at_a_time in (1, 3, 100):
        assert run_together([partial(int, number) for number in range(20)], at_a_time) == list(range(20))
    assert run_together([], 4) == []


def test_calls_are_under_way_together() -> None:
    """Calls that wait for each other end, since they are under way at the same time."""
    barrier = threading.Barrier(4)
    assert sorted(run_together([partial(barrier.wait, 30)] * 4, 4)) == [0, 1, 2, 3]


def test_after_an_error_no_call_begins() -> None:
    """An error is raised once what is under way has ended, and what has not begun never does."""
    begun: list[int] = []

    def call(number: int) -> None:
        begun.append(number)
        if number == 2:
            raise StoreError("it has failed")

    with pytest.raises(StoreError, match="it has failed"):
        run_together([partial(call, number) for number in range(1000)], 2)
    assert 2 in begun
    assert len(begun) < 1000
