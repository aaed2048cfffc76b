"""A scheduler for several clients of one store: one runs at a time, and a seed says at which of its calls another goes on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from threading import Condition, get_ident

from tallac.interfaces import Backend, Buffer, Expect, Item, Upload, Version
from tallac.testing.crashing_backend import SimulatedCrash


class Schedule:
    """Runs clients in threads of their own, one at a time, in an order that a seed decides.

    A client that sleeps lets the others go on. One that is killed gets `SimulatedCrash` from its next call.
    """

    def __init__(self, seed: int, *, switch_rate: float = 0.3) -> None:
        """Switch at this share of all calls."""
        self.random = random.Random(seed)  # noqa: S311 - foreseeable on purpose
        self._rate = switch_rate
        self._turn = Condition()
        self._clients: list[str] = []
        self._running: str | None = None
        self._names: dict[int, str] = {}
        self._killed: set[str] = set()
        self._suspended: dict[str, int] = {}
        self.errors: dict[str, BaseException] = {}

    def run(self, clients: Mapping[str, Callable[[], object]]) -> None:
        """Run all clients to their ends; what one of them raises is in `errors` afterwards."""
        # Late, so that the threads are made where they are started.
        import threading  # late import: only a run needs threads

        threads = [threading.Thread(target=self._client, args=(name, work), daemon=True) for name, work in clients.items()]
        self._clients = list(clients)
        for thread in threads:
            thread.start()
        with self._turn:
            self._running = self._choose()
            self._turn.notify_all()
        for thread in threads:
            # By the second: a machine that is suspended meanwhile sleeps through one of them, and not through all.
            for _ in range(120):
                thread.join(1)
                if not thread.is_alive():
                    break
            else:
                raise TimeoutError("the clients wait for each other")

    def kill(self, client: str) -> None:
        """Let a client's next call be its last."""
        self._killed.add(client)

    def suspend(self, client: str, switches: int) -> None:
        """Let a client sleep while the others have so many turns."""
        self._suspended[client] = switches

    def pause(self, *, always: bool = False) -> None:
        """Let somebody else go on, perhaps; every call of a `ScheduledBackend` comes here. Other threads pass."""
        name = self._names.get(get_ident())
        if name is None:
            return
        if name in self._killed:
            raise SimulatedCrash
        if always or self.random.random() < self._rate or name in self._suspended:
            self._wait_for_turn(name)
            if name in self._killed:
                raise SimulatedCrash

    def _client(self, name: str, work: Callable[[], object]) -> None:
        self._names[get_ident()] = name
        with self._turn:
            self._turn.wait_for(lambda: self._running == name)
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is for whoever started the schedule.
            self.errors[name] = error
        finally:
            with self._turn:
                self._clients.remove(name)
                self._running = self._choose()
                self._turn.notify_all()

    def _wait_for_turn(self, name: str) -> None:
        with self._turn:
            self._running = self._choose()
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._running == name)

    def _choose(self) -> str | None:
        for name, left in list(self._suspended.items()):
            self._suspended[name] = left - 1
            if left <= 1 or name not in self._clients:
                del self._suspended[name]
        awake = [name for name in self._clients if name not in self._suspended] or self._clients
        return self.random.choice(awake) if awake else None


class ScheduledBackend:
    """Another backend, at each of whose calls the schedule may let another client go on, before it and after it."""

    def __init__(self, inner: Backend, schedule: Schedule) -> None:
        self._inner = inner
        self._schedule = schedule

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        self._schedule.pause()
        version = self._inner.put(name, data, expect=expect)
        self._schedule.pause()
        return version

    def upload(self) -> Upload:
        return self._inner.upload()

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

    def location(self) -> str:
        return self._inner.location()
