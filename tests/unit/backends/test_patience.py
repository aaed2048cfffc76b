"""How a store is waited for once a signal has asked the process to end."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.backends.patience import Patience
from tallac.backends.traffic import Traffic
from tallac.backends.wait_notices import WaitNotices
from tallac.errors import StoreUnavailableError
from tallac.together import Stop


def test_one_silent_farewell_is_the_last_one() -> None:
    """What tidies up is given little time, and a store that takes longer is told nothing more."""
    stop, never = Stop(), threading.Event()
    patience = Patience(600, stop=stop)
    assert patience.insist(lambda: 1) == 1
    stop.ask()
    assert patience.insist(lambda: 2) == 2
    begun: list[int] = []

    def hang(number: int) -> None:
        begun.append(number)
        never.wait(300)

    for number in range(100):
        with pytest.raises(StoreUnavailableError, match=r"in time|this process is to end"):
            patience.insist(partial(hang, number))
    assert begun == [0]
    never.set()


def test_other_threads_begin_nothing_any_more() -> None:
    """What waited for its turn in another thread does not begin, and pauses between two tries end."""
    stop = Stop()
    patience = Patience(600, stop=stop, notices=WaitNotices(Traffic(), notify=lambda _: None))
    calls: list[None] = []
    errors: list[StoreUnavailableError] = []

    def fail() -> None:
        calls.append(None)
        raise StoreUnavailableError("down")

    def insist() -> None:
        try:
            patience.insist(fail)
        except StoreUnavailableError as error:
            errors.append(error)

    patience.insist(lambda: None)
    thread = threading.Thread(target=insist)
    thread.start()
    while len(calls) < 2:
        time.sleep(0.01)
    stop.ask()
    thread.join()
    asked = len(calls)
    insist()  # In the main thread, which may still tidy up.
    assert len(calls) == asked + 1
    thread = threading.Thread(target=insist)
    thread.start()
    thread.join()
    assert (len(calls), len(errors)) == (asked + 1, 3)


def test_an_interrupted_call_of_a_library_is_soon_forgotten() -> None:
    """Without a command's signals an interrupt ends what is called right after it, and not what is called later."""
    patience = Patience(600)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        patience.call(interrupt)
    assert patience.is_stopping
    while patience.is_stopping:
        time.sleep(0.05)
    assert patience.call(lambda: threading.current_thread().name) == "tallac-store"


def test_a_pause_is_mentioned_before_it_is_made() -> None:
    """The first notice does not wait for the end of a pause that lasts beyond the time for it."""
    now = [0.0]
    told: list[float] = []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def fail() -> None:
        raise StoreUnavailableError("down")

    notices = WaitNotices(Traffic(), notify=lambda _: told.append(now[0]), clock=lambda: now[0])
    patience = Patience(60, notices=notices, sleep=sleep, clock=lambda: now[0], chance=lambda: 0.999)
    with pytest.raises(StoreUnavailableError):
        patience.insist(fail)
    assert told[0] <= 3


def store_threads() -> list[threading.Thread]:
    """Return the threads that carry calls out."""
    return [thread for thread in threading.enumerate() if thread.name == "tallac-store"]


def test_a_thread_without_calls_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that nobody needs end, and no call that comes just then is forgotten."""
    monkeypatch.setattr("tallac.backends.patience.IDLE_SECONDS", 0.001)
    before = set(store_threads())
    patience = Patience(1)
    for number in range(400):
        assert patience.call(partial(int, number)) == number
        # About as long as a thread waits for another call.
        time.sleep(0.0008 + number % 5 * 0.0001)
    for thread in set(store_threads()) - before:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
