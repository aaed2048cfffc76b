from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
COMMAND = (sys.executable, "-m", "tallac")


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[bytes]:
        return self.out.splitlines()

    @property
    def error_lines(self) -> list[str]:
        return self.err.splitlines()


@dataclass(frozen=True)
class Tallac:
    """Runs the real command, with a home of its own."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TALLAC", "LC_", "LANG", "PYTHON"))}
        return kept | {"TALLAC_HOME": str(self.home), "PYTHONPATH": str(SOURCES), "LC_ALL": "C"}

    def __call__(self, *arguments: str | bytes | Path, stdin: bytes = b"", status: int | None = 0) -> Result:
        """Run a command and expect an exit status; None: any."""
        finished = subprocess.run(
            [*COMMAND, *arguments], input=stdin, capture_output=True, env=self.environment, check=False, timeout=120
        )
        result = Result(finished.returncode, finished.stdout, finished.stderr.decode("utf-8", "surrogateescape"))
        assert status is None or result.status == status, result
        return result

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start a command that goes on by itself."""
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def tallac(tmp_path: Path) -> Tallac:
    """Give the command, with an empty home."""
    return Tallac(tmp_path / "home")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a small source: an empty directory, and files in others."""
    folder = tmp_path / "source"
    (folder / "empty").mkdir(parents=True)
    (folder / "parent" / "subdir").mkdir(parents=True)
    (folder / "parent" / "subdir" / "foo.txt").write_text("foo")
    (folder / "parent" / "subdir" / "bar.txt").write_text("bar\n" * 1000)
    (folder / "parent" / "blah.txt").write_text("blah")
    return folder
