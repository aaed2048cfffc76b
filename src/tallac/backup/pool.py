"""Worker processes: starting them, keeping each of them busy, and noticing when one dies."""

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
from typing import IO

import tallac
from tallac.backup.messages import BatchResult, Failed, Finish, Finished, Job, PiecesResult, Start, receive, send
from tallac.errors import WorkerDiedError

IN_FLIGHT_MAX = 3
"""So many jobs a worker has at a time: one at work, and enough that it never waits."""

END_TIMEOUT_SECONDS = 10

Answer = Callable[[BatchResult | PiecesResult], None]


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    orders: IO[bytes]
    answers: IO[bytes]
    waiting: deque[Answer] = field(default_factory=deque)
    is_finished: bool = False


class WorkerPool:
    """Some worker processes of one batch. Not thread-safe. A job's answer is called within `submit`, `drain` or `finish`."""

    def __init__(self, start: Start, count: int, adopt: Callable[[bytes], None]) -> None:
        """Start the processes.

        Args:
            start: What each of them is told first.
            count: How many.
            adopt: Called with each receipt.
        """
        self._adopt = adopt
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        try:
            for _ in range(count):
                self._start(start)
        except BaseException:
            self.kill()
            raise

    def submit(self, job: Job, answer: Answer) -> None:
        """Give a job to the worker that has least to do, waiting for answers while all have enough.

        Raises:
            WorkerDiedError: A worker is gone.
            TallacError: What a worker could not go on with.
        """
        self._receive(may_wait=False)
        while len((worker := min(self._workers, key=lambda each: len(each.waiting))).waiting) >= IN_FLIGHT_MAX:
            self._receive(may_wait=True)
        worker.waiting.append(answer)
        self._send(worker, job)

    def drain(self) -> None:
        """Wait for all answers. Raises what `submit` raises."""
        while any(worker.waiting for worker in self._workers):
            self._receive(may_wait=True)

    def finish(self) -> None:
        """Wait for all answers, have everything made durable, and end the processes. Raises what `submit` raises."""
        self.drain()
        for worker in self._workers:
            self._send(worker, Finish())
        while not all(worker.is_finished for worker in self._workers):
            self._receive(may_wait=True)
        for worker in self._workers:
            worker.orders.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(END_TIMEOUT_SECONDS)
            # All that it stored is durable and adopted, so one that hangs now is not waited for.
            worker.process.kill()
            worker.process.wait()
        self._forget()

    def kill(self) -> None:
        """End the processes at once; what they stored may be lost. Calling it after `finish`, or twice, does nothing."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.orders.close()
            worker.process.wait()
        self._forget()

    def _start(self, start: Start) -> None:
        # -P: the working directory may hold a file that is named like a module.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tallac.backup.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
            pass_fds=(start.root,),
            # Ctrl-C in a terminal is for the backup alone, which ends its workers.
            process_group=0 if os.name == "posix" else None,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        worker = _Worker(process, process.stdin, process.stdout)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._send(worker, start)

    def _send(self, worker: _Worker, message: object) -> None:
        try:
            send(worker.orders.fileno(), message)
        except BrokenPipeError:
            # Its last words may say why.
            self._receive_from(worker)
            raise _died(worker) from None

    def _receive(self, *, may_wait: bool) -> None:
        for key, _ in self._selector.select(None if may_wait else 0):
            self._receive_from(key.data)

    def _receive_from(self, worker: _Worker) -> None:
        try:
            message = receive(worker.answers.fileno())
        except EOFError:
            message = None
        if isinstance(message, Failed):
            raise message.error
        if isinstance(message, Finished):
            self._adopt(message.receipt)
            worker.is_finished = True
            self._selector.unregister(worker.answers)
        elif isinstance(message, BatchResult | PiecesResult):
            if message.receipt is not None:
                self._adopt(message.receipt)
            worker.waiting.popleft()(message)
        else:
            raise _died(worker)

    def _forget(self) -> None:
        for worker in self._workers:
            worker.answers.close()
        self._workers.clear()
        self._selector.close()


def _died(worker: _Worker) -> WorkerDiedError:
    try:
        status = worker.process.wait(1)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        status = worker.process.wait()
    return WorkerDiedError(
        f"a worker process ended unexpectedly (exit status {status}); nothing was entered, start the backup again"
    )


def _environment() -> dict[str, str]:
    """Have the process find this very package, wherever it was imported from."""
    folder = str(Path(tallac.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": folder if not inherited else folder + os.pathsep + inherited}
