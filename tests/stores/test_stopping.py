"""Whatever a command waits for when it is interrupted, it ends at once: also where its store answers nothing any more."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.stores.silent_line import SilentLine

SOON_SECONDS = 30.0
"""Far below the minute for which a silent store is waited for at least; not a measure of speed."""

COMMANDS = {
    "backup": ("backup", "{source}"),
    "check": ("check", "tallac:"),
    "check data": ("check", "--read-data", "tallac:"),
    "ls": ("ls", "-R", "Latest"),
    "prune": ("prune", "--max-unused", "0", "tallac:"),
    "restore": ("restore", "Latest", "{out}", "--overwrite", "always"),
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_whose_store_fell_silent(line: SilentLine, tallac: Tallac, source: Path, tmp_path: Path, name: str) -> None:
    """However far it was when the line fell silent, it ends with one line, and nothing of it is left."""
    for number in range(2):
        for place in range(8):
            (source / f"{place}").write_bytes(os.urandom(100_000))
        tallac("-q", "backup", source)
        if number == 1:
            tallac("-q", "forget", "tallac:", "--keep-last", "1")
    words = [word.format(source=source, out=tmp_path / "out") for word in COMMANDS[name]]
    stopped = 0
    for pieces in (0, 6, 24):
        if name == "backup":
            (source / "0").write_bytes(os.urandom(9_000_000))
        line.fall_silent_after(pieces)
        process = tallac.start(*words, own_group=True)
        while not line.is_silent.wait(0.01) and process.poll() is None:
            pass
        time.sleep(0.3)  # All that it has to ask is under way, or waits.
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS / 3)
        took = time.monotonic() - sent
        line.fall_silent_after(None)
        assert tallac.processes_left() == []
        if process.returncode == 0:
            break
        assert process.returncode == 128 + signal.SIGINT
        assert err.decode().splitlines()[-1:] == ["tallac: interrupted; earlier snapshots are unchanged"]
        assert took < SOON_SECONDS
        stopped += 1
    assert stopped
    tallac("-q", "check", "tallac:")
