"""From `sys.argv` to an exit status: what stops a command, and what is said about it.

0 done; 1 failed, nothing entered; 2 wrong usage; 3 snapshot made but incomplete; 130 interrupted; 143 terminated.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from tallac.cli.group import group
from tallac.cli.messages import say, silence
from tallac.errors import TallacError, UsageError

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class TerminatedError(BaseException):
    """The process was asked to end. Not an Exception: nothing but `main` is to catch it."""


def main() -> int:
    """Run the command that the process was started with, and give its exit status."""
    _fill_descriptors()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return _stopped("interrupted; earlier snapshots are as they were", INTERRUPTED)
    except TerminatedError:
        return _stopped("terminated; earlier snapshots are as they were", TERMINATED)
    except BrokenPipeError:
        return _die_of_closed_pipe()


def run(arguments: Sequence[str]) -> int:
    """Run a command, say in one line what went wrong, and give the exit status.

    Raises:
        BrokenPipeError: Nobody reads the output any more.
    """
    try:
        # click's own main() would answer interrupts and closed pipes in its own way.
        with group.make_context("tallac", list(arguments)) as context:
            return group.invoke(context) or 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except UsageError as error:
        return _failed(str(error), WRONG_USAGE)
    except TallacError as error:
        return _failed(str(error), FAILED)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "output" if error.filename is None else os.fsdecode(error.filename)
        return _failed(f"{where}: {error.strerror or error}", FAILED)
    except Exception as error:  # noqa: BLE001 - the user is told in one line; the whole story is one variable away.
        return _failed(f"unexpected {type(error).__name__}; set TALLAC_DEBUG=1 to see where, and please report it", FAILED)


def _failed(message: str, status: int) -> int:
    if os.environ.get("TALLAC_DEBUG"):
        traceback.print_exc()
    say(f"tallac: {message}")
    # What could not be written is still in the buffer; the interpreter would try again, and complain.
    try:
        sys.stdout.flush()
    except OSError:
        silence(1)
    return status


def _stopped(message: str, status: int) -> int:
    # A second Ctrl-C would only interrupt what is being said.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _failed(message, status)


def _die_of_closed_pipe() -> int:
    """End as a program does that does not catch SIGPIPE: quietly, with the status that shells expect."""
    silence(1)
    if os.name == "posix":
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    return FAILED


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise TerminatedError


def _fill_descriptors() -> None:
    """Make sure that no file of ours becomes standard input, output or error, where the caller has closed one of them."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
