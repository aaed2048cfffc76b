"""How long a call to a distant store is tried again, and how a wait ends at once when the user has had enough."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tallac.backends.traffic import Traffic
from tallac.backends.wait_notices import WaitNotices
from tallac.errors import StoreUnavailableError
from tallac.together import STEP_SECONDS, STOP, Stop

FIRST_CONTACT_SECONDS = 10.0
"""So long a store is asked that has never answered: it is more likely a wrong name than a bad moment."""

PATIENCE_SECONDS = 15 * 60.0
DELAY_FIRST_SECONDS = 0.25
DELAY_MAX_SECONDS = 30.0
SILENCE_SECONDS = 3.0
"""After so long a call that is tried again is mentioned."""

FAREWELL_SECONDS = 0.3
"""So long one call may take that tidies up after an interrupt; a store that needs longer for one is told nothing more."""

FAREWELLS_SECONDS = 2.0
"""So long all of them may take, where the store answers."""

IDLE_SECONDS = 10.0
"""So long a thread waits for another call; one that has ended costs 0.1 ms to start again."""

T = TypeVar("T")


class _Job:
    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.ended = threading.Event()
        self.result: object = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - it is raised again by the thread that waits.
            self.error = error


class InterruptibleCalls:
    """Carries out calls that can't be interrupted, in threads of its own, so that the main thread can be.

    Only the main thread gets signals: a call of any other one is carried out by itself. So is one within a call. A thread without
    calls ends after a while.
    """

    def __init__(self) -> None:
        """Start no thread yet."""
        self._lock = threading.Lock()
        self._free = 0
        self._waiting: deque[_Job] = deque()
        self._arrived = threading.Semaphore(0)
        self._own = threading.local()

    @property
    def is_within(self) -> bool:
        """Whether this thread carries out such a call."""
        return getattr(self._own, "is_within", False)

    def __call__(self, function: Callable[[], T], timeout: float | None = None) -> T:
        """Return what a function returns; with a timeout in seconds, give up on it and let it go on by itself.

        Args:
            function: The call.
            timeout: As above; None for as long as it takes.

        Raises:
            StoreUnavailableError: It took longer than the timeout.
            What the function raises.
        """
        if self.is_within or (timeout is None and threading.current_thread() is not threading.main_thread()):
            return function()
        job = _Job(function)
        with self._lock:
            self._waiting.append(job)
            if self._free == 0:
                threading.Thread(target=self._work, name="tallac-store", daemon=True).start()
            else:
                self._free -= 1
            self._arrived.release()
        self._wait(job, timeout)
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]  # It is what the function has returned.

    @staticmethod
    def _wait(job: _Job, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        while not job.ended.wait(0.1 if sys.platform == "win32" else timeout):
            if end is not None and time.monotonic() >= end:
                raise StoreUnavailableError("the store did not answer in time")

    def _work(self) -> None:
        self._own.is_within = True
        while self._has_job():
            with self._lock:
                job = self._waiting.popleft()
            job.run()
            # Whoever waits for the job must not find a thread that is still busy with it.
            with self._lock:
                self._free += 1
            job.ended.set()
            del job

    def _has_job(self) -> bool:
        """Wait for a job; without one for a while this thread counts as free no more."""
        if self._arrived.acquire(timeout=IDLE_SECONDS):
            return True
        with self._lock:
            # One may have come meanwhile, which counts on this thread.
            if self._arrived.acquire(blocking=False):
                return True
            self._free -= 1
            return False


class Patience:
    """Decides whether and when a failed call is tried again. Thread-safe; a copy in another process starts afresh.

    The pauses double, up to half a minute, each of them by chance between a half and the whole, so that clients that were stopped
    together do not come back together.
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        notices: WaitNotices | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        stop: Stop = STOP,
    ) -> None:
        """Wait so many seconds in all for one call; None for a quarter of an hour, and for less until the store has answered once.

        Args:
            seconds: As above.
            notices: Says that the store is waited for; None for what says so for this process alone.
            sleep: Waits so many seconds; by default until then or until a signal.
            clock: Seconds that only grow.
            chance: Numbers from 0 to 1.
            stop: Says that this process is to end.
        """
        self._seconds = seconds
        self._notices = notices or WaitNotices(Traffic())
        self._sleep = sleep
        self._clock = clock
        self._chance = chance
        self._has_answered = False
        self._stop = stop
        self._interrupted_until = 0.0
        self._farewells_until: float | None = None
        self._call = InterruptibleCalls()

    def __reduce__(self) -> tuple[object, ...]:
        """Return what another process needs; by then the store has answered."""
        seconds = PATIENCE_SECONDS if self._seconds is None and self._has_answered else self._seconds
        return partial(Patience, notices=self._notices), (seconds,)

    @property
    def is_stopping(self) -> bool:
        """Whether this process is to end, or a call was interrupted just now: nothing is waited for that can be left."""
        return self._stop.is_asked_for or time.monotonic() < self._interrupted_until

    def call(self, function: Callable[[], T]) -> T:
        """Carry out one call so that a signal ends the wait for it at once.

        Once this process is to end, only the main thread begins calls, to tidy up, and each is given little time; after one that
        takes longer no other is begun.

        Raises:
            StoreUnavailableError: The call was not begun, or not waited for any more, since this process is to end.
            What the call raises.
        """
        if self.is_stopping and not self._call.is_within:
            return self._say_farewell(function)
        try:
            return self._call(function)
        except Exception:
            raise
        except BaseException as error:
            if type(error).__name__ == "PanicException":
                raise StoreUnavailableError("the library that talks to the store has failed; please report it") from None
            self._interrupt()
            raise

    def _say_farewell(self, function: Callable[[], T]) -> T:
        now = time.monotonic()
        if self._farewells_until is None:
            self._farewells_until = now + FAREWELLS_SECONDS
        left = min(FAREWELL_SECONDS, self._farewells_until - now)
        if left <= 0 or threading.current_thread() is not threading.main_thread():
            raise StoreUnavailableError("the store is asked for nothing any more, since this process is to end")
        try:
            return self._call(function, left)
        except StoreUnavailableError:
            self._farewells_until = now
            raise

    def _interrupt(self) -> None:
        """Begin to leave off. Who has no signals of a command's goes on after a while: a notebook, for one, stays."""
        self._interrupted_until = time.monotonic() + FAREWELLS_SECONDS
        self._farewells_until = None

    def insist(
        self,
        function: Callable[[], T],
        *,
        settle: Callable[[], T | None] | None = None,
    ) -> T:
        """Carry out a call, and again while the store can't be reached, as long as there is patience.

        Args:
            function: The call.
            settle: Called before each further try, to find out whether an earlier one has succeeded after all; then it returns
                what the call would have.

        Raises:
            StoreUnavailableError: It could not be reached all the time.
            What the call, or `settle`, raises otherwise.
        """
        self._notices.watch()
        started = self._clock()
        noticed = started + SILENCE_SECONDS
        # A call that has waited for its turn on a slow line is not to lose its patience by that.
        is_first_failure = True
        delay = DELAY_FIRST_SECONDS
        is_repeated = False
        while True:
            try:
                if is_repeated and settle is not None:
                    settled = self.call(settle)
                    if settled is not None:
                        return settled
                result = self.call(function)
            except StoreUnavailableError as error:
                is_repeated = True
                if is_first_failure and self._has_answered:
                    started = self._clock()
                is_first_failure = False
                pause = delay * (0.5 + self._chance() / 2)
                if self.is_stopping or self._clock() + pause - started > self._limit():
                    raise
                # It comes before a pause that would last beyond its time.
                if self._clock() + pause >= noticed:
                    self._notices.tell(error)
                self._pause(pause)
                delay = min(delay * 2, DELAY_MAX_SECONDS)
            else:
                self._has_answered = True
                return result

    def _limit(self) -> float:
        if self._seconds is not None:
            return self._seconds
        return PATIENCE_SECONDS if self._has_answered else FIRST_CONTACT_SECONDS

    def _pause(self, seconds: float) -> None:
        try:
            if self._sleep is not None:
                self._sleep(seconds)
                return
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0 and not self.is_stopping:
                self._stop.wait(min(left, STEP_SECONDS))
        except BaseException as error:
            if not isinstance(error, Exception):
                self._interrupt()
            raise
