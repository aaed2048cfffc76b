"""Backups into an object store that are killed at any moment: what was acknowledged restores, and the next one works."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.stores.engines import Engine
from tests.stores.snapshots import assert_whole
from tests.torture import SCALE

from tallac.backends.object_store_settings import ObjectStoreSettings

KILLS = 5
KILLS_LONG = 200 * SCALE


def change(source: Path, chance: random.Random) -> dict[str, bytes]:
    """Write some files anew, and return all of them."""
    for number in chance.sample(range(300), 100):
        (source / f"{number}").write_bytes(chance.randbytes(chance.randrange(20_000)))
    return {path.name: path.read_bytes() for path in source.iterdir()}


@pytest.mark.parametrize("kills", [KILLS, pytest.param(KILLS_LONG, marks=pytest.mark.torture)])
def test_killed_backups(
    moto: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    make_tallac: Callable[[Path], Tallac],
    tmp_path: Path,
    chance: random.Random,
    kills: int,
) -> None:
    """At whichever moment a run is killed: all snapshots that are listed are whole, and the next run needs no repair."""
    tallac = make_tallac(tmp_path / "home")
    source = tmp_path / "source"
    source.mkdir()
    tallac("-q", "init", settings_of(moto).where, "--store", f"endpoint={moto.endpoint}")
    expected = [change(source, chance)]
    started = time.monotonic()
    tallac("-q", "backup", source)
    seconds = time.monotonic() - started
    for number in range(kills):
        possible = change(source, chance)
        process = tallac.start("-q", "backup", source, own_group=True)
        # Spread over the run, and a bit longer: what happens at its end matters most.
        time.sleep(seconds * 1.1 * (number + chance.random()) / kills)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_SECONDS)
        listed = tallac("ls", "Archives").lines
        assert len(listed) - len(expected) in {0, 1}
        if len(listed) > len(expected):
            expected.append(possible)
        expected.append(change(source, chance))
        tallac("-q", "backup", source)
    assert_whole(tallac, expected, tmp_path / "out")
    tallac("-q", "prune", "--max-unused", "0")
    tallac("-q", "check", "--read-data", "tallac:")
    assert not list((tallac.home / "state").glob("parts/*"))
