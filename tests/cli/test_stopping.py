from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import COMMAND, PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.command import Tallac


def wait_until_it_listens(process: subprocess.Popen[bytes]) -> None:
    """Wait until a command answers SIGTERM by itself, or has ended; before that the interpreter is in charge. On Linux."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Give a source that takes a while."""
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}").write_bytes(os.urandom(2_000_000))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "terminated")],
)
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
    while before.issuperset((tallac.home / "vault").rglob("*")) and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (status, b"")
    assert err.decode() == f"tallac: {word}; earlier snapshots are unchanged\n"
    assert len(tallac("snapshots").lines) == 2
    tallac("check", "--read-data", "tallac:")
    tallac("-q", "backup", large)


def test_a_stopped_command_at_its_start(tallac: Tallac) -> None:
    """However early the interrupt comes, the command does not answer with a traceback."""
    for delay in (0.0, 0.01, 0.03, 0.05, 0.08, 0.12, 0.16):
        process = tallac.start("list-aliases")
        # Spread over the start.
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        # Before main() the interpreter itself is in charge.
        assert not re.search(rb'main\.py", line \d+, in main\n', err), err


@pytest.mark.slow
def test_a_stopped_get(tallac: Tallac, large: Path, tmp_path: Path) -> None:
    """An interrupted download leaves nothing behind."""
    (large / "one").write_bytes(os.urandom(60_000_000))
    tallac("-q", "backup", large)
    (tmp_path / "out").mkdir()
    process = tallac.start("get", "Latest/one", tmp_path / "out" / "one")
    while not list((tmp_path / "out").iterdir()) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    if process.returncode != 0:
        assert process.returncode == 130
        assert err.count(b"\n") == 1
        assert list((tmp_path / "out").iterdir()) == []


STOPPABLE = {
    "restore": ("restore", "Latest", "{out}", "--overwrite", "always"),
    "check": ("check", "--read-data", "tallac:"),
    "prune": ("prune", "--max-unused", "0", "--session-timeout", "1s", "tallac:"),
    "put": ("put", "{source}/all", "stored"),
    "get": ("get", "--force", "Latest/all", "{out}/got"),
    "cp": ("cp", "-r", "{source}", "tallac:copied"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STOPPABLE))
def test_a_stopped_command(tallac: Tallac, source: Path, tmp_path: Path, name: str) -> None:
    """Whatever it does when SIGTERM comes, one message and no process is left; the next run carries it through."""
    (tmp_path / "out").mkdir()
    for _ in range(2):
        (source / "all").write_bytes(os.urandom(24_000_000))
        tallac("-q", "backup", source)
    if name == "prune":
        tallac("-q", "forget", "tallac:", "--keep-last", "1")
    words = [word.format(out=tmp_path / "out", source=source) for word in STOPPABLE[name]]
    stopped = 0
    # How far it is by then depends on the machine; at first it has not even looked at what it was told.
    for delay in (0, 0, 0.05, 0.1, 0.2, 0.4):
        process = tallac.start("-q", *words, own_group=True)
        wait_until_it_listens(process)
        # Spread over the run.
        time.sleep(delay)
        # It may be over by now.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert tallac.processes_left() == []
        if process.returncode == 143:
            assert (out, err) == (b"", b"tallac: terminated; earlier snapshots are unchanged\n")
            stopped += 1
        else:
            # It was done, or the interpreter was not any more in the program's hands.
            assert process.returncode in (0, -signal.SIGTERM), err
    assert stopped
    tallac("-q", *words)
    tallac("-q", "check", "--read-data", "tallac:")


def test_a_command_that_outlives_its_terminal(tallac: Tallac, source: Path) -> None:
    """What was started with nohup goes on when its terminal is closed."""
    # A process inherits what it ignores; one that had yet to say so itself would be killed before that.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = subprocess.Popen([*COMMAND, "-q", "backup", source], env=tallac.environment, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGHUP, before)
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, b"")
    assert len(tallac("snapshots").lines) == 2
