"""A scheduler of several clients of one store: one runs at a time, and a seed decides at which call another takes over."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock, get_ident
from typing import Generic, TypeVar

from tallac.backends.passing import ForwardingBackend
from tallac.interfaces import Backend, Buffer, Expect, Item, Version
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.together import one_by_one, outcome

T = TypeVar("T")

TOGETHER_MAX = 8
"""So many calls of one client are under way at a time."""

_PART = "+"
"""Stands before the number of a client's part, in its name."""


class Schedule:
    """Runs clients in threads of their own, one at a time, in an order determined by a seed.

    While a client sleeps, the others run. One that is killed gets `SimulatedCrash` from its next call.
    """

    def __init__(self, seed: int, *, switch_rate: float = 0.3) -> None:
        """Switch clients at a share, 0 to 1, of all calls."""
        self.random = random.Random(seed)  # noqa: S311 - foreseeable on purpose
        self._rate = switch_rate
        self._clients: list[str] = []
        # Each waits at a gate of its own: who has the turn opens that of the next, and nobody else wakes up.
        self._gates: dict[str, Lock] = {}
        self._names: dict[int, str] = {}
        self._killed: set[str] = set()
        self._suspended: dict[str, int] = {}
        self.errors: dict[str, BaseException] = {}

    def run(self, clients: Mapping[str, Callable[[], object]]) -> None:
        """Run all clients until they end; their exceptions are in `errors` afterwards."""
        # Late, so that the threads are made where they are started.
        import threading  # lazy import: only a run needs threads

        threads = [threading.Thread(target=self._client, args=(name, work), daemon=True) for name, work in clients.items()]
        self._enter(clients)
        for thread in threads:
            thread.start()
        self._open(self._choose())
        for thread in threads:
            # In steps of a second: a machine that is suspended meanwhile loses one of them, and not the whole wait.
            for _ in range(120):
                thread.join(1)
                if not thread.is_alive():
                    break
            else:
                raise TimeoutError("the clients wait for each other")

    def kill(self, client: str) -> None:
        """Kill a client at its next call."""
        self._killed.add(client)

    def revive(self, client: str) -> None:
        """Run a client on that was killed, as the next process of its machine."""
        self._killed.discard(client)

    def suspend(self, client: str, switches: int) -> None:
        """Suspend a client for a number of switches between the others."""
        self._suspended[client] = switches

    def pause(self, *, always: bool = False) -> None:
        """Switch to another client if the seed decides so. Every call of a `ScheduledBackend` ends up here; other threads pass."""
        name = self._names.get(get_ident())
        if name is None:
            return
        owner = _owner_of(name)
        if owner in self._killed:
            raise SimulatedCrash
        if always or self.random.random() < self._rate or owner in self._suspended:
            self._wait_for_turn(name)
            if owner in self._killed:
                raise SimulatedCrash

    def run_together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Carry out calls of a client that need not wait for each other, and return what they return.

        The seed decides in which order they begin, and after which requests another one goes on, this client's or another client's.
        They are suspended and killed with their client. Raises as `tallac.together.run_together` does.
        """
        name = self._names.get(get_ident())
        if name is None or len(calls) <= 1:
            return one_by_one(calls)
        import threading  # lazy import: only a run needs threads

        together = _Together(calls, self.random.sample(range(len(calls)), len(calls)))
        parts = [f"{name}{_PART}{number}" for number in range(min(len(calls), TOGETHER_MAX))]
        self._enter(parts)
        for part in parts:
            threading.Thread(target=self._client, args=(part, together.work), daemon=True).start()
        self._wait_for_turn(name)
        return together.results()

    def _client(self, name: str, work: Callable[[], object]) -> None:
        self._names[get_ident()] = name
        self._gates[name].acquire()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is for whoever started the schedule.
            self.errors[name] = error
        finally:
            # A thread that a client starts later may get this one's number, and passes.
            del self._names[get_ident()]
            self._clients.remove(name)
            self._open(self._choose())

    def _enter(self, names: Iterable[str]) -> None:
        """Add clients, each with a closed gate. Who has the turn does this, and all else here."""
        for name in names:
            gate = self._gates[name] = Lock()
            gate.acquire()
            self._clients.append(name)

    def _open(self, name: str | None) -> None:
        """Pass the turn to a client; None where there is none left."""
        if name is not None:
            self._gates[name].release()

    def _wait_for_turn(self, name: str) -> None:
        chosen = self._choose()
        if chosen != name:
            self._open(chosen)
            self._gates[name].acquire()

    def _choose(self) -> str | None:
        for name, left in list(self._suspended.items()):
            self._suspended[name] = left - 1
            if left <= 1 or name not in self._clients:
                del self._suspended[name]
        # Who waits for its parts has no turn before they have ended.
        waiting = {name.rpartition(_PART)[0] for name in self._clients}
        able = [name for name in self._clients if name not in waiting]
        awake = [name for name in able if _owner_of(name) not in self._suspended] or able
        return self.random.choice(awake) if awake else None


def _owner_of(name: str) -> str:
    """Return the client that a name is a part of, or is."""
    return name.partition(_PART)[0]


class _Together(Generic[T]):
    """Some calls in the order in which they begin, and what has become of them."""

    def __init__(self, calls: Sequence[Callable[[], T]], order: Sequence[int]) -> None:
        self._calls = calls
        self._waiting = list(order)
        self._results: dict[int, T] = {}
        self._errors: dict[int, BaseException] = {}

    def work(self) -> None:
        """Carry out one after the other, until there are no more or one has failed."""
        while self._waiting and not self._errors:
            number = self._waiting.pop(0)
            try:
                self._results[number] = self._calls[number]()
            except BaseException as error:  # noqa: BLE001 - it is raised again by the client that waits.
                self._errors[number] = error

    def results(self) -> list[T]:
        """Return what the calls have returned, or raise the error that counts."""
        return outcome(self._results, self._errors)


class ScheduledBackend(ForwardingBackend):
    """Another backend; before and after each of its calls the schedule may switch to another client."""

    def __init__(self, inner: Backend, schedule: Schedule) -> None:
        super().__init__(inner)
        self._schedule = schedule

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        self._schedule.pause()
        version = self._inner.put(name, data, expect=expect)
        self._schedule.pause()
        return version

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        self._schedule.pause()
        return self._inner.get(name, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        self._schedule.pause()
        return self._inner.get_versioned(name)

    def list(self, prefix: str) -> Iterator[Item]:
        self._schedule.pause()
        return self._inner.list(prefix)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        self._schedule.pause()
        self._inner.delete(name, expect=expect)
        self._schedule.pause()
