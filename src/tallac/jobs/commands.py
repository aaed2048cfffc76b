"""Commands that a job runs: hooks, dumps, snapshots of file systems. They end in time, and nothing of them stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from tallac.errors import SourceError

KILL_SECONDS = 10
"""So long a command that has been asked to end has, before it is killed."""

TAIL_SIZE = 4000

SECRET_VARIABLES = ("TALLAC_PASSPHRASE",)


class CommandError(SourceError):
    """A command of a job could not be run, failed, or took too long."""


def run_command(
    command: str | Sequence[str],
    *,
    seconds: float | None,
    variables: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    name: str = "",
    user: str | None = None,
) -> bytes:
    """Run a command to its end.

    It has this process's environment without the passphrase, nothing on standard input, and a process group of its own, all of
    which is ended when the command takes too long, or this is interrupted.

    Args:
        command: A line for the shell, or a command with its arguments.
        seconds: How long it may take; None for any time.
        variables: What is added to its environment.
        output: Where its standard output goes; None for what is returned.
        name: What messages call it; "" for itself.
        user: Whom it runs as, in the root directory; None for this user. Only root can say so.

    Returns:
        The end of its output, standard error included.

    Raises:
        CommandError: It can't be run, failed, or took too long. The message has the last line that it printed.
    """
    shown = name or (command if isinstance(command, str) else command[0])
    environment = {key: value for key, value in os.environ.items() if key not in SECRET_VARIABLES} | dict(variables or {})
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                command,
                # A text is a line for the shell, as the user wrote it.
                shell=isinstance(command, str),
                stdin=subprocess.DEVNULL,
                stdout=output or said,
                stderr=said,
                env=environment,
                start_new_session=os.name == "posix",
                user=user,
                group=user,
                extra_groups=None if user is None else (),
                cwd=None if user is None else "/",
            )
        except OSError as error:
            raise CommandError(f"{shown}: can't be run ({error.strerror})") from error
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            raise CommandError(f"{shown}: it took longer than {seconds:g} seconds and was ended{_last_line(said)}") from None
        except BaseException:
            _end(process)
            raise
        if status < 0:
            raise CommandError(f"{shown}: it was ended by signal {-status}{_last_line(said)}")
        if status:
            raise CommandError(f"{shown}: it failed with exit status {status}{_last_line(said)}")
        return _tail(said)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and whatever it has started."""
    _signal(process, signal.SIGTERM)
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # What it has started may have outlived it.
        if sys.platform != "win32":
            _signal(process, signal.SIGKILL)
        process.kill()
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if sys.platform == "win32":
        process.terminate()
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _tail(said: IO[bytes]) -> bytes:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - TAIL_SIZE))
    return said.read()


def _last_line(said: IO[bytes]) -> str:
    lines = [line.strip() for line in _tail(said).decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {lines[-1]}" if lines else ""
