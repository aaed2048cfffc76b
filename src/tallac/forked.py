"""A forked process, which does a part of the work with what this one has in memory, and ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import TypeAlias

Send: TypeAlias = Callable[[bytes], None]
"""Sends a message to the parent. Waits while it takes none; raises OSError once it has ended."""

READ_SIZE = 1 << 16
"""As much as a pipe takes."""

_LENGTH_SIZE = 4
_THREADS = "/proc/self/task"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else ()


def may_fork() -> bool:
    """Whether this process can be forked without harm, and the machine has a second processor for its child.

    No other thread may run, not one of a library either. The kernel counts them, on Linux.
    """
    if sys.platform != "linux":
        return False
    try:
        return len(os.listdir(_THREADS)) == 1 and len(os.sched_getaffinity(0)) > 1
    except OSError:
        return False


def fork(do: Callable[[], None]) -> int:
    """Fork a process that does something and ends, whatever happens; return its number. See `may_fork`.

    Raises:
        OSError: It can't be started.
    """
    # A signal is answered by the parent alone: in the child its handler would go up the parent's stack.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        process = os.fork()
        if process == 0:
            _live_as_child(do)
        return process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _live_as_child(do: Callable[[], None]) -> None:
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        do()
    finally:
        os._exit(0)


def end(process: int) -> None:
    """End a forked process, and wait until it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)


class Splitter:
    """The messages of a process, taken out of the bytes that come from it; see `send_message`."""

    def __init__(self) -> None:
        """Begin with none."""
        self._rest = b""

    def take(self, more: bytes) -> list[bytes]:
        """Return the messages that are whole with these bytes, each once."""
        found: list[bytes] = []
        buffer, start = self._rest + more, 0
        while len(buffer) >= (begin := start + _LENGTH_SIZE):
            end = begin + int.from_bytes(buffer[start:begin], "big")
            if len(buffer) < end:
                break
            found.append(buffer[begin:end])
            start = end
        self._rest = buffer[start:]
        return found


def send_message(descriptor: int, message: bytes) -> None:
    """Write a message to a pipe; wait while nobody takes it.

    Raises:
        OSError: Nobody will.
    """
    rest = memoryview(len(message).to_bytes(_LENGTH_SIZE, "big") + message)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class SecondProcess:
    """A forked process that sends messages until it has done its work. End it.

    It has all descriptors of this one: it may read by those that no position belongs to, and nothing else.
    """

    def __init__(self, do: Callable[[Send], None]) -> None:
        """Fork it. What goes wrong in it ends it, and nobody is told. See `may_fork`.

        Raises:
            OSError: It can't be started.
        """
        self._splitter = Splitter()
        self._messages, messages = os.pipe()

        def work() -> None:
            # So that the pipe is closed once the parent has ended.
            os.close(self._messages)
            do(lambda message: send_message(messages, message))

        try:
            os.set_blocking(self._messages, False)
            self._process = fork(work)
        except BaseException:
            os.close(self._messages)
            raise
        finally:
            os.close(messages)

    def receive(self) -> list[bytes]:
        """Return messages that have come, each once, without waiting; some more may have come."""
        if not self._process:
            return []
        try:
            more = os.read(self._messages, READ_SIZE)
        except BlockingIOError:
            return []
        if not more:
            self.end()
        return self._splitter.take(more)

    def end(self) -> None:
        """End it, whatever it has not sent by then. Doing so twice does nothing."""
        if not self._process:
            return
        process, self._process = self._process, 0
        end(process)
        os.close(self._messages)
