"""Several calls at a time give what they give one after the other."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from tallac.errors import StoreError, StoreUnavailableError
from tallac.together import Stop, run_together


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


def test_after_a_stop_no_call_begins_and_none_is_waited_for() -> None:
    """Once everybody is to leave off, calls that hang are left to themselves, and what has not begun never does."""
    begun: list[int] = []
    hanging, never, stop = threading.Barrier(3), threading.Event(), Stop()

    def hang(number: int) -> None:
        begun.append(number)
        hanging.wait(30)
        never.wait(300)

    def stop_then() -> None:
        hanging.wait(30)
        stop.ask()

    threading.Thread(target=stop_then, daemon=True).start()
    with pytest.raises(StoreUnavailableError, match="this process is to end"):
        run_together([partial(hang, number) for number in range(100)], 2, lambda: stop.is_asked_for)
    never.set()
    assert run_together([partial(int, number) for number in range(3)], 2, lambda: stop.is_asked_for) == [0, 1, 2]
    assert sorted(begun) == [0, 1]


def test_an_interrupt_of_who_waits_leaves_what_is_queued() -> None:
    """What a signal raises in the thread that waits comes out at once, and no further call begins."""
    begun: list[int] = []
    ended = threading.Semaphore(0)
    go_on = threading.Event()

    def call(number: int) -> None:
        begun.append(number)
        go_on.wait(300)
        ended.release()

    def interrupt() -> bool:
        if len(begun) == 2 and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run_together([partial(call, number) for number in range(100)], 2, interrupt)
    go_on.set()
    assert ended.acquire(timeout=30)
    assert ended.acquire(timeout=30)
    assert not ended.acquire(timeout=0.2)


def test_what_is_no_ordinary_error_comes_first() -> None:
    """Where calls fail together, one whose error nobody may catch is not hidden behind a store's."""
    together = threading.Barrier(2)

    def fail(error: BaseException) -> None:
        together.wait(30)
        raise error

    with pytest.raises(SystemExit):
        run_together([partial(fail, StoreError("it has failed")), partial(fail, SystemExit(1))], 2)
