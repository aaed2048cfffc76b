"""What is said while a store is waited for, once for all processes and threads of a command."""

from __future__ import annotations

import pickle
import threading

import pytest

from tallac.backends.patience import Patience
from tallac.backends.traffic import Traffic
from tallac.backends.wait_notices import INTERVAL_SECONDS, SLOW_SECONDS, WaitNotices
from tallac.errors import SilentStoreError, StoreUnavailableError
from tallac.together import Stop

WHERE = "s3://bucket"
SILENCE = f"waiting for the store: {WHERE}: nothing has come for 5 seconds; check the line and the server"


class Place:
    """A store that is waited for by a clock of the test's.

    Attributes:
        now: The time.
        told: What was said.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[str] = []
        self.stop = Stop()
        self.traffic = Traffic(clock=lambda: self.now)
        self.notices = WaitNotices(self.traffic, WHERE, self.told.append, clock=lambda: self.now, stop=self.stop)

    def pass_time(self, seconds: float) -> None:
        """Look again and again for so long."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.5, end)
            self.notices.look()


@pytest.fixture
def place() -> Place:
    """Give one."""
    return Place()


def test_a_silence_is_mentioned_once_and_so_is_its_end(place: Place) -> None:
    """However many wait and however often their calls fail of it, there is one line, and another one when the store answers."""
    with place.traffic.asking(), place.traffic.asking():
        place.pass_time(SLOW_SECONDS - 0.5)
        assert place.told == []
        place.pass_time(200)
        assert place.told == [SILENCE]
        for _ in range(5):
            place.notices.tell(SilentStoreError(f"{WHERE}: it did not answer in time"))
            place.pass_time(INTERVAL_SECONDS)
    place.pass_time(100)
    assert place.told == [SILENCE, f"the store answers again: {WHERE}"]


def test_nothing_is_said_while_anything_comes(place: Place) -> None:
    """What takes long is no silence as long as bytes come, and where nothing was asked there is none."""
    with place.traffic.asking():
        for _ in range(20):
            place.pass_time(SLOW_SECONDS - 1)
            place.traffic.add(requests=0, received=1)
            place.pass_time(SLOW_SECONDS - 1)
            place.traffic.hear()
    place.pass_time(1000)
    assert place.told == []


def test_a_store_that_often_takes_seconds_fills_no_log(place: Place) -> None:
    """Short silences after one another are mentioned once a minute."""
    for _ in range(60):
        with place.traffic.asking():
            place.pass_time(SLOW_SECONDS + 1)
    assert 0 < len(place.told) <= 60 * (SLOW_SECONDS + 1) / INTERVAL_SECONDS + 1
    assert set(place.told) == {SILENCE}


def test_processes_speak_with_one_voice(place: Place) -> None:
    """A silence that another process meets is mentioned by the first one, and what each of them finds out is said once a minute."""
    others = []
    for _ in range(4):
        other: WaitNotices = pickle.loads(pickle.dumps(place.notices))  # noqa: S301 - it was made here.
        other._clock = lambda: place.now
        other._notify = place.told.append
        other.watch()
        others.append(other)
    assert not any(other._is_watching for other in others)
    traffic: Traffic = pickle.loads(pickle.dumps(place.traffic))  # noqa: S301 - as above.
    traffic._clock = lambda: place.now
    with traffic.asking():
        place.pass_time(20)
        assert place.told == [SILENCE]
        for _ in range(2):
            for other in others:
                other.tell(SilentStoreError("nothing came"))
                other.tell(StoreUnavailableError("refused"))
            place.pass_time(INTERVAL_SECONDS / 3)
    assert place.told == [SILENCE, "waiting for the store: refused"]
    place.traffic.remove()


def test_a_process_that_slept_takes_that_for_no_silence(place: Place) -> None:
    """After it was stopped for an hour, the store is given its seconds."""
    with place.traffic.asking():
        place.pass_time(1)
        place.now += 3600
        place.pass_time(SLOW_SECONDS - 0.5)
    assert place.told == []


def test_nothing_is_said_of_a_silence_once_the_process_is_to_end(place: Place) -> None:
    """After Ctrl-C what is left is not waited for."""
    with place.traffic.asking():
        place.stop.ask()
        place.pass_time(100)
    assert place.told == []


def test_a_call_that_nothing_comes_of_is_mentioned_by_a_thread_of_its_own() -> None:
    """While whoever called waits, in whatever thread, a line says so, though the call has not failed."""
    was_told = threading.Event()
    traffic = Traffic()
    patience = Patience(600, notices=WaitNotices(traffic, WHERE, lambda _: was_told.set(), slow_seconds=0.01))

    def ask() -> bool:
        with traffic.asking():
            return was_told.wait(300)

    assert patience.insist(ask)
