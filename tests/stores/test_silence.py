"""What a command says of a store that falls silent: one line for all of its processes, soon, with or without a terminal."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from subprocess import Popen
from typing import IO

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.stores.conftest import StoreOnLine
from tests.stores.rough_line import wait_until
from tests.stores.silent_line import SilentLine

SOON_SECONDS = 25.0
"""Below what a large object takes to fail, and below the minute after which all else does; not a measure of speed."""

FILES = 8


class Lines:
    """The lines of a stream, as they come."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.lines.append(line.decode().rstrip())

    def end(self) -> list[str]:
        """Wait for the end, and give all of them."""
        self._thread.join(PATIENCE_SECONDS)
        return self.lines


def end(process: Popen[bytes], errors: Lines) -> list[str]:
    """Interrupt a command, and give what it has said up to then."""
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGINT
    said = errors.end()
    assert said[-1] == "tallac: interrupted; earlier snapshots are unchanged"
    return said[:-1]


@pytest.mark.parametrize("option", ["", "-q", "--json"])
def test_a_backup_whose_store_falls_silent_while_packs_are_sent(
    line: SilentLine, tallac: Tallac, tmp_path: Path, option: str
) -> None:
    """It says so once for all of its processes and threads; with options that ask for little as well."""
    source = tmp_path / "large"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number}").write_bytes(os.urandom(12_000_000))
    tallac("-q", "backup", tmp_path / "large" / "0")
    line.fall_silent_after(300)
    process = tallac.start(*filter(None, (option,)), "backup", source, own_group=True)
    assert process.stderr is not None
    assert process.stdout is not None
    errors, out = Lines(process.stderr), Lines(process.stdout)
    assert line.is_silent.wait(PATIENCE_SECONDS)
    wait_until(lambda: bool(errors.lines), SOON_SECONDS)
    time.sleep(6)  # Whoever else would say it does so by now.
    said = end(process, errors)
    assert len(said) == 1
    assert said[0].startswith("tallac: waiting for the store: ")
    assert "nothing has come for 5 seconds" in said[0]
    records = out.end()
    assert all(isinstance(json.loads(record), dict) for record in records) if option == "--json" else not records


@pytest.mark.parametrize("command", ["copy-vault", "move-vault"])
@pytest.mark.parametrize("is_target", [True, False])
def test_a_copy_whose_store_falls_silent(
    store_on_line: StoreOnLine, tallac: Tallac, tmp_path: Path, command: str, is_target: bool
) -> None:
    """Whether it is copied from or into, a silent store is mentioned once, without a terminal."""
    line, url, options = store_on_line
    source = tmp_path / "large"
    source.mkdir()
    for number in range(4):
        (source / f"{number}").write_bytes(os.urandom(12_000_000))
    tallac("init", *(() if is_target else (url, *options)))
    tallac("-q", "backup", source)
    line.fall_silent_after(300 if is_target else 40)
    where = (url, *options) if is_target else (tmp_path / "copy",)
    process = tallac.start(command, "tallac:", *where, own_group=True)
    assert process.stderr is not None
    assert process.stdout is not None
    errors, out = Lines(process.stderr), Lines(process.stdout)
    assert line.is_silent.wait(PATIENCE_SECONDS)
    wait_until(lambda: bool(errors.lines), SOON_SECONDS)
    time.sleep(6)  # As above.
    said = end(process, errors)
    assert len(said) == 1
    assert "nothing has come for 5 seconds" in said[0]
    assert out.end() == []


def test_a_line_that_is_held_to_a_low_rate_is_no_silence(line: SilentLine, tallac: Tallac, tmp_path: Path) -> None:
    """What a command waits for on purpose, longer than a silence may last, is not said of the store."""
    assert not line.is_silent.is_set()
    source = tmp_path / "source"
    source.mkdir()
    (source / "random").write_bytes(os.urandom(600_000))
    tallac("-q", "backup", source)
    result = tallac("restore", "--limit-download", "40K/s", "Latest", tmp_path / "out")
    assert result.err == ""
