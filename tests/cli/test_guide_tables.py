"""The pages for those who come from other tools: each command of ours in their tables does what it is there for."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tallac.cli.group import group

if TYPE_CHECKING:
    from tests.command import Tallac

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
PAGES = ("from-restic.md", "from-borg.md")
STAND_INS = ("/media/usb", "/media/disk")
"""Folders that the pages name and no test may write to."""


def _table(page: str, heading: str) -> list[list[str]]:
    """Give the cells of the first table below a heading, without its head."""
    section = (GUIDE / page).read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def _commands(page: str) -> list[str]:
    cells = [row[1] for row in _table(page, "Commands")]
    commands = [match for cell in cells for match in re.findall(r"`(tallac [^`]+)`", cell)]
    assert len(commands) == sum(1 for cell in cells if cell), "a cell of our commands holds something else"
    return commands


@pytest.mark.slow
def _run(tallac: Tallac, line: str) -> None:
    """Run a line of the page in the current folder: a command of ours, and perhaps a file that takes its output."""
    words = [os.path.expanduser(word) for word in shlex.split(line.removeprefix("tallac "))]
    file = Path(words.pop()) if ">" in words else None
    if words[0] in ("add-passphrase", "change-passphrase"):
        words += ["--passphrase-command", "printenv WORDS"]
    result = tallac(*(word for word in words if word != ">"))
    if file is not None:
        file.write_bytes(result.out)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_each_command_works(page: str, tallac: Tallac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page, each command in the table ends with status 0, on a small home folder."""
    home = tmp_path / "ann"
    (home / "Documents" / "Letters").mkdir(parents=True)
    for name in ("rent.txt", "old.txt", "Letters/letter.odt"):
        (home / "Documents" / name).write_text(name * 10)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WORDS", "five words drawn by lot")
    monkeypatch.chdir(home)
    snapshot = ""
    for command in _commands(page):
        if "NAME" in command and not snapshot:
            tallac("backup", home / "Documents", "usb:docs")
            snapshot = json.loads(tallac("--json", "snapshots", "usb:docs").lines[0])["snapshot"]
        line = re.sub(r"\bNAME\b", snapshot, command)
        for folder in STAND_INS:
            line = line.replace(folder, str(tmp_path / os.path.basename(folder)))
        _run(tallac, line)
    assert (home / "docs.tar").stat().st_size > 1000
    assert (home / "restored" / "rent.txt").read_text() == "rent.txt" * 10


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_whole(page: str) -> None:
    """Each row of each table has as many cells as its head."""
    for heading in ("Commands", "Options", "Words", "Exit status"):
        rows = _table(page, heading)
        assert rows, heading
        assert len({len(row) for row in rows}) == 1, heading


@pytest.mark.parametrize("page", PAGES)
def test_our_options_exist(page: str) -> None:
    """Each option of ours in the tables is one of some command."""
    context = click.Context(group)
    commands = [group, *(group.get_command(context, name) for name in group.list_commands(context))]
    known = {name for command in commands if command for parameter in command.params for name in parameter.opts}
    named = {
        option
        for heading in ("Commands", "Options")
        for row in _table(page, heading)
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", " ".join(row[1:2]))
    }
    assert named
    assert named - known == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "tool", "chosen"),
    [("from-restic.md", "restic", os.environ.get("RESTIC")), ("from-borg.md", "borg", os.environ.get("BORG"))],
)
def test_their_commands_and_options_exist(page: str, tool: str, chosen: str | None) -> None:
    """Each command and option of the other tool is known to its own help, on a machine that has it."""
    program = chosen or shutil.which(tool)
    if program is None:
        pytest.skip(f"there is no {tool} here")
    if subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.startswith("borg 2"):
        pytest.skip("the page is about Borg 1")
    commands: dict[tuple[str, ...], set[str]] = {}
    for row in _table(page, "Commands"):
        for text in re.findall(rf"`{tool} ([^`]+)`", row[0]):
            words = text.split()
            name = tuple(words[: 2 if words[0] in ("key", "repair") else 1])
            commands.setdefault(name, set()).update(re.findall(r"(?<=\s)--[a-z-]{2,}", text))
    helps = {name: _help(program, *name) for name in commands}
    missing = [(name, option) for name, options in commands.items() for option in options if option not in helps[name]]
    assert missing == []
    everything = "".join([_help(program), *helps.values()])
    options = {option for row in _table(page, "Options") for option in re.findall(r"`(--?[a-z-]+)", row[0])}
    assert {option for option in options if option not in everything} == set()


def _help(program: str, *command: str) -> str:
    finished = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, (command, finished.stderr)
    return finished.stdout
