"""The program of a worker process: opens its task and carries out jobs.

It is started as `python -m tallac.workers.process`, reads orders from standard input and writes results to standard output. The
task, which may hold secrets, comes with the first message and never appears in an argument or in the environment.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle  # It only tries whether an error can be sent.
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Protocol

from tallac.together import STOP
from tallac.workers.messages import Done, Ended, Failed, Work, receive, send

STOP_SECONDS_MAX = 5
"""How long a stopped worker may take to discard unfinished work."""

OBJECTS_PER_COLLECTION = 50_000
"""As in the command, which says why."""


class _StoppedError(BaseException):
    """Nobody waits for results any more. Not an Exception: only `main` is to catch it."""


class _Task(Protocol):
    def open(self) -> AbstractContextManager[Callable[[object], object]]: ...


def main() -> None:
    """Work until `End`, until stopped, or until the process that sends the orders has died."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    # Ctrl-C is for the process that sends the orders; it reports to the user, and stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    orders, answers = _take_pipes()
    try:
        task = receive(orders)
        if task is not None:
            _work(task, orders, answers)  # type: ignore[arg-type]  # Only tasks are sent.
    except (BrokenPipeError, _StoppedError):
        pass
    except Exception as error:  # noqa: BLE001  # Whatever it is, it is raised where the orders come from, not lost here.
        with contextlib.suppress(BrokenPipeError, _StoppedError):
            send(answers, Failed(_sendable(error)))
    # A signal could have any effect on an interpreter that is shutting down.
    os._exit(0)


def _work(task: _Task, orders: int, answers: int) -> None:
    jobs: queue.SimpleQueue[object] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders, jobs), daemon=True).start()
    with task.open() as carry_out:
        while isinstance(order := jobs.get(), Work):
            send(answers, Done(carry_out(order.job)))
    # All is done. The signal that the closed pipe brings would only interrupt the closing of what is open still.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    send(answers, Ended())


def _listen(orders: int, jobs: queue.SimpleQueue[object]) -> None:
    """Read orders as they arrive, so that the sender never waits, and stop everything when the pipe is closed."""
    try:
        while (order := receive(orders)) is not None:
            jobs.put(order)
    finally:
        # The pipe is closed after the last result, or by `stop`, or because the process at its other end has died.
        main_thread = threading.main_thread().ident
        assert main_thread is not None
        signal.pthread_kill(main_thread, signal.SIGTERM)
        time.sleep(STOP_SECONDS_MAX)
        os._exit(1)


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # What a signal's function is given.
    # Once is enough: from here on, unfinished work is being discarded.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    STOP.ask()
    raise _StoppedError


def _take_pipes() -> tuple[int, int]:
    """Return private copies of the two pipes, so that what a library prints can't get between the messages."""
    orders, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return orders, answers


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # It was made just here.
    except Exception:  # noqa: BLE001  # An error's constructor may raise anything.
        import traceback  # lazy import: few errors need it

        return RuntimeError("".join(traceback.format_exception(error)))
    return error


if __name__ == "__main__":
    main()
