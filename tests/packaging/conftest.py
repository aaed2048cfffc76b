"""What is handed out: built by the commands that a release uses, and tried where nothing else of the clone is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / ".release-venv"

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PATIENCE_SECONDS = 1500
"""So long a build may take on a machine that does other things meanwhile."""


def lacks(reason: str) -> None:
    """Skip a test for what this machine lacks; CI has it, so there the test fails."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run(*command: str | Path, **changes: str) -> str:
    """Run a command in the clone and give what it printed; its last lines tell why it failed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TALLAC"))} | changes
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def release() -> Path:
    """Give the folder with the release's tools."""
    if not (RELEASE / "tallac-release.stamp").is_file():
        lacks("there are no release tools: `make release-setup` installs them")
    return RELEASE / "bin"
