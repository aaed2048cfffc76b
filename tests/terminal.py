"""A terminal that shows what a command writes."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from tests.command import PATIENCE_SECONDS


class Shown(NamedTuple):
    """What a command did.

    Attributes:
        shown: All that the terminal got.
    """

    status: int
    shown: bytes


def run_on_terminal(
    command: Sequence[str | bytes | Path], environment: Mapping[str, str], *, stream: str, other: int | IO[bytes]
) -> Shown:
    """Run a command with `stdout` or `stderr` on a terminal, and the other one elsewhere.

    The terminal is read all the while: it holds a few kilobytes, and gives them in pieces of any size.
    """
    terminal, end = pty.openpty()
    outputs: dict[str, int | IO[bytes]] = {"stdout": other, "stderr": other, stream: end}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=outputs["stdout"], stderr=outputs["stderr"]
    ) as process:
        os.close(end)
        shown = b""
        while step := _read(terminal):
            shown += step
        os.close(terminal)
        return Shown(process.wait(PATIENCE_SECONDS), shown)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # That is how Linux says that nobody has the other end open.
