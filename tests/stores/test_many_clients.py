"""Several machines that back up into one vault on Ceph at once, with a prune between: contention costs retries, not failures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.command import PATIENCE_SECONDS, Tallac
from tests.stores.engines import Engine

from tallac.backends.object_store_settings import ObjectStoreSettings

CLIENTS = 6
ROUNDS = 2


def test_many_clients_at_once(
    ceph: Engine, settings_of: Callable[..., ObjectStoreSettings], tallac: Tallac, tmp_path: Path
) -> None:
    """Every snapshot that was acknowledged restores, also where the vault was pruned and snapshots were forgotten meanwhile."""
    options = ("--store", f"endpoint={ceph.endpoint}")
    words = tmp_path / "words"
    words.write_text("five words drawn by lot")
    url = settings_of(ceph).where
    tallac("init", url, *options)
    tallac("add-passphrase", "tallac:", "--passphrase-file", words)
    clients = [Tallac(tmp_path / f"client-{number}") for number in range(CLIENTS)]
    for number, client in enumerate(clients):
        client("connect", url, *options, "--passphrase-file", words)
        source = tmp_path / f"source-{number}"
        source.mkdir()
        (source / "shared").write_bytes(b"what all of them have" * 5000)
    for turn in range(ROUNDS):
        for number in range(CLIENTS):
            (tmp_path / f"source-{number}" / "own").write_text(f"{number} in round {turn}" * 2000)
        running = [
            client.start("backup", tmp_path / f"source-{number}", f"tallac:machine-{number}")
            for number, client in enumerate(clients)
        ]
        if turn:
            running.append(tallac.start("prune", "--max-unused", "0"))
            running.append(tallac.start("forget", "tallac:machine-0", "--keep-last", "5"))
        for process in running:
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, err
    for number in range(CLIENTS):
        snapshots = tallac("snapshots", f"tallac:machine-{number}").lines[1:]
        assert len(snapshots) == ROUNDS
        for turn, line in enumerate(snapshots):
            name = line.split()[0].decode()
            restored = tmp_path / f"restored-{number}-{turn}"
            tallac("restore", f"tallac:machine-{number}/Archives/{name}", restored)
            assert (restored / "own").read_text() == f"{number} in round {turn}" * 2000
            assert (restored / "shared").read_bytes() == b"what all of them have" * 5000
    tallac("check", "--read-data", "tallac:")
