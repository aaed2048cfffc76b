"""A command holds its line to what the user allows, and can be stopped while it waits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.stores.engines import Engine
from tests.stores.rough_line import Fate, rough_line

from tallac.backends.object_store_settings import ObjectStoreSettings


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
