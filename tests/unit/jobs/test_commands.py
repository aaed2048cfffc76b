from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tallac.jobs.commands import TAIL_SIZE, CommandError, run_command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shell lines are POSIX ones")


def test_lines_and_lists(tmp_path: Path) -> None:
    """A text goes through the shell, and a list does not."""
    assert run_command("echo $HOME | tr a-z A-Z; echo $EXTRA >&2", seconds=None, variables={"EXTRA": "more", "HOME": "home"}) == (
        b"HOME\nmore\n"
    )
    assert run_command(["echo", "$HOME | cat", "; false"], seconds=60) == b"$HOME | cat ; false\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo first; echo 'the last\tword' >&2; exit 3", "it failed with exit status 3: the last\tword"),
        ("exit 1", "exit 1: it failed with exit status 1"),
        ("kill -9 $$", "it was ended by signal 9"),
        (["/nonsense/program"], "/nonsense/program: can't be run (No such file or directory)"),
    ],
)
def test_what_goes_wrong(command: str | list[str], message: str) -> None:
    """The message has the command, how it ended, and the last that it said."""
    with pytest.raises(CommandError) as raised:
        run_command(command, seconds=60)
    assert message in str(raised.value)


def test_it_reads_nothing_and_says_much(tmp_path: Path) -> None:
    """Standard input is empty; of much output the end is kept; output may go to a file."""
    assert run_command("cat", seconds=60) == b""
    assert run_command([sys.executable, "-c", f"print('x' * {3 * TAIL_SIZE})"], seconds=60) == b"x" * (TAIL_SIZE - 1) + b"\n"
    with (tmp_path / "file").open("wb") as output:
        assert run_command("echo out; echo err >&2", seconds=60, output=output) == b"err\n"
    assert (tmp_path / "file").read_bytes() == b"out\n"


def test_a_command_that_ignores_being_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed."""
    monkeypatch.setattr("tallac.jobs.commands.KILL_SECONDS", 0.1)
    with pytest.raises(CommandError, match=r"it took longer than 0\.5 seconds and was ended"):
        run_command("trap '' TERM; while :; do sleep 1; done", seconds=0.5)
