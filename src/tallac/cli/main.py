"""The process: signals, descriptors, and the exit status that it ends with.

0 done; 1 failed, nothing entered; 2 wrong usage; 3 snapshot made but incomplete; 129 its terminal was closed; 130 interrupted;
143 terminated.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from tallac.cli.output.stderr import say, silence

COMPLETION_VARIABLE = "_TALLAC_COMPLETE"
"""Set by the scripts that `tallac completion` prints."""

FAILED = 1
SIGNALLED = 128
"""What shells add a signal's number to."""


_ENDINGS = (signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else (signal.SIGTERM,)


class TerminatedError(BaseException):
    """The process was asked to end. Not an Exception: nothing but `main` is to catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> NoReturn:
    """Run the command that the process was started with, and end with its exit status."""
    try:
        _end(_run())
    except BaseException as error:
        interruption = interruption_behind(error)
        if isinstance(interruption, KeyboardInterrupt):
            _stop("interrupted; earlier snapshots are as they were", SIGNALLED + signal.SIGINT)
        if isinstance(interruption, TerminatedError):
            _stop("terminated; earlier snapshots are as they were", SIGNALLED + interruption.number)
        raise


def interruption_behind(error: BaseException) -> BaseException | None:
    """Give what a signal raised, where it was turned into this error; None where the error has another reason.

    A signal may come at any moment, and Python 3.11 makes a RuntimeError of whatever is raised while a class gets its attributes.
    """
    found: BaseException | None = error
    while found is not None:
        if not isinstance(found, Exception | GeneratorExit | SystemExit):
            return found
        found = found.__cause__ or found.__context__
    return None


def _run() -> int:
    try:
        _fill_descriptors()
        _expect_signals()
        if COMPLETION_VARIABLE in os.environ:
            # Late, because only a shell that completes needs it.
            from tallac.cli.completion.shells import complete

            return complete(os.environ[COMPLETION_VARIABLE])
        # Late, so that an interrupt that comes while this is imported is answered as well.
        from tallac.cli.run import run

        return run(sys.argv[1:])
    except BrokenPipeError:
        return _die_of_closed_pipe()


def _end(status: int) -> NoReturn:
    """Write what is still in buffers, and end.

    Files are closed, and threads and workers have ended, on the way here. What the interpreter would still do is to take itself
    to pieces, for a tenth of a short command's time.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = _die_of_closed_pipe()
    except OSError as error:
        say(f"tallac: standard output: it can't be written ({error.strerror}); what is shown there is cut short")
        status = FAILED
    os._exit(status)


def _stop(message: str, status: int) -> NoReturn:
    """Say one thing and end. Workers have been stopped, and files closed, on the way here."""
    # Another signal would only interrupt what is being said.
    for number in (signal.SIGINT, *_ENDINGS):
        signal.signal(number, signal.SIG_IGN)
    say(f"tallac: {message}")
    # The interpreter would wait for threads, and where the interrupt came within exec() it would answer it once more.
    os._exit(status)


def _die_of_closed_pipe() -> int:
    """End as a program does that does not catch SIGPIPE: quietly, with the status that shells expect."""
    silence(1)
    if os.name == "posix":
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    return FAILED


def _expect_signals() -> None:
    for number in _ENDINGS:
        # nohup and its like start a command that is to outlive its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise TerminatedError(number)


def _fill_descriptors() -> None:
    """Make sure that no file of ours becomes standard input, output or error, where the caller has closed one of them."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
