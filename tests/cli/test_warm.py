"""A command that is forked from a warm process is the command that a user starts."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.command import CAN_BE_WARM

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Tallac

pytestmark = pytest.mark.skipif(not CAN_BE_WARM, reason="all commands are started as a user's here")

COMMANDS = [
    ("--version",),
    ("--help",),
    ("ls", "--frob"),
    ("ls", "Latest"),
    ("ls", "--json", "Latest/parent/subdir"),
    ("get", "Latest/parent/subdir/bar.txt"),
    ("get", "Latest/\udcff\u0456"),
    ("list-aliases",),
]


@pytest.fixture
def filled(tallac: Tallac, source: Path) -> Tallac:
    """Return a command whose vault has a snapshot, and whose output is the same each time."""
    tallac("-q", "backup", source)
    return tallac


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments).encode("ascii", "replace").decode())
def test_the_same_answers(filled: Tallac, arguments: tuple[str, ...]) -> None:
    """Status, output and errors are those of a command that is started as a user's is."""
    assert replace(filled, is_warm=False)(*arguments, status=None) == filled(*arguments, status=None)


def test_standard_input_and_output(tallac: Tallac) -> None:
    """Content goes in and comes out byte for byte, also where it is larger than a pipe."""
    content = os.urandom(3_000_000)
    tallac("create-alias", "tallac")
    tallac("-q", "put", "-", "tallac:content", stdin=content)
    assert tallac("get", "tallac:content").out == content


def test_what_the_caller_sets(tallac: Tallac, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Working directory, mode mask and environment are those of the caller at that moment."""
    tallac("-q", "backup", source)
    monkeypatch.chdir(source.parent)
    monkeypatch.setenv("XYZZY", "plugh")
    umask = os.umask(0o077)
    try:
        tallac("get", "Latest/parent/blah.txt", "here")
        command = ("--stdin-from-command", "--stdin-name", "said", "--", "printenv", "XYZZY")
        tallac("-q", "backup", "tallac:said", *command)
    finally:
        os.umask(umask)
    assert (source.parent / "here").read_text() == "blah"
    assert (source.parent / "here").stat().st_mode & 0o777 == 0o600
    assert tallac("get", "tallac:said/Latest/said").out == b"plugh\n"


def test_patience_ends(tallac: Tallac) -> None:
    """A command that takes too long is killed."""
    tallac("create-alias", "tallac")
    with pytest.raises(subprocess.TimeoutExpired):
        tallac("serve", "--port", "0", timeout=0.5)
