"""A command holds its line to what the user allows, and can be stopped while it waits."""

from __future__ import annotations

import io
import os
import pickle
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.stores.engines import Engine
from tests.stores.rough_line import Fate, rough_line

from tallac.backends.limits import LimitedBackend, Limits, SharedLimits
from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_calls import RANGE_SIZE
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.backends.sftp import SftpBackend
from tallac.backends.sftp_session import SftpSettings
from tallac.backends.traffic import STEP_SIZE
from tallac.errors import ObjectNotFoundError
from tallac.together import run_together


def test_limits_are_remembered_and_lifted(
    moto: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    tallac: Tallac,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are given once with the store, or with each command, in whose place 0 is no limit; nothing is left of them."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    url = settings_of(moto).where
    (source / "large").write_bytes(os.urandom(1_000_000))
    tallac("init", url, "--store", f"endpoint={moto.endpoint}", "--store", "limit-upload=1B", "--limit-upload", "0")
    assert '&limit-upload=1B"' in (tallac.home / "config" / "tallac.json").read_text()
    # With the limit that is remembered, a byte a second, this would take a fortnight.
    tallac("backup", source, "--limit-upload", "0", "--connections", "1")
    tallac("restore", "Latest", tmp_path / "restored", "--limit-download", "50M/s", "--connections", "2")
    assert (tmp_path / "restored" / "large").read_bytes() == (source / "large").read_bytes()
    assert list(temporary.iterdir()) == []


def test_requests_at_a_time(moto: Engine, settings_of: Callable[..., ObjectStoreSettings], tallac: Tallac, source: Path) -> None:
    """With one connection no two requests overlap, whatever processes make them, but for signs of life."""
    url = settings_of(moto).where
    for number in range(4):
        (source / str(number)).write_bytes(os.urandom(1_000_000))
    with rough_line(moto.endpoint, lambda _method, _path: Fate.PASS) as line:
        tallac("init", url, "--store", f"endpoint={line.url}")
        tallac("backup", source, "--connections", "1")
        tallac("restore", "Latest", source.parent / "restored", "--connections", "1")
        assert line.most == 1


def test_stopping_while_it_waits(
    moto: Engine, settings_of: Callable[..., ObjectStoreSettings], tallac: Tallac, source: Path
) -> None:
    """A command that would wait for days ends with one line when it is interrupted."""
    (source / "large").write_bytes(os.urandom(1_000_000))
    tallac("init", settings_of(moto).where, "--store", f"endpoint={moto.endpoint}")
    process = tallac.start("backup", source, "--limit-upload", "1B", "-v")
    assert process.stdout is not None
    process.stdout.readline()  # It is reading its source.
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert err.decode().splitlines()[-1] == "tallac: interrupted; earlier snapshots are unchanged"
    assert tallac.processes_left() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--limit-upload", "fast"), "'fast' is no rate; write bytes a second with a unit, as in 500k, 5M or 2.5M/s"),
        (("--limit-download", "500"), "'500' is no rate; write bytes a second with a unit"),
        (("--connections", "-1"), "-1 is not in the range"),
        (("--store", "limit-download=much"), "--store limit-download: 'much' is no rate; write bytes a second with a unit"),
        (("--store", "connections=many"), "--store connections=many: write a number, as in 4"),
    ],
)
def test_what_is_no_limit(tallac: Tallac, arguments: tuple[str, str], words: str) -> None:
    """Each mistake is named before anything is asked."""
    assert words in tallac("init", "s3://bucket/x", *arguments, status=2).err


class Turns:
    """A pace that lets all pass at once, and notes in which steps."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.received: list[int] = []

    def sending(self, size: int) -> float:
        """See `Pace`."""
        self.sent.append(size)
        return 0.001

    def receiving(self, size: int) -> float:
        """See `Pace`."""
        self.received.append(size)
        return 0.001


LARGE = os.urandom(1_500_000)


def test_sftp_sends_and_receives_in_steps(sftp_settings: SftpSettings) -> None:
    """Each step of what is sent and received takes its turn, packs in part and as a whole, and what is small takes one."""
    store, turns = SftpBackend(sftp_settings), Turns()
    store.keep_pace(turns)
    store.add("packs/a", io.BytesIO(LARGE), len(LARGE))
    assert sum(turns.sent) == len(LARGE)
    assert max(turns.sent) <= STEP_SIZE
    assert store.get("packs/a", 100, 1_000_100) == LARGE[100:1_000_100]
    assert 1_000_000 <= sum(turns.received) <= 1_000_000 + STEP_SIZE
    assert store.get("packs/a") == LARGE
    assert max(turns.received) <= STEP_SIZE
    turns.received.clear()
    assert store.get("packs/a", 1_400_000, 9_000_000) == LARGE[1_400_000:]
    assert sum(turns.received) <= 100_000 + 2 * STEP_SIZE


def test_an_object_store_is_received_from_in_steps(moto: Engine, store_of: Callable[..., ObjectStoreBackend]) -> None:
    """A range is asked for step by step, each in its turn; what is read whole takes one turn for all of it."""
    store, turns = store_of(moto), Turns()
    store.keep_pace(turns)
    store.add("packs/a", io.BytesIO(LARGE), len(LARGE))
    assert store.get("packs/a", 100, 1_000_100) == LARGE[100:1_000_100]
    assert sum(turns.received) == 1_000_000
    assert max(turns.received) <= RANGE_SIZE
    turns.received.clear()
    assert store.get("packs/a", 1_400_000, 9_000_000) == LARGE[1_400_000:]
    assert store.get("packs/a", 2_000_000, 3_000_000) == b""
    assert store.get("packs/a", 100, 200) == LARGE[100:200]
    assert turns.received == [*[RANGE_SIZE] * 4, 100]
    assert store.get("packs/a") == LARGE
    assert store.get("packs/a", 500_000) == LARGE[500_000:]
    assert (store.get_versioned("packs/a") or (b"",))[0] == LARGE
    assert turns.received[5:] == [1_500_000, 1_000_000, 1_500_000]
    with pytest.raises(ObjectNotFoundError):
        store.get("packs/b", 0, 1_000_000)


def test_packs_share_a_rate_step_by_step(sftp_settings: SftpSettings) -> None:
    """Of two packs that are sent at once neither is through before the other has begun, and all keep to the rate."""
    limits = SharedLimits(Limits(upload=4_000_000))
    backend = LimitedBackend(SftpBackend(sftp_settings), limits)
    began = time.monotonic()
    run_together([partial(backend.add, f"packs/{number}", io.BytesIO(LARGE), len(LARGE)) for number in range(2)], 2)
    # They can't have been faster, however busy this machine is: each has one step that goes at once.
    assert time.monotonic() - began >= (2 * len(LARGE) - 2 * STEP_SIZE) / 4_000_000
    assert pickle.loads(pickle.dumps(backend)).inner.sends_in_steps  # noqa: S301 - it was made here.
