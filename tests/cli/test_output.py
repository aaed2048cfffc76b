from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import COMMAND, PATIENCE_SECONDS
from tests.terminal import run_on_terminal

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow

ESCAPES = b"\x1b[31mred\n\xff"


@pytest.fixture(scope="module")
def filled(make_tallac: Callable[[Path], Tallac], tmp_path_factory: pytest.TempPathFactory) -> Tallac:
    """Give a command whose default directory holds many entries, one of them with an odd name."""
    tallac = make_tallac(tmp_path_factory.mktemp("filled"))
    tallac("-q", "create-alias", "tallac")
    folder = tallac.home / "many"
    folder.mkdir(parents=True)
    for number in range(1000):
        (folder / f"file {number} {'x' * 100}").touch()
    tallac("-q", "backup", folder)
    tallac("put", "-", b"tallac:" + ESCAPES, stdin=b"content")
    tallac("mkdir", "sub")
    tallac("put", "-", "sub/file", stdin=b"content")
    return tallac


def test_a_closed_pipe(filled: Tallac) -> None:
    """A reader that goes away ends the command quietly, as it ends others."""
    with filled.start("ls", "-R", "tallac:") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == -signal.SIGPIPE


@pytest.mark.parametrize(
    "arguments", [("ls", "-R"), ("--help",), ("--version",), ("ls", "--help"), ("list-aliases",), ("get", "sub/file")]
)
def test_a_full_output(filled: Tallac, arguments: tuple[str, ...]) -> None:
    """Output that can't be written is one line on standard error, and a failure."""
    (line,) = filled.onto_a_full_disk(*arguments)
    assert b"No space left on device" in line


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(tallac: Tallac, source: Path, closed: str) -> None:
    """Without standard input, output or error, a backup is made all the same, and nothing is written into the wrong file."""
    script = f'"$@" {closed}'
    finished = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "backup", source, "tallac:closed"],
        capture_output=True,
        env=tallac.environment,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert finished.returncode == 0, finished
    assert len(tallac("snapshots", "tallac:closed").lines) == 2
    tallac("check", "--read-data", "tallac:")


def test_names_in_a_pipe(filled: Tallac) -> None:
    """Whatever is no terminal gets names as they are, in any locale."""
    assert filled("ls").out == ESCAPES + b"\nArchives\nLatest\nsub\n"
    assert filled("ls", "-0").out == ESCAPES + b"\0Archives\0Latest\0sub\0"
    assert ESCAPES in filled("ls", "-l").out


def test_names_on_a_terminal(filled: Tallac) -> None:
    """A terminal gets no control characters from names."""
    status, shown = run_on_terminal([*COMMAND, "ls"], filled.environment, stream="stdout", other=subprocess.DEVNULL)
    assert status == 0
    assert shown.splitlines() == [b"\\x1b[31mred\\n\\xff", b"Archives", b"Latest", b"sub"]


def test_names_in_messages(filled: Tallac) -> None:
    """A message gets no control characters from names, and stays one line."""
    message = filled.fails("get", b"tallac:nowhere/" + ESCAPES)
    assert "\x1b" not in message
    assert filled.fails("ls", b"tallac:Latest/" + ESCAPES).endswith(r"\x1b[31mred\n\xff: no such entry")
    assert filled.fails("restore", "tallac:nowhere", ESCAPES).isprintable()


def test_a_progress_line(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A terminal shows how far it is, and the line is gone in the end; a pipe gets none."""
    environment = tallac.environment | {"TERM": "xterm"}
    with (tmp_path / "printed").open("wb") as printed:
        status, shown = run_on_terminal([*COMMAND, "backup", source, "new"], environment, stream="stderr", other=printed)
    assert status == 0
    assert b"\x1b[2K" in shown
    assert b"\x1b" not in (tmp_path / "printed").read_bytes()
    assert tallac("backup", source, "new").err == ""


def test_a_long_listing(tallac: Tallac, source: Path) -> None:
    """-l shows type, rights, size and time; -R the path from where one looks."""
    (source / "parent" / "blah.txt").chmod(0o640)
    os.utime(source / "parent" / "blah.txt", (0, 1_000_000_000))
    (source / "link").symlink_to("parent")
    tallac("-q", "backup", source, "tallac:docs")
    lines = [line.decode() for line in tallac("ls", "-l", "-R", "docs/Latest").lines]
    [blah] = [line for line in lines if line.endswith("  parent/blah.txt")]
    assert blah.split()[:3] == ["-rw-r-----", "4", "B"]
    assert "2001-09-0" in blah
    [link] = [line for line in lines if "link" in line]
    assert (link[0], link[-14:]) == ("l", "link -> parent")
    record = json.loads(tallac("ls", "--json", "docs/Latest/parent/blah.txt").out)
    assert (record["name"], record["type"], record["size"], record["mode"]) == ("blah.txt", "regular", 4, 0o100640)


def test_options_before_and_after(filled: Tallac) -> None:
    """The common options mean the same before the command and after it."""
    assert filled("--json", "ls").out == filled("ls", "--json").out
    assert filled("--vault", filled.home / "vault", "ls").out == filled("ls", "--vault", filled.home / "vault").out
