"""Races for one name in a store: of threads of this process, and of processes, between which no lock in memory lies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

from tallac.errors import ConflictError
from tallac.interfaces import Backend, Expect, MakesAhead, Version
from tallac.together import run_together
from tallac.workers.pool import WorkerPool, can_start_workers
from tallac.workers.task import can_be_sent

START_SECONDS = 0.02
"""So much later than its order each process puts, that all have it by then."""

RaceOf: TypeAlias = Callable[[Backend, str, "Expect | Version", Sequence[bytes]], list[bytes]]
"""Has each of some contents put under one name at once, and returns those that were stored as it seemed to who put them."""


def race_threads(backend: Backend, name: str, expect: Expect | Version, contents: Sequence[bytes]) -> list[bytes]:
    """See `RaceOf`."""
    start = threading.Barrier(len(contents))

    def put(content: bytes) -> bool:
        start.wait()
        return _has_won(backend, name, expect, content)

    won = run_together([partial(put, content) for content in contents], len(contents))
    return [content for content, is_won in zip(contents, won, strict=True) if is_won]


class _Start(NamedTuple):
    name: str
    expect: Expect | Version
    content: bytes
    at: float


@dataclass(frozen=True)
class _Racer:
    """See `tallac.workers.task.WorkerTask`."""

    backend: Backend
    descriptors: tuple[int, ...] = ()

    @contextmanager
    def open(self) -> Iterator[Callable[[_Start], bytes]]:
        try:
            yield self._put
        finally:
            if isinstance(self.backend, MakesAhead):
                self.backend.leave()

    def _put(self, start: _Start) -> bytes:
        time.sleep(max(0.0, start.at - time.monotonic()))
        return start.content if _has_won(self.backend, start.name, start.expect, start.content) else b""


def can_race_processes(backend: Backend) -> bool:
    """Whether processes can be started here, and other processes can open this store."""
    return can_start_workers() and can_be_sent(_Racer(backend))


@contextmanager
def racing_processes(backend: Backend, count: int) -> Iterator[RaceOf]:
    """Start some processes, and give what has them race; as many contents as processes are put."""
    pool: WorkerPool[_Start, bytes] = WorkerPool(_Racer(backend), count, advice="try again, with more memory")

    def race(_backend: Backend, name: str, expect: Expect | Version, contents: Sequence[bytes]) -> list[bytes]:
        won: list[bytes] = []
        at = time.monotonic() + START_SECONDS
        for content in contents:
            pool.submit(_Start(name, expect, content, at), won.append)
        pool.drain()
        return [content for content in won if content]

    try:
        yield race
        pool.finish()
    finally:
        pool.stop()


def _has_won(backend: Backend, name: str, expect: Expect | Version, content: bytes) -> bool:
    try:
        backend.put(name, content, expect=expect)
    except ConflictError:
        return False
    return True
