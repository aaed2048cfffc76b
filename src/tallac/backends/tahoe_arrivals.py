"""Uploaded objects on their way into a directory on a Tahoe-LAFS grid.

Entering costs a node two requests and the writing of the whole directory. So what several threads bring at about the same time goes
in together, by way of one of them.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from tallac.backends.tahoe_states import State, StateDirectories, last_of

TRIES = 50

WAIT_SECONDS_MAX = 0.5
"""So long who could enter waits for others who are still uploading: at a node nearby they come, and far away it matters little."""


class Arrival:
    """An object whose bytes the grid has, and that waits for its name."""

    def __init__(self, name: str, cap: str, size: int) -> None:
        self.name = name
        self.cap = cap
        self.size = size
        self.has_entered = False


class Arrivals:
    """Enters new objects. Thread-safe."""

    def __init__(self, states: StateDirectories) -> None:
        """Enter into these directories."""
        self._states = states
        self._changed = threading.Condition()
        self._under_way: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, list[Arrival]] = defaultdict(list)
        self._turns: dict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def expected(self, folder: str) -> Iterator[None]:
        """Upload in this block what will be entered: others wait for it a little."""
        with self._changed:
            self._under_way[folder] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way[folder] -= 1
                self._changed.notify_all()

    def enter(self, folder: str, arrival: Arrival) -> bool:
        """Enter an object unless there is one of its name; False where others were faster, too many times in a row."""
        with self._changed:
            self._waiting[folder].append(arrival)
            turn = self._turns[folder]
        with turn:
            if not arrival.has_entered:
                with self._changed:
                    self._changed.wait_for(lambda: not self._under_way[folder], WAIT_SECONDS_MAX)
                    together = self._waiting.pop(folder, [])
                # It is not among these where the thread that took it along has failed.
                self._enter(folder, {other.name: other for other in [*together, arrival]}.values())
        return arrival.has_entered

    def _enter(self, folder: str, together: Collection[Arrival]) -> None:
        for _ in range(TRIES):
            states = self._states.read(folder)
            entered, missing = {}, []
            for arrival in together:
                last = last_of(states.get(arrival.name))
                arrival.has_entered = last.cap is not None
                if not arrival.has_entered:
                    missing.append(arrival)
                    entered[arrival.name] = State(last.number + 1, arrival.cap, arrival.size)
            if not missing:
                return
            if self._states.enter_all(folder, entered):
                for arrival in missing:
                    arrival.has_entered = True
                return
