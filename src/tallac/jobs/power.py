"""Whether this machine runs on its battery, and whether its connection is metered. What can't be found out is no."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SUPPLIES = Path("/sys/class/power_supply")
_METERED = {"u 1", "u 3"}
"""NetworkManager's answers for yes and for a guess at yes."""
_SECONDS = 10


def is_on_battery(supplies: Path = SUPPLIES) -> bool:
    """Whether a battery is being used up; never on a machine that has none."""
    if sys.platform == "darwin":
        return "'Battery Power'" in _answer(["pmset", "-g", "batt"])
    kinds: dict[str, list[Path]] = {}
    for supply in _listed(supplies):
        kinds.setdefault(_read(supply / "type"), []).append(supply)
    if any(_read(supply / "online") == "1" for kind in ("Mains", "USB") for supply in kinds.get(kind, [])):
        return False
    return any(_read(supply / "status") == "Discharging" for supply in kinds.get("Battery", []) if _is_of_machine(supply))


def is_metered() -> bool:
    """Whether NetworkManager takes the connection for one that costs by volume."""
    name = "org.freedesktop.NetworkManager"
    return _answer(["busctl", "get-property", name, "/org/freedesktop/NetworkManager", name, "Metered"]).strip() in _METERED


def _is_of_machine(supply: Path) -> bool:
    """Whether a battery is the machine's, and not a mouse's."""
    return _read(supply / "scope") != "Device"


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _answer(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        finished = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return finished.stdout if finished.returncode == 0 else ""
