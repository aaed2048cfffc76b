from __future__ import annotations

import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import pytest

from tallac import __version__
from tallac.cli.command import TallacCommand
from tallac.cli.group import EXAMPLES, group
from tallac.cli.table import COMMANDS, SYNONYMS

if TYPE_CHECKING:
    from tests.command import Tallac

CPU_SECONDS_MAX = 0.2
# On a machine that is slower than one of today, so many times what the interpreter takes to start and end.
STARTS_MAX = 12
TRIES = 10

Finished = TypeVar("Finished")


def commands() -> list[TallacCommand]:
    """Import all commands."""
    found = [group.get_command(click.Context(group), name) for name in COMMANDS]
    return [command for command in found if isinstance(command, TallacCommand)]


def parse(example: str) -> None:
    """Parse an example as the command would, without running it."""
    [part] = [part for part in example.partition(" > ")[0].split(" | ") if part.startswith("tallac ")]
    words = shlex.split(part)
    command = group.get_command(click.Context(group), words[1])
    assert command is not None
    command.make_context(words[1], words[2:])


def test_the_table_is_right() -> None:
    """Every command in the table is there, under its name, and begins its help with the table's words."""
    assert [command.name for command in commands()] == list(COMMANDS)
    for command in commands():
        assert command.help is not None
        assert command.help.splitlines()[0] == COMMANDS[command.name or ""][1]


def test_every_module_is_in_the_table() -> None:
    """No command is forgotten."""
    folder = Path(__file__).parents[2] / "src" / "tallac" / "cli" / "commands"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == {home.partition(":")[0] for home, _ in COMMANDS.values()}
    assert set(SYNONYMS.values()) <= set(COMMANDS)


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_every_command_has_examples(command: TallacCommand) -> None:
    """A command's help shows examples of that command, unbroken, and they can be parsed."""
    shown = command.get_help(click.Context(command, info_name=f"tallac {command.name}", terminal_width=60))
    assert command.examples
    for example in command.examples:
        assert f"tallac {command.name} " in f"{example} "
        assert example in shown
        parse(example)


def test_the_group_has_examples() -> None:
    """`tallac --help` shows examples too."""
    shown = group.get_help(click.Context(group, info_name="tallac"))
    for example in EXAMPLES:
        assert example in shown
        parse(example)


@pytest.mark.parametrize("arguments", [("--version",), ("--help",)], ids=lambda arguments: arguments[0])
def test_a_fast_start(tallac: Tallac, arguments: tuple[str, ...]) -> None:
    """Version and help answer within 0.2 s of CPU time, at least now and then: what shares the core makes it slower."""
    cold, used = replace(tallac, is_warm=False), []
    for _ in range(TRIES):
        bare, _ = cpu_seconds(lambda: subprocess.run([sys.executable, "-c", ""], check=True))
        seconds, result = cpu_seconds(lambda: cold(*arguments))
        assert result.out.startswith((f"tallac {__version__}\n".encode(), b"Usage: tallac"))
        used.append((seconds, bare))
        if seconds < max(CPU_SECONDS_MAX, STARTS_MAX * bare):
            return
    pytest.fail(f"CPU seconds of the command, and of a bare start beside it: {used}")


def cpu_seconds(run: Callable[[], Finished]) -> tuple[float, Finished]:
    """CommandContext a process to its end, and tell what CPU time it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, finished


def test_what_help_does_not_import() -> None:
    """Help loads neither ciphers nor compressors nor rich nor any command."""
    script = """
import sys
from tallac.cli.run import run
run(["--help"])
print(*sorted(sys.modules), file=sys.stderr)
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=None)
    loaded = set(finished.stderr.split())
    assert "tallac.cli.group" in loaded
    assert not loaded & {"cryptography", "zstandard", "blake3", "msgspec", "rich", "platformdirs", "sqlite3", "tallac.app"}
