"""The real `tahoe` command without its start-up time: see tahoe_server.py."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

SERVER = Path(__file__).with_name("tahoe_server.py")


class QuickTahoe:
    """A process that runs `tahoe` commands one after another.

    Args:
        python: The interpreter of Tahoe-LAFS's own environment.
        environment: What the commands see.
    """

    def __init__(self, python: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [python, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment)
        )
        self._lock = Lock()

    def close(self) -> None:
        """End the process."""
        with self._process as process:
            process.kill()

    def __call__(self, arguments: Sequence[str | Path], stdin: bytes, timeout: float) -> tuple[int, bytes, bytes]:
        """Run a command, and return its exit status, output and errors.

        Raises:
            TimeoutExpired: It took too long, and still runs.
        """
        with self._lock, tempfile.TemporaryDirectory() as folder:
            files = {name: Path(folder) / name for name in ("stdin", "out", "err")}
            files["stdin"].write_bytes(stdin)
            task = {"arguments": list(map(str, arguments)), **{name: str(path) for name, path in files.items()}}
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps({**task, "folder": str(Path.cwd())}) + "\n")
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(["tahoe", *map(str, arguments)], timeout)
            return int(self._process.stdout.readline()), files["out"].read_bytes(), files["err"].read_bytes()
