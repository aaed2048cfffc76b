"""The real `tahoe` command without its start-up time: see tahoe_server.py."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.tahoe_grid import PYTHON, TahoeResult, command_for, environment


@dataclass(frozen=True)
class QuickTahoe:
    """Runs `tahoe` commands with a node directory; called as `TahoeCommand` is."""

    directory: Path
    process: subprocess.Popen[str]

    def __call__(self, *arguments: str | Path, stdin: bytes = b"", status: int | None = 0) -> TahoeResult:
        """Run a command and expect an exit status, None for any."""
        files = {name: str(self.directory / f"quick-{name}") for name in ("stdin", "out", "err")}
        Path(files["stdin"]).write_bytes(stdin)
        task = {"arguments": ["-d", str(self.directory), *map(str, arguments)], **files}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        ended = int(self.process.stdout.readline())
        result = TahoeResult(ended, Path(files["out"]).read_bytes(), Path(files["err"]).read_text(errors="surrogateescape"))
        assert status is None or result.status == status, result
        return result


@contextmanager
def quick_tahoe(url: str, directory: Path) -> Iterator[QuickTahoe]:
    """Give the command for a gateway, with a node directory of its own."""
    command_for(url, directory)
    script = str(Path(__file__).with_name("tahoe_server.py"))
    with subprocess.Popen([PYTHON, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        yield QuickTahoe(directory, process)
