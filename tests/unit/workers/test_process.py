"""The end of a worker process: what it had open is closed, whatever signal comes by then."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tallac.workers.pool import WorkerPool


class Closing:
    """Answers with its process's number, and is interrupted while it is let go, as by the signal that ends a worker."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __call__(self, job: int) -> int:
        return job + os.getpid()

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        self._trace.write_text("closed")


class ClosingTask(msgspec.Struct, frozen=True):
    """A task whose jobs are carried out by something that has to be closed."""

    trace: Path

    @property
    def descriptors(self) -> tuple[int, ...]:
        return ()

    @contextmanager
    def open(self) -> Iterator[Callable[[int], int]]:
        yield Closing(self.trace)


def test_what_a_worker_lets_go_at_its_end_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has answered everything is not interrupted any more, so that its files are closed and nothing is printed."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))  # The worker imports the task from here.
    pool: WorkerPool[int, int] = WorkerPool(ClosingTask(tmp_path / "trace"), 1, advice="")
    answers: list[int] = []
    try:
        pool.submit(0, answers.append)
        pool.finish()
    finally:
        pool.stop()
    assert len(answers) == 1
    assert (tmp_path / "trace").read_text() == "closed"
