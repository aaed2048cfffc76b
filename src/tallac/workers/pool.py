"""Starting worker processes, keeping each of them busy, and detecting when one dies."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Generic, TypeVar, cast

import tallac
from tallac.errors import WorkerCrashedError
from tallac.workers.messages import Done, End, Ended, Failed, Work, receive, send
from tallac.workers.task import WorkerTask

IN_FLIGHT_MAX = 3
"""Jobs that a worker has at a time: one that it works on, and enough others that it never waits."""

END_TIMEOUT_SECONDS = 10

WORKER_ARGUMENTS = ("-P", "-m", "tallac.workers.process")
"""The interpreter's arguments for a worker. -P: the working directory may hold a file that is named like a module."""

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Worker(Generic[Answer]):
    process: subprocess.Popen[bytes]
    orders: IO[bytes]
    answers: IO[bytes]
    waiting: deque[Callable[[Answer], None]] = field(default_factory=deque)
    has_ended: bool = False


def can_start_workers() -> bool:
    """Whether this program can start worker processes."""
    return os.name == "posix" and bool(sys.executable)


class WorkerPool(Generic[Job, Answer]):
    """Several worker processes with one task. Not thread-safe.

    The result of a job is passed to its callback within a later call; the callback must not call the pool.

    Every method but `stop` raises WorkerCrashedError if a worker has died, and the error of a worker that could not continue.
    """

    def __init__(self, task: WorkerTask[Job, Answer], count: int, *, advice: str) -> None:
        """Start the processes.

        Args:
            task: The task that they open.
            count: The number of processes.
            advice: What the user can do when one of them dies; the end of the error message.

        Raises:
            OSError: The processes can't be started.
        """
        self._advice = advice
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker[Answer]] = []
        try:
            for _ in range(count):
                self._start(task)
        except BaseException:
            self.stop()
            raise

    def submit(self, job: Job, take: Callable[[Answer], None]) -> None:
        """Send a job to the least busy worker; wait for results while all workers have enough jobs."""
        self.poll()
        while len((worker := min(self._workers, key=lambda each: len(each.waiting))).waiting) >= IN_FLIGHT_MAX:
            self._receive(may_wait=True)
        self._submit_to(worker, job, take)

    def submit_to_each(self, job: Job, take: Callable[[Answer], None]) -> None:
        """Send a job to every worker."""
        for worker in self._workers:
            self._submit_to(worker, job, take)

    def poll(self) -> None:
        """Take the results that have arrived, without waiting."""
        self._receive(may_wait=False)

    def drain(self) -> None:
        """Wait for all results."""
        while any(worker.waiting for worker in self._workers):
            self._receive(may_wait=True)

    def finish(self) -> None:
        """Wait for all results, and end the processes."""
        self.drain()
        for worker in self._workers:
            self._send(worker, End())
        while not all(worker.has_ended for worker in self._workers):
            self._receive(may_wait=True)
        self.stop()

    def stop(self) -> None:
        """End the processes early; they discard unfinished work. Does nothing after `finish` or a second time."""
        for worker in self._workers:
            # Results first: a worker that waits to send one then waits no longer.
            worker.answers.close()
            with contextlib.suppress(OSError):
                worker.orders.close()
        for worker in self._workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(END_TIMEOUT_SECONDS)
            # Nothing depends any more on a worker that hangs now.
            worker.process.kill()
            worker.process.wait()
        self._workers.clear()
        self._selector.close()

    def _start(self, task: WorkerTask[Job, Answer]) -> None:
        process = subprocess.Popen(
            [sys.executable, *WORKER_ARGUMENTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
            pass_fds=task.descriptors,
            # Ctrl-C in a terminal is for this process alone, which stops its workers.
            process_group=0 if os.name == "posix" else None,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        worker: _Worker[Answer] = _Worker(process, process.stdin, process.stdout)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._send(worker, task)

    def _submit_to(self, worker: _Worker[Answer], job: Job, take: Callable[[Answer], None]) -> None:
        worker.waiting.append(take)
        self._send(worker, Work(job))

    def _send(self, worker: _Worker[Answer], message: object) -> None:
        try:
            send(worker.orders.fileno(), message)
        except BrokenPipeError:
            # Its last message may say why.
            self._receive_from(worker)
            raise self._died(worker) from None

    def _receive(self, *, may_wait: bool) -> None:
        for key, _ in self._selector.select(None if may_wait else 0):
            self._receive_from(key.data)

    def _receive_from(self, worker: _Worker[Answer]) -> None:
        try:
            message = receive(worker.answers.fileno())
        except EOFError:
            message = None
        if isinstance(message, Failed):
            raise message.error
        if isinstance(message, Ended):
            worker.has_ended = True
            self._selector.unregister(worker.answers)
        elif isinstance(message, Done):
            worker.waiting.popleft()(cast("Answer", message.answer))
        else:
            raise self._died(worker)

    def _died(self, worker: _Worker[Answer]) -> WorkerCrashedError:
        try:
            status = worker.process.wait(1)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            status = worker.process.wait()
        return WorkerCrashedError(f"a worker process ended unexpectedly (exit status {status}); {self._advice}")


def _environment() -> dict[str, str]:
    """Return an environment in which the process imports this very package."""
    folder = str(Path(tallac.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": folder if not inherited else folder + os.pathsep + inherited}
