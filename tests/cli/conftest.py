from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
COMMAND = (sys.executable, "-m", "tallac")

# Root may read and write everything; without these two capabilities it obeys modes as others do.
AS_A_USER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for capability in (1, 2):
    libc.prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


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


@dataclass(frozen=True)
class Tallac:
    """Runs the real command, with a home of its own."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """What the command sees: nothing of the caller's own Tallac, and the C locale."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TALLAC", "LC_", "LANG", "PYTHON"))}
        return kept | {"TALLAC_HOME": str(self.home), "PYTHONPATH": str(SOURCES), "LC_ALL": "C"}

    def __call__(self, *arguments: str | bytes | Path, stdin: bytes = b"", status: int | None = 0, as_user: bool = False) -> Result:
        """Run a command and expect an exit status, None for any; with `as_user`, permissions count for root as well."""
        before = (sys.executable, "-c", AS_A_USER) if as_user else ()
        finished = subprocess.run(
            [*before, *COMMAND, *arguments], input=stdin, capture_output=True, env=self.environment, check=False, timeout=120
        )
        result = Result(finished.returncode, finished.stdout, finished.stderr.decode("utf-8", "surrogateescape"))
        assert status is None or result.status == status, result
        return result

    def fails(self, *arguments: str | bytes | Path, stdin: bytes = b"", status: int = 1, as_user: bool = False) -> str:
        """Run a command that is to fail with one line, and give that line."""
        result = self(*arguments, stdin=stdin, status=status, as_user=as_user)
        assert result.out == b"", result
        assert len(result.error_lines) == 1, result
        assert result.err.startswith("tallac: "), result
        return result.err.strip()

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start a command that goes on by itself."""
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="session")
def make_tallac() -> Callable[[Path], Tallac]:
    """Give the command for a home."""
    return Tallac


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
