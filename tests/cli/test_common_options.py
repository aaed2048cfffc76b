"""-q, -v, --json and --no-progress, the same in every command."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from tests.command import COMMAND
from tests.terminal import run_on_terminal

from tallac.cli.group import group
from tallac.cli.table import COMMANDS

if TYPE_CHECKING:
    from tests.command import Tallac

COMMON_OPTIONS = {"--verbose", "--quiet", "--json", "--no-progress", "--vault", "--vault-key"}

# Commands whose whole purpose is what they print; the others print nothing when told to be quiet.
PRINTING = [
    ("ls", "docs/Latest"),
    ("ls", "-l", "-R", "docs/Latest"),
    ("snapshots", "docs"),
    ("list-aliases",),
    ("cap", "docs/Latest"),
    ("locator-key",),
    ("keeper-key",),
    ("find", "docs", "blah*"),
    ("history", "docs/Latest/parent/blah.txt"),
    ("diff", "tallac:docs/Latest", "{out}"),
    ("du", "docs/Latest"),
    ("stats", "docs"),
    ("recovery-kit",),
    ("completion", "bash"),
    ("man", "ls"),
]
DOING = [
    ("backup", "{source}", "tallac:docs"),
    ("check", "docs"),
    ("mkdir", "made"),
    ("put", "{source}/parent/blah.txt", "made/blah"),
    ("cp", "{source}/parent/blah.txt", "tallac:made/copy"),
    ("cp", "-r", "{source}", "tallac:made"),
    ("cp", "tallac:made/blah", "{out}/copy"),
    ("get", "--force", "docs/Latest/parent/blah.txt", "{out}/got"),
    ("ln", "docs/Latest", "made/link"),
    ("mv", "made/link", "made/moved"),
    ("rm", "made/moved"),
    ("restore", "docs/Latest", "{out}/{number}"),
    ("hold", "docs", "Latest"),
    ("release", "docs", "Latest"),
    ("tag", "docs", "Latest", "--add", "x"),
    ("forget", "docs", "--keep-last", "10"),
    ("rewrite", "docs", "--exclude", "nothing"),
    ("prune", "tallac:"),
    ("scrub", "tallac:"),
    ("repair", "tallac:"),
    ("mirror", "tallac:", "{out}/mirror"),
    ("create-alias", "alias{number}"),
]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_takes_the_common_options(name: str) -> None:
    """They can stand before the command or after it."""
    command = group.get_command(click.Context(group), name)
    for taker in (command, group):
        assert taker is not None
        assert {option for parameter in taker.params for option in parameter.opts} >= COMMON_OPTIONS


@pytest.fixture(scope="module")
def run(make_tallac: Callable[[Path], Tallac], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[bytes, str]]:
    """Give what runs one of the commands above on a target that is there."""
    folder = tmp_path_factory.mktemp("common")
    tallac = make_tallac(folder / "home")
    (folder / "source" / "parent").mkdir(parents=True)
    (folder / "source" / "parent" / "blah.txt").write_text("blah")
    (folder / "out").mkdir()
    tallac("-q", "backup", folder / "source", "tallac:docs")
    numbers = count()

    def go(options: tuple[str, ...], command: tuple[str, ...]) -> tuple[bytes, str]:
        words = [word.format(source=folder / "source", out=folder / "out", number=next(numbers)) for word in command]
        result = tallac(*options, *words)
        return result.out, result.err

    return go


def objects(out: bytes) -> list[dict[str, object]]:
    """Read JSON objects, one a line."""
    found = [json.loads(line) for line in out.splitlines()]
    assert all(isinstance(one, dict) for one in found)
    return found


@pytest.mark.slow
def test_quiet(run: Callable[..., tuple[bytes, str]]) -> None:
    """With -q, what does something says nothing, and what is asked to print something prints just that."""
    for command in DOING:
        assert run(("-q",), command) == (b"", ""), command
    for command in PRINTING:
        out, err = run(("-q",), command)
        assert out, command
        assert err == "" or err.startswith("tallac: who") or "this key" in err, command


@pytest.mark.slow
def test_json(run: Callable[..., tuple[bytes, str]]) -> None:
    """With --json, all of standard output is JSON objects, one a line, whatever the command."""
    for command in (*DOING, *PRINTING):
        out, _ = run(("--json", "--no-progress"), command)
        assert objects(out), command


@pytest.mark.slow
def test_verbose(run: Callable[..., tuple[bytes, str]]) -> None:
    """-v names what is done, and changes nothing of what a command that prints something prints."""
    for command in PRINTING:
        assert run(("-v",), command)[0] == run((), command)[0], command
    assert b"blah.txt" in run(("-v",), ("backup", "{source}", "other"))[0]
    assert b"blah.txt" in run(("-v",), ("cp", "-r", "{source}", "tallac:verbose"))[0]


def test_verbose_and_quiet(tallac: Tallac) -> None:
    """Both at once make no sense, and are said not to."""
    assert "contradict" in tallac.fails("-q", "ls", "-v", status=2)


def on_terminal(tallac: Tallac, *arguments: str | Path, **variables: str) -> bytes:
    """Run a command with standard error on a terminal, and give what the terminal gets."""
    environment = tallac.environment | {"TERM": "xterm-256color"} | variables
    status, shown = run_on_terminal([*COMMAND, *arguments], environment, stream="stderr", other=subprocess.DEVNULL)
    assert status == 0, shown
    return shown


@pytest.fixture(scope="module")
def large(make_tallac: Callable[[Path], Tallac], tmp_path_factory: pytest.TempPathFactory) -> tuple[Tallac, Path]:
    """Give a command with a file of 8 MB in its vault, and the folder that holds it."""
    folder = tmp_path_factory.mktemp("large")
    tallac = make_tallac(folder / "home")
    (folder / "source").mkdir()
    (folder / "source" / "file").write_bytes(os.urandom(8_000_000))
    tallac("-q", "create-alias", "tallac")
    tallac("-q", "put", folder / "source" / "file", "file")
    return tallac, folder / "source"


@pytest.mark.parametrize(
    "arguments",
    [("put", "file", "tallac:new"), ("cp", "file", "tallac:copy"), ("get", "tallac:file", "out"), ("get", "tallac:file")],
)
def test_progress_of_single_files(large: tuple[Tallac, Path], arguments: tuple[str, ...]) -> None:
    """put, cp and get show on a terminal how far they are, and take the line back."""
    tallac, folder = large
    words = [folder / word if word == "file" else folder.parent / word if word == "out" else word for word in arguments]
    shown = on_terminal(tallac, *words)
    assert b"of 8.00 MB" in shown
    assert b"\x1b[2K" in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "variables"), [(("--no-progress",), {}), (("-q",), {}), (("--json",), {}), ((), {"TERM": "dumb"})], ids=str
)
def test_no_progress(large: tuple[Tallac, Path], options: tuple[str, ...], variables: dict[str, str]) -> None:
    """A terminal gets no progress line where it was not wanted, or can't take it back."""
    tallac, folder = large
    assert on_terminal(tallac, *options, "backup", folder, "tallac:docs", **variables) == b""
    assert on_terminal(tallac, *options, "put", folder / "file", "other", **variables) == b""


def test_no_colors(large: tuple[Tallac, Path]) -> None:
    """With NO_COLOR there is a progress line, and no colour in it; without it there is none either."""
    tallac, folder = large
    for variables in ({"NO_COLOR": "1"}, {}):
        shown = on_terminal(tallac, "put", folder / "file", "other", **variables)
        assert not any(b"\x1b[%dm" % code in shown for code in range(1, 108))


def test_progress_for_programs(large: tuple[Tallac, Path]) -> None:
    """--no-progress leaves the objects on progress out of JSON; the summary stays."""
    tallac, folder = large
    kinds = [one["type"] for one in objects(tallac("--json", "--no-progress", "backup", folder, "json").out)]
    assert kinds == ["summary"]
