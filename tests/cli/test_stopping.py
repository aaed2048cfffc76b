from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

COMMAND = (sys.executable, "-m", "tallac")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Give a source that takes a while."""
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}").write_bytes(os.urandom(2_000_000))
    return folder


@pytest.mark.parametrize(("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_a_stopped_backup(tallac: Tallac, source: Path, large: Path, number: int, status: int, word: str) -> None:
    """A signal to the whole process group gives one message, and no snapshot; earlier ones are whole, and the next works."""
    tallac("-q", "backup", source)
    process = subprocess.Popen(
        [*COMMAND, "backup", large],
        env=tallac.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    before = set((tallac.home / "vault").rglob("*"))
    deadline = time.monotonic() + 30
    while before.issuperset((tallac.home / "vault").rglob("*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, b"")
    assert err.decode() == f"tallac: {word}; earlier snapshots are as they were\n"
    assert len(tallac("snapshots").lines) == 2
    tallac("check", "--read-data", "tallac:")
    tallac("-q", "backup", large)


def test_a_stopped_command_at_its_start(tallac: Tallac) -> None:
    """However early the interrupt comes, the command does not answer with a traceback."""
    for delay in (0.0, 0.01, 0.03, 0.05, 0.08, 0.12, 0.16):
        process = tallac.start("list-aliases")
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        # Before main() the interpreter itself is in charge.
        assert b"in main\n" not in err, err


def test_a_stopped_get(tallac: Tallac, large: Path, tmp_path: Path) -> None:
    """An interrupted download leaves nothing behind."""
    (large / "one").write_bytes(os.urandom(60_000_000))
    tallac("-q", "backup", large)
    (tmp_path / "out").mkdir()
    process = tallac.start("get", "Latest/one", tmp_path / "out" / "one")
    deadline = time.monotonic() + 30
    while not list((tmp_path / "out").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode != 0:
        assert process.returncode == 130
        assert err.count(b"\n") == 1
        assert list((tmp_path / "out").iterdir()) == []
