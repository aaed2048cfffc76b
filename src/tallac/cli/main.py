"""The process: its descriptors, and the exit status that it ends with.

0 done; 1 failed, no snapshot made; 2 wrong usage; 3 snapshot made but incomplete; 129 its terminal was closed; 130 interrupted;
143 terminated.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import NoReturn

from tallac.cli.output.stderr import say, silence
from tallac.cli.signals import TerminatedError, expect_signals, ignore_signals, interruption_behind

COMPLETION_VARIABLE = "_TALLAC_COMPLETE"
"""Set by the scripts that `tallac completion` prints."""

FAILED = 1
OBJECTS_PER_COLLECTION = 50_000
"""The interpreter looks for garbage after this many new objects, not after 700: what a start defines stays to the end."""

SIGNALLED = 128
"""Shells add a signal's number to this."""


def main() -> NoReturn:
    """Run the command that the process was started with, and end with its exit status."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    try:
        _end(_run())
    except BaseException as error:
        interruption = interruption_behind(error)
        if isinstance(interruption, KeyboardInterrupt):
            _stop("interrupted; earlier snapshots are unchanged", SIGNALLED + signal.SIGINT)
        if isinstance(interruption, TerminatedError):
            _stop("terminated; earlier snapshots are unchanged", SIGNALLED + interruption.number)
        raise


def _run() -> int:
    try:
        _fill_descriptors()
        expect_signals()
        if COMPLETION_VARIABLE in os.environ:
            # lazy import: only a shell that completes needs it
            from tallac.cli.completion.shells import complete
            from tallac.cli.group import group  # lazy import: as above

            return complete(group, os.environ[COMPLETION_VARIABLE])
        # lazy import: an interrupt that comes while this is imported is answered as well
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
        say(f"tallac: standard output: can't write to it ({error.strerror}); the output is incomplete")
        status = FAILED
    os._exit(status)


def _stop(message: str, status: int) -> NoReturn:
    """Print one line and end. Workers have been stopped, and files closed, on the way here."""
    ignore_signals()
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


def _fill_descriptors() -> None:
    """Make sure that no file of ours becomes standard input, output or error, where the caller has closed one of them."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
