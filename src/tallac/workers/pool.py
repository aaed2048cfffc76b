"""Starting worker processes, keeping each of them busy, and noticing when one dies."""

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
"""So many jobs a worker has at a time: one at work, and enough that it never waits."""

END_TIMEOUT_SECONDS = 10

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
    """Whether there can be worker processes here at all."""
    return os.name == "posix" and bool(sys.executable)


class WorkerPool(Generic[Job, Answer]):
    """Some worker processes with one task. Not thread-safe.

    A job's answer is given within a later call; who takes it must not call the pool from there.

    Every method but `stop` raises WorkerCrashedError where a worker is gone, and whatever a worker could not go on with.
    """

    def __init__(self, task: WorkerTask[Job, Answer], count: int, *, advice: str) -> None:
        """Start the processes.

        Args:
            task: What they are there for.
            count: How many.
            advice: Tells the user what to do when one of them dies.

        Raises:
            OSError: They can't be started.
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
        """Give a job to the worker that has least to do, waiting for answers while all have enough."""
        self.poll()
        while len((worker := min(self._workers, key=lambda each: len(each.waiting))).waiting) >= IN_FLIGHT_MAX:
            self._receive(may_wait=True)
        self._submit_to(worker, job, take)

    def submit_to_each(self, job: Job, take: Callable[[Answer], None]) -> None:
        """Give a job to every worker."""
        for worker in self._workers:
            self._submit_to(worker, job, take)

    def poll(self) -> None:
        """Take the answers that are there; wait for none."""
        self._receive(may_wait=False)

    def drain(self) -> None:
        """Wait for all answers."""
        while any(worker.waiting for worker in self._workers):
            self._receive(may_wait=True)

    def finish(self) -> None:
        """Wait for all answers, and end the processes."""
        self.drain()
        for worker in self._workers:
            self._send(worker, End())
        while not all(worker.has_ended for worker in self._workers):
            self._receive(may_wait=True)
        self.stop()

    def stop(self) -> None:
        """End the processes early: they throw away what is not finished. Calling it after `finish`, or twice, does nothing."""
        for worker in self._workers:
            # Answers first: one that waits to be rid of an answer waits no longer.
            worker.answers.close()
            with contextlib.suppress(OSError):
                worker.orders.close()
        for worker in self._workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(END_TIMEOUT_SECONDS)
            # Nothing depends on one that hangs now.
            worker.process.kill()
            worker.process.wait()
        self._workers.clear()
        self._selector.close()

    def _start(self, task: WorkerTask[Job, Answer]) -> None:
        # -P: the working directory may hold a file that is named like a module.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tallac.workers.process"],
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
            # Its last words may say why.
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
    """Have the process find this very package, wherever it was imported from."""
    folder = str(Path(tallac.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": folder if not inherited else folder + os.pathsep + inherited}
