"""Signals that end the process: turned into exceptions, so that `with` blocks close files and workers on the way out."""

from __future__ import annotations

import os
import signal
from types import FrameType

from tallac.together import STOP

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else (signal.SIGTERM,)


class TerminatedError(BaseException):
    """The process was asked to end. Not an Exception: nothing but `main` is to catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def expect_signals() -> None:
    """Raise an exception wherever the process is when a signal comes that ends it, once everybody was told to leave off.

    It is a TerminatedError, or for Ctrl-C a KeyboardInterrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    for number in ENDING_SIGNALS:
        # nohup and its like start a command that is to outlive its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)


def ignore_signals() -> None:
    """Ignore further signals, which would only interrupt what is being said about the first."""
    for number in (signal.SIGINT, *ENDING_SIGNALS):
        signal.signal(number, signal.SIG_IGN)


def interruption_behind(error: BaseException) -> BaseException | None:
    """Return what a signal raised, where it was turned into this error; None where the error has another reason.

    A signal may come at any moment, and Python 3.11 makes a RuntimeError of whatever is raised while a class gets its attributes.
    """
    found: BaseException | None = error
    while found is not None:
        if not isinstance(found, Exception | GeneratorExit | SystemExit):
            return found
        found = found.__cause__ or found.__context__
    return None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    STOP.ask()
    raise KeyboardInterrupt


def _terminate(number: int, _frame: FrameType | None) -> None:
    STOP.ask()
    raise TerminatedError(number)
