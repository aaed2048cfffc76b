from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.cli.table import COMMANDS

if TYPE_CHECKING:
    from tests.command import Tallac


PINNED = Path(__file__).with_name("help.txt")
PROGRAM = [sys.executable, "-m", "tests.cli.help_texts"]


def test_help_texts_are_pinned() -> None:
    """What help prints is what help.txt holds, so that every change of it is seen and read."""
    printed = subprocess.run(PROGRAM, cwd=Path(__file__).parents[2], capture_output=True, check=True, encoding="utf-8").stdout
    pinned, now = PINNED.read_text("utf-8").splitlines(), printed.splitlines()
    changes = list(difflib.unified_diff(pinned, now, "tests/cli/help.txt", "what help prints now", lineterm=""))
    advice = "The help texts have changed; `make help-texts` pins them anew, to be read and committed."
    if changes:
        pytest.fail("\n".join([advice, *changes]))


@pytest.mark.parametrize("words", [(), ("backup",)], ids=["tallac", "backup"])
def test_the_process_prints_what_is_pinned(tallac: Tallac, words: tuple[str, ...]) -> None:
    """The text that the real command prints stands in help.txt, after the command that prints it."""
    printed = tallac(*words, "--help").out.decode()
    assert f"$ tallac {' '.join((*words, '--help'))}\n{printed}" in PINNED.read_text("utf-8")


def test_every_command_is_pinned_once() -> None:
    """help.txt has a section for the program and one for each command, in the order of the table."""
    sections = [line for line in PINNED.read_text("utf-8").splitlines() if line.startswith("$ tallac ") and line.endswith("--help")]
    assert sections == ["$ tallac --help", *(f"$ tallac {name} --help" for name in COMMANDS)]
