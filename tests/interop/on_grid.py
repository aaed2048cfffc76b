"""The real `tallac` command, told which Tahoe-LAFS node to use."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests.command import Result, Tallac


@dataclass(frozen=True)
class OnGrid:
    """Runs `tallac --node-directory DIRECTORY`."""

    tallac: Tallac
    directory: Path

    def __call__(self, *arguments: str | bytes | Path, stdin: bytes = b"", status: int | None = 0) -> Result:
        """Run a command and expect an exit status, None for any."""
        return self.tallac("--node-directory", self.directory, *arguments, stdin=stdin, status=status)

    def fails(self, *arguments: str | Path, status: int = 1) -> str:
        """Run a command that is to fail with one line, and give that line."""
        return self.tallac.fails("--node-directory", self.directory, *arguments, status=status)

    def snapshots(self, target: str) -> list[str]:
        """Give the names of a target's snapshots, the oldest first."""
        return [json.loads(line)["snapshot"] for line in self("snapshots", "--json", target).lines]

    def await_next_name(self, target: str) -> None:
        """Wait until a snapshot of now is named after all that there are: `tahoe backup` would replace one of the same second.

        The last may be named after a second that is still to come, where two were made in one.
        """
        last = self.snapshots(target)[-1]
        while time.strftime("%Y-%m-%d_%H:%M:%SZ", time.gmtime()) <= last:
            time.sleep(0.02)

    def cap(self, place: str) -> str:
        """Give the whole read cap of what is at a place."""
        return self("cap", place).out.decode().strip()
