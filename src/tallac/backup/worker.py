"""A worker process: reads files of the source and stores what is in them.

It is started as `python -m tallac.backup.worker`, gets its orders from standard input and answers on standard output. It holds
secrets, which come with the first message and never stand in an argument or in the environment.
"""

from __future__ import annotations

import contextlib
import os
import pickle  # It only tries whether an error can be sent.
import queue
import signal
import threading
import traceback

from tallac.backup.messages import (
    BatchJob,
    BatchResult,
    Failed,
    Finish,
    Finished,
    Job,
    PiecesJob,
    PiecesResult,
    Start,
    receive,
    send,
)
from tallac.backup.reading import FileStorer


def main() -> None:
    """Work until told to finish, or until the backup is gone."""
    # Ctrl-C reaches the whole process group; the backup itself speaks to the user.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders, answers = _take_pipes()
    try:
        start = receive(orders)
        if isinstance(start, Start):
            _work(start, orders, answers)
    except BrokenPipeError:
        return
    except Exception as error:  # noqa: BLE001  # Whatever it is, it is raised in the backup, not lost here.
        with contextlib.suppress(BrokenPipeError):
            send(answers, Failed(_sendable(error)))


def _work(start: Start, orders: int, answers: int) -> None:
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders, jobs), daemon=True).start()
    with start.recipe.open() as writer:
        storer = FileStorer(start.root, writer, start.small_size_max)
        while not isinstance(job := jobs.get(), Finish):
            if isinstance(job, BatchJob):
                send(answers, BatchResult(storer.store_batch(job), writer.collect()))
            elif isinstance(job, PiecesJob):
                tokens, problem = storer.store_pieces(job)
                send(answers, PiecesResult(tokens, problem, writer.collect()))
        storer.close()
        receipt = writer.finish()
    os.close(start.root)
    send(answers, Finished(receipt))


def _listen(orders: int, jobs: queue.SimpleQueue[Job]) -> None:
    """Take orders as they come, so that the backup never waits until they are read, and end as soon as the backup ends."""
    try:
        while isinstance(job := receive(orders), BatchJob | PiecesJob | Finish):
            jobs.put(job)
    finally:
        # The backup closes the pipe only after the last answer, or when it dies.
        os._exit(0)


def _take_pipes() -> tuple[int, int]:
    """Keep the pipes to ourselves: what a library prints must not get between the messages."""
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
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


if __name__ == "__main__":
    main()
