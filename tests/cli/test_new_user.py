"""What a new user's machine may have in store: no home, a strange clock or locale, limits, a disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from tests.command import COMMAND, PATIENCE_SECONDS, as_normal_user

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow

Variables = Mapping[str, str | None]
AS_IT_IS: Variables = MappingProxyType({})
YEAR_SECONDS = 365.2425 * 86400

# The command, on a machine whose clock stands at so many seconds after 1970.
AT_ANOTHER_TIME = """
import sys, time
off = int(sys.argv.pop(1)) - int(time.time())
real_ns, real = time.time_ns, time.time
time.time_ns = lambda: real_ns() + off * 10**9
time.time = lambda: real() + off
from tallac.cli import main
main()
"""

# The command, under a limit on the size of files.
WITH_SMALL_FILES = """
import os, resource, sys
size = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
os.execv(sys.executable, [sys.executable, "-m", "tallac", *sys.argv[1:]])
"""


def run(
    tallac: Tallac,
    *arguments: str | Path,
    before: tuple[str, ...] = COMMAND,
    variables: Mapping[str, str | None] = MappingProxyType({}),
) -> subprocess.CompletedProcess[bytes]:
    """Run the command with some variables set, or for None not set."""
    changed = {**tallac.environment, **variables}
    environment = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run([*before, *arguments], env=environment, capture_output=True, check=False, timeout=PATIENCE_SECONDS)


def only_line(finished: subprocess.CompletedProcess[bytes], status: int = 1) -> str:
    """Give the one line that says what is wrong."""
    assert finished.returncode == status, finished
    [line] = finished.stderr.decode("utf-8", "surrogateescape").splitlines()
    assert line.startswith("tallac: ")
    return line


def test_no_home(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Who has no home folder is told which variables to set; the platform's own folders are used where HOME alone is set."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody without a home")
    as_nobody = (*as_normal_user(54_321), *COMMAND)
    unset = {"HOME": None, "TALLAC_HOME": None, "XDG_CONFIG_HOME": None}
    assert "set HOME, or TALLAC_HOME" in only_line(run(tallac, "ls", before=as_nobody, variables=unset))
    finished = run(tallac, "-q", "backup", source, variables={"HOME": str(tmp_path / "new"), "TALLAC_HOME": None})
    assert finished.returncode == 0, finished
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [".config", ".local"]


def test_a_home_that_is_none(tallac: Tallac, source: Path) -> None:
    """A TALLAC_HOME that can't be a folder is named, together with the variable."""
    for home in ("/proc/nowhere", "/dev/null"):
        for command in (("backup", source), ("create-alias", "x")):
            line = only_line(run(tallac, *command, variables={"TALLAC_HOME": home}))
            assert home in line
            assert "TALLAC_HOME" in line


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=str)
def test_a_plain_locale(tallac: Tallac, source: Path, locale: dict[str, str]) -> None:
    """Names of any kind are backed up, named and restored where the locale knows only ASCII."""
    name = "ünï 日本".encode()
    Path(os.fsdecode(os.fsencode(source) + b"/" + name)).write_text("x")
    Path(os.fsdecode(os.fsencode(source) + b"/\xff")).write_text("x")
    assert run(tallac, "backup", "-v", source, variables=locale).returncode == 0
    listed = run(tallac, "ls", "Latest", variables=locale).stdout
    assert name in listed
    assert b"\xff\n" in listed
    line = only_line(run(tallac, "ls", "Latest/ü", variables=locale))
    assert line.endswith(": no such entry")


@pytest.mark.slow
@pytest.mark.parametrize("year", [1966, 1971, 2025, 2126, 2261, 2266])
def test_a_clock_that_is_off(tallac: Tallac, source: Path, tmp_path: Path, year: int) -> None:
    """Whatever year a machine believes in, its snapshots are made or refused with a reason; earlier ones are whole."""
    tallac("-q", "backup", source)
    (source / "new").write_text("new")
    before = (sys.executable, "-c", AT_ANOTHER_TIME, str(round((year - 1970) * YEAR_SECONDS)))
    finished = run(tallac, "-q", "backup", source, before=before)
    # What counts nanoseconds in 64 bits ends in April 2262.
    if 1970 < year < 2262:
        assert (finished.returncode, finished.stderr) == (0, b"")
        assert len(tallac("ls", "Archives").lines) == 2
        assert tallac("get", "Latest/new").out == b"new"
    else:
        assert "clock" in only_line(finished)
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "backup", source)
    tallac("-q", "restore", "Latest", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 100_000, 20_000_000])
def test_a_limit_on_files(tallac: Tallac, source: Path, size: int) -> None:
    """A limit on the size of files is an error that names a place or the limit; what is there stays whole."""
    tallac("-q", "backup", source)
    (source / "large").write_bytes(os.urandom(40_000_000))
    before = (sys.executable, "-c", WITH_SMALL_FILES, str(size))
    for command in (("backup", source), ("put", source / "large", "large")):
        # Python would cut the compiled form of what it has not imported before, and fail on that ever after.
        finished = run(tallac, *command, before=before, variables={"PYTHONDONTWRITEBYTECODE": "1"})
        assert b"Traceback" not in finished.stderr
        assert b"unexpected" not in finished.stderr
        if finished.returncode:
            assert "too large" in only_line(finished) or "ulimit" in only_line(finished)
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "backup", source)


def test_an_option_that_is_empty(tallac: Tallac) -> None:
    """An empty folder, as from a variable that is not set, is no leave to use the default vault."""
    assert "--vault needs a folder" in tallac.fails("create-alias", "x", "--vault", "", status=2)
    assert not tallac.vault.exists()


def test_a_place_that_only_root_sees(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A file that can't be written is named, wherever the permission is missing."""
    tallac("-q", "backup", source)
    (tmp_path / "locked").mkdir(mode=0)
    line = tallac.fails("get", "Latest/parent/blah.txt", tmp_path / "locked" / "file", as_user=True)
    assert line == f"tallac: {tmp_path}/locked/file: can't write there (Permission denied)"


@pytest.mark.parametrize("arguments", [("man",), ("completion", "bash"), ("recovery-kit",), ("snapshots",)], ids=" ".join)
def test_an_output_that_is_full(tallac: Tallac, source: Path, arguments: tuple[str, ...]) -> None:
    """Whatever can't be printed is a failure, and one line says so."""
    tallac("-q", "backup", source)
    assert tallac.onto_a_full_disk(*arguments)[-1] == b"tallac: can't write to standard output: No space left on device"
