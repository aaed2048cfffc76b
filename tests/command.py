"""The real command, for tests: what it is told, what it sees, and what it answers."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.warm import WarmCommand

SOURCES = Path(__file__).parents[1] / "src"
COMMAND = (sys.executable, "-m", "tallac")

PATIENCE_SECONDS = 300
"""So long a test waits for what has to come. It measures nothing: a machine may be slow, and do other things meanwhile."""

# What a user's or a machine's own settings say on colours, widths and the like.
FOREIGN_VARIABLES = ("TALLAC", "LC_", "LANG", "PYTHON", "XDG_", "FORCE_COLOR", "NO_COLOR", "TTY_", "COLUMNS", "LINES")

# The long tests start each command as a user does.
CAN_BE_WARM = sys.platform == "linux" and "TALLAC_TORTURE" not in os.environ

# Root may read and write everything; without these two capabilities it obeys modes as others do.
AS_A_USER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for capability in (1, 2):
    libc.prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def clean_environment() -> dict[str, str]:
    """Return what the caller has in its environment, without its own Tallac, and with the C locale."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN_VARIABLES)}
    return kept | {"PYTHONPATH": str(SOURCES), "LC_ALL": "C"}


@functools.cache
def warm_command() -> WarmCommand:
    """Return the one process that forks commands; it ends with this one."""
    command = WarmCommand(clean_environment())
    atexit.register(command.close)
    return command


def as_normal_user(number: int) -> list[str]:
    """Give what starts a command as another user, who may read all: the interpreter and the tests may be open to root alone."""
    rights = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]
    return ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups", *rights, "--"]


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[bytes]:
        """The lines on standard output."""
        return self.out.splitlines()

    @property
    def error_lines(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()

    def summary(self, key: str) -> int:
        """A number in the summary that `--json` gives last."""
        value = json.loads(self.lines[-1])[key]
        assert isinstance(value, int)
        return value


@dataclass(frozen=True)
class Tallac:
    """Runs the real command, with a home of its own.

    Attributes:
        home: What `TALLAC_HOME` says.
        before: Another command that starts it.
        is_warm: Whether a command that a test waits for may be forked from a process that has the imports behind it, rather than
            started as a user's is; see tests/warm_server.py.
    """

    home: Path
    before: Sequence[str] = ()
    is_warm: bool = CAN_BE_WARM

    @property
    def environment(self) -> dict[str, str]:
        """What the command sees: nothing of the caller's own Tallac, and the C locale."""
        return clean_environment() | {"TALLAC_HOME": str(self.home)}

    @property
    def vault(self) -> Path:
        """The default vault."""
        return self.home / "vault"

    def __call__(
        self,
        *arguments: str | bytes | Path,
        stdin: bytes = b"",
        status: int | None = 0,
        as_user: bool = False,
        timeout: float = PATIENCE_SECONDS,
    ) -> Result:
        """Run a command and expect an exit status, None for any; with `as_user`, permissions count for root as well."""
        before = (sys.executable, "-c", AS_A_USER) if as_user else tuple(self.before)
        if self.is_warm and not before:
            ended, out, err = warm_command()(arguments, self.environment, stdin, timeout)
        else:
            finished = subprocess.run(
                [*before, *COMMAND, *arguments],
                input=stdin,
                capture_output=True,
                env=self.environment,
                check=False,
                timeout=timeout,
            )
            ended, out, err = finished.returncode, finished.stdout, finished.stderr
        result = Result(ended, out, err.decode("utf-8", "surrogateescape"))
        assert status is None or result.status == status, result
        return result

    def fails(self, *arguments: str | bytes | Path, stdin: bytes = b"", status: int = 1, as_user: bool = False) -> str:
        """Run a command that is to fail with one line, and give that line."""
        result = self(*arguments, stdin=stdin, status=status, as_user=as_user)
        assert result.out == b"", result
        assert len(result.error_lines) == 1, result
        assert result.err.startswith("tallac: "), result
        return result.err.strip()

    def onto_a_full_disk(self, *arguments: str | Path) -> list[bytes]:
        """Run a command that can't write its output and is to fail for it, and give the lines on standard error."""
        with Path("/dev/full").open("wb") as full:
            finished = subprocess.run(
                [*COMMAND, *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                env=self.environment,
                check=False,
                timeout=PATIENCE_SECONDS,
            )
        assert finished.returncode == 1
        return finished.stderr.splitlines()

    def start(self, *arguments: str | Path, own_group: bool = False) -> subprocess.Popen[bytes]:
        """Start a command that goes on by itself; in a process group of its own, all of it can be killed at once."""
        command = [*self.before, *COMMAND, *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=own_group
        )

    def processes_left(self) -> list[int]:
        """Give those processes that have this home and do not end, on Linux."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def processes(self) -> list[int]:
        """Find the processes that have this home, on Linux."""
        mark = f"TALLAC_HOME={self.home}\0".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if mark in (folder / "environ").read_bytes():
                        found.append(int(folder.name))
                except OSError:
                    continue
        return found
