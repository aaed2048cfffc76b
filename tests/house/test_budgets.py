"""What a start loads and what a backup asks for: figures that are the same on any machine, where times are not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.interop.gateway import serving
from tests.ticks import AHEAD_NS

from tallac.backends.memory import MemoryBackend
from tallac.backup import BackupSummary
from tallac.backup.request import BackupRequest
from tallac.backup.run import back_up
from tallac.caps import MutableDirectoryWrite
from tallac.sourcedb import SourceDatabase
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import noise
from tallac.vault.vault import create_vault, open_vault

# Each of these takes milliseconds to load.
HEAVY = {"asyncio", "cryptography", "keyring", "pyfastcdc", "rich", "segno", "sqlite3", "starlette", "uvicorn", "zstandard"}

SCRIPT = "import sys; from tallac.cli.run import run; status = run(sys.argv[1:]); print(*sys.modules); sys.exit(status)"


def loaded_by(tallac: Tallac, *arguments: str | Path) -> set[str]:
    """Run a command as a user does, and return the names of all modules that it loaded."""
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env=tallac.environment | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.splitlines()[-1].split())


def assert_within(loaded: set[str], *, modules_max: int, libraries: set[str]) -> None:
    """Assert that no more modules of Tallac are loaded, and no other libraries, of those that cost a start something."""
    ours = {name for name in loaded if name.split(".")[0] == "tallac"}
    assert len(ours) <= modules_max, sorted(ours)
    assert {name for name in loaded if "." not in name} & HEAVY == libraries


@pytest.fixture
def backed_up(tallac: Tallac, source: Path) -> Tallac:
    """Return a machine whose vault has one snapshot."""
    tallac("-q", "backup", source)
    return tallac


def test_what_version_loads(tallac: Tallac) -> None:
    """`--version` loads the table of commands and click, and nothing else of weight."""
    assert_within(loaded_by(tallac, "--version"), modules_max=14, libraries=set())


def test_what_a_listing_loads(backed_up: Tallac) -> None:
    """`ls` on a vault loads what reads it."""
    loaded = loaded_by(backed_up, "ls", "Latest")
    assert_within(loaded, modules_max=130, libraries={"cryptography", "zstandard"})
    assert "tallac.backup.walk" not in loaded


def test_what_a_backup_loads(backed_up: Tallac, source: Path) -> None:
    """`backup` to a vault loads no code that restores, prunes or serves."""
    loaded = loaded_by(backed_up, "-q", "backup", source)
    assert_within(loaded, modules_max=190, libraries={"cryptography", "zstandard", "pyfastcdc", "sqlite3"})
    assert not {name for name in loaded if name.startswith(("tallac.restore.", "tallac.gateway.", "tallac.vault.prune."))}


@pytest.mark.slow
def test_what_commands_on_a_node_load(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """What goes through a gateway needs no ciphers and no vault, and half the modules."""
    client = Tallac(tmp_path / "client")
    with serving(backed_up) as gateway:
        client("create-alias", "node", "--node-url", gateway.url)
        assert_within(loaded_by(client, "-q", "backup", source, "node:docs"), modules_max=150, libraries={"sqlite3"})
        assert_within(loaded_by(client, "ls", "node:docs/Latest"), modules_max=110, libraries={"sqlite3"})


def test_requests_of_an_unchanged_backup(tmp_path: Path, source: Path) -> None:
    """A backup that finds nothing new asks the store for 14 things, however much there is."""
    backend = RecordingBackend(MemoryBackend())
    key = create_vault(backend, randomness=SeededRandomness(1))
    with open_vault(backend, key, state=tmp_path / "state", randomness=SeededRandomness(2)) as vault:
        target = vault.create_directory()
    assert isinstance(target, MutableDirectoryWrite)
    for number in range(300):
        (source / f"{number}").write_bytes(noise(number, 2_000))
    request = BackupRequest(target, (b"docs",), os.fsencode(source), workers=0)
    clock = FakeClock(time.time_ns() + AHEAD_NS)

    def run(seed: int) -> BackupSummary:
        clock.advance(60)
        vault = open_vault(backend, key, state=tmp_path / "state", randomness=SeededRandomness(seed))
        with vault, SourceDatabase(tmp_path / "source.db", pytest.fail) as database:
            return back_up(vault, request, database, clock)

    run(3)
    earlier = len(backend.events)
    summary = run(4)
    assert (summary.files.unchanged, summary.bytes_stored) == (303, 0)
    asked = Counter(f"{event.operation} {event.name.partition('/')[0]}" for event in backend.events[earlier:])
    assert asked == {
        "get header": 1,
        "get registers": 4,
        "get slots": 4,
        "list packs": 1,
        "put sessions": 2,
        "put slots": 2,
        "delete sessions": 1,
    }
