from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tallac.jobs.power import is_metered, is_on_battery


def supply(folder: Path, name: str, **values: str) -> None:
    """Make a power supply as Linux shows it."""
    (folder / name).mkdir(parents=True)
    for key, value in values.items():
        (folder / name / key).write_text(f"{value}\n")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS is asked in another way")
def test_a_battery_counts_only_while_it_is_used_up(tmp_path: Path) -> None:
    """A desktop, a laptop at the mains and a mouse are not on battery; a laptop without mains is."""
    assert not is_on_battery(tmp_path / "nothing")
    supply(tmp_path / "laptop", "BAT0", type="Battery", status="Discharging")
    assert is_on_battery(tmp_path / "laptop")
    supply(tmp_path / "laptop", "AC", type="Mains", online="0")
    assert is_on_battery(tmp_path / "laptop")
    (tmp_path / "laptop" / "AC" / "online").write_text("1\n")
    assert not is_on_battery(tmp_path / "laptop")
    supply(tmp_path / "full", "BAT0", type="Battery", status="Full")
    assert not is_on_battery(tmp_path / "full")
    supply(tmp_path / "desktop", "mouse", type="Battery", status="Discharging", scope="Device")
    assert not is_on_battery(tmp_path / "desktop")


@pytest.mark.skipif(os.name != "posix", reason="a program that is a script")
@pytest.mark.parametrize(("answer", "metered"), [("u 1", True), ("u 3", True), ("u 2", False), ("u 4", False), ("u 0", False)])
def test_networkmanager_is_asked(answer: str, metered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yes, and a guess at yes, count; no, a guess at no, and unknown don't."""
    program = tmp_path / "busctl"
    program.write_text(f'#!/bin/sh\necho "{answer}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    assert is_metered() is metered


def test_without_networkmanager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody knows, the connection is not metered."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_metered()
