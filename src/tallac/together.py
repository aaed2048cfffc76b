"""Several calls at a time, each in a thread, for what spends its time waiting; and how all such waits end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from tallac.errors import StoreUnavailableError

T = TypeVar("T")

STEP_SECONDS = 0.1
"""After so long at most, a wait notices that it is over."""


class Stop:
    """A note on whether to leave off: then nothing new is begun, and no wait goes on that can be left.

    A signal may ask for it at any moment, so no lock is involved; once asked for, it stays.
    """

    def __init__(self) -> None:
        """Go on for now."""
        self._is_asked_for = False

    @property
    def is_asked_for(self) -> bool:
        """Whether to leave off."""
        return self._is_asked_for

    def ask(self) -> None:
        """Ask everybody to leave off. A function of a signal may call this."""
        self._is_asked_for = True

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds, or until everybody is to leave off; return whether they are."""
        end = time.monotonic() + seconds
        while not self._is_asked_for and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, STEP_SECONDS))
        return self._is_asked_for


STOP = Stop()
"""This process's: asked for by the signals that end a command, see `tallac.cli.signals`, or a worker."""


def one_by_one(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Carry out calls one after the other, and return what they return."""
    return [call() for call in calls]


def outcome(results: Mapping[int, T], errors: Mapping[int, BaseException]) -> list[T]:
    """Return what calls have returned, by their numbers; or raise the error that counts, see `run_together`."""
    if errors:
        raise min(errors.items(), key=lambda each: (isinstance(each[1], Exception), each[0]))[1]
    return [results[number] for number in sorted(results)]


def run_together(
    calls: Sequence[Callable[[], T]], at_a_time: int, is_stopping: Callable[[], bool] = lambda: STOP.is_asked_for
) -> list[T]:
    """Carry out calls, several at a time, and return what they return, in their order.

    Where one raises, no other is begun any more. Once those under way have ended, the error of the first of them is raised; one
    that is no `Exception` comes before all others. When everybody is to leave off, or a signal raises something in the thread that
    waits here, no call is begun either, and those under way are left to themselves. What is called then runs one by one.

    Args:
        calls: The calls.
        at_a_time: How many are under way at most.
        is_stopping: Whether everybody is to leave off.

    Raises:
        StoreUnavailableError: Everybody was to leave off before all had ended.
        What a call raises.
    """
    if at_a_time <= 1 or len(calls) <= 1 or is_stopping():
        return one_by_one(calls)
    return _Together(calls, is_stopping).run(min(at_a_time, len(calls)))


class _Together(Generic[T]):
    """Some calls, and what has become of them."""

    def __init__(self, calls: Sequence[Callable[[], T]], is_stopping: Callable[[], bool]) -> None:
        self._calls = calls
        self._is_stopping = is_stopping
        self._waiting = iter(list(enumerate(calls)))
        self._results: dict[int, T] = {}
        self._errors: dict[int, BaseException] = {}
        self._is_left = False
        self._lock = threading.Lock()

    def run(self, count: int) -> list[T]:
        """Carry them out in so many threads, and wait for them."""
        try:
            threads = self._started(count)
            for thread in threads:
                while thread.is_alive() and not self._is_stopping():
                    thread.join(STEP_SECONDS)
        finally:
            # Nobody waits for what has not begun.
            self._is_left = True
        results = outcome(self._results, self._errors)
        if len(results) < len(self._calls):
            raise StoreUnavailableError("what was asked of the store was left, since this process is to end")
        return results

    def _started(self, count: int) -> list[threading.Thread]:
        threads: list[threading.Thread] = []
        for _ in range(count):
            thread = threading.Thread(target=self._work, name="tallac-together", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The system gives this process no more of them.
                break
            threads.append(thread)
        if not threads:
            self._work()
        return threads

    def _work(self) -> None:
        while (item := self._next()) is not None:
            number, call = item
            try:
                self._results[number] = call()
            except BaseException as error:  # noqa: BLE001 - it is raised again by the thread that waits.
                self._errors[number] = error

    def _next(self) -> tuple[int, Callable[[], T]] | None:
        with self._lock:
            return None if self._errors or self._is_left or self._is_stopping() else next(self._waiting, None)
