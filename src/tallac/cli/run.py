"""From arguments to an exit status: which command it is, and one line about what went wrong."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Sequence

import click

from tallac.cli.group import group
from tallac.cli.output.stderr import say, say_lines, silence
from tallac.cli.signals import interruption_behind
from tallac.errors import TallacError, UsageError

FAILED = 1
WRONG_USAGE = 2


def run(arguments: Sequence[str]) -> int:
    """Run a command, say in one line what went wrong, and give the exit status.

    Raises:
        BrokenPipeError: Nobody reads the output any more.
        KeyboardInterrupt: The user had enough.
    """
    threading.excepthook = _tell_of_thread
    sys.unraisablehook = _tell_of_unraisable
    try:
        # click's own main() would answer interrupts and closed pipes in its own way.
        with group.make_context("tallac", list(arguments)) as context:
            return group.invoke(context) or 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        say_lines(said.getvalue())
        return error.exit_code
    except UsageError as error:
        return _failed(str(error), WRONG_USAGE)
    except TallacError as error:
        return _failed(str(error), FAILED)
    except BrokenPipeError:
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError) and _is_folder_deleted():
            return _failed("the folder that this was started in has been deleted: change to another one", FAILED)
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return _failed(f"{where}{error.strerror or error}; set TALLAC_DEBUG=1 to see where", FAILED)
    except Exception as error:  # noqa: BLE001 - the user is told in one line; the whole story is one variable away.
        if (interruption := interruption_behind(error)) is not None:
            raise interruption from None
        return _failed(f"unexpected {type(error).__name__}; set TALLAC_DEBUG=1 to see where, and please report it", FAILED)


def _is_folder_deleted() -> bool:
    """Whether the current folder has been deleted, so that no relative path leads anywhere."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _tell_of_thread(found: threading.ExceptHookArgs) -> None:
    """Report an error that ended a thread, as the interpreter does, without secrets that the error may name."""
    import traceback  # lazy import: few commands meet with this

    say_lines("".join(traceback.format_exception(found.exc_type, found.exc_value, found.exc_traceback)))


def _tell_of_unraisable(found: sys.UnraisableHookArgs) -> None:
    """Report an error that could not be raised, likewise."""
    import traceback  # lazy import: few commands meet with this

    say_lines("".join(traceback.format_exception(found.exc_type, found.exc_value, found.exc_traceback)))


def _failed(message: str, status: int) -> int:
    if os.environ.get("TALLAC_DEBUG"):
        import traceback  # lazy import: few want to see this

        say_lines(traceback.format_exc())
    say(f"tallac: {message}")
    # What could not be written is still in the buffer; the interpreter would try again, and complain.
    try:
        sys.stdout.flush()
    except OSError:
        silence(1)
    return status
