"""Several calls at a time, each in a thread, for what spends its time waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def one_by_one(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Carry out calls one after the other, and return what they return."""
    return [call() for call in calls]


def run_together(calls: Sequence[Callable[[], T]], at_a_time: int) -> list[T]:
    """Carry out calls, several at a time, and return what they return, in their order.

    Where one raises, no other is begun any more. Once those under way have ended, the error of the first of them is raised.
    """
    if at_a_time <= 1 or len(calls) <= 1:
        return one_by_one(calls)
    waiting = iter(list(enumerate(calls)))
    results: dict[int, T] = {}
    errors: dict[int, BaseException] = {}
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                item = None if errors else next(waiting, None)
            if item is None:
                return
            number, call = item
            try:
                results[number] = call()
            except BaseException as error:  # noqa: BLE001 - it is raised again by the thread that waits.
                errors[number] = error

    threads = [threading.Thread(target=work, name="tallac-together", daemon=True) for _ in range(min(at_a_time, len(calls)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(calls))]
