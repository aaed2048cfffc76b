"""The page on running it every day: its scripts, its looks and its units do what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "daily.md"
STAND_INS = ("/media/usb", "/media/disk")


def _blocks() -> list[str]:
    """Give the indented blocks of code."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return ["".join(f"{line[4:]}\n" for line in block.strip("\n").splitlines()) for block in blocks]


class Shell:
    """Runs lines of the page in a home folder of its own, where `tallac` is in the path."""

    def __init__(self, tallac: Tallac, folder: Path) -> None:
        self.home = folder / "ann"
        programs = folder / "programs"
        programs.mkdir()
        (programs / "tallac").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tallac "$@"\n')
        (programs / "tallac").chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        self._environment = tallac.environment | {"HOME": str(self.home), "PATH": path}
        self._stand_ins = {name: str(folder / os.path.basename(name)) for name in STAND_INS}

    def __call__(self, script: str) -> tuple[int, str]:
        """Run it and give the exit status and what is printed."""
        for name, folder in self._stand_ins.items():
            script = script.replace(name, folder)
        finished = subprocess.run(
            ["sh", "-c", script],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return finished.returncode, finished.stdout


@pytest.fixture
def shell(tallac: Tallac, tmp_path: Path) -> Shell:
    """Give a shell with a few documents, and a vault on another disk."""
    shell = Shell(tallac, tmp_path)
    (shell.home / "Documents").mkdir(parents=True)
    (shell.home / "Documents" / "rent.txt").write_text("rent" * 1000)
    tallac("-q", "create-alias", "usb", "--vault", tmp_path / "usb" / "vault")
    return shell


@pytest.mark.slow
@pytest.mark.slow
def test_scripts_say_nothing_when_all_is_well(shell: Shell) -> None:
    """The daily and the weekly script end with status 0 and print nothing; and so a second time."""
    daily, weekly = (block for block in _blocks() if block.startswith("#!/bin/sh"))
    for script in (daily, weekly, daily, weekly):
        assert shell(script) == (0, "")


def test_a_failure_is_noticed(shell: Shell) -> None:
    """Where there is nothing to back up, or the vault is gone, the scripts say so and fail."""
    daily, weekly = (block for block in _blocks() if block.startswith("#!/bin/sh"))
    shell("rm -r /media/usb/vault")
    for script in (daily, weekly):
        status, printed = shell(script)
        assert status == 1
        assert printed.startswith("tallac: ")


@pytest.mark.slow
@pytest.mark.slow
def test_looks_work(shell: Shell) -> None:
    """Each command of the part on what to look at ends with status 0; the alarm speaks only where there is no new snapshot."""
    lines = [line for block in _blocks() for line in block.splitlines() if line.startswith("tallac ") and "--quiet" not in line]
    assert len(lines) == 7
    alarm = next(line for line in lines if "echo" in line)
    assert shell(alarm)[1].endswith("no backup for two days\n")
    assert shell("tallac --quiet backup ~/Documents usb:docs") == (0, "")
    for line in lines:
        status, printed = shell(line)
        assert status == 0, (line, printed)
    assert shell(alarm) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_units_are_valid(tmp_path: Path) -> None:
    """What systemd knows of the units is right: no warning, and status 0."""
    service, timer = (block for block in _blocks() if block.startswith("[Unit]"))
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "tallac-daily.service").write_text(service.replace("%h/bin/tallac-daily", str(tmp_path / "script")))
    (tmp_path / "tallac-daily.timer").write_text(timer)
    verified = subprocess.run(
        ["systemd-analyze", "--user", "verify", tmp_path / "tallac-daily.service", tmp_path / "tallac-daily.timer"],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
