"""Several machines that back up into one vault on Ceph at once, with a prune between: contention costs retries, not failures."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.stores.engines import Engine

from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_settings import ObjectStoreSettings

SHARED_SIZE = 400_000
OWN_SIZE = 2_000


@pytest.mark.parametrize(("clients", "rounds"), [(8, 2), pytest.param(16, 6, marks=pytest.mark.torture)])
def test_many_clients_at_once(
    ceph: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    tallac: Tallac,
    tmp_path: Path,
    chance: random.Random,
    clients: int,
    rounds: int,
) -> None:
    """Every acknowledged snapshot restores, also where prunes and forgets run beside; what all have is stored about once."""
    settings = settings_of(ceph)
    options = ("--store", f"endpoint={ceph.endpoint}")
    words = tmp_path / "words"
    words.write_text("five words drawn by lot")
    tallac("init", settings.where, *options)
    tallac("add-passphrase", "tallac:", "--passphrase-file", words)
    machines = [Tallac(tmp_path / f"client-{number}") for number in range(clients)]
    shared = [chance.randbytes(SHARED_SIZE) for _ in range(rounds)]
    own = {(number, turn): chance.randbytes(OWN_SIZE) for number in range(clients) for turn in range(rounds)}
    for number, machine in enumerate(machines):
        machine("connect", settings.where, *options, "--passphrase-file", words)
        (tmp_path / f"source-{number}").mkdir()
    for turn in range(rounds):
        for number in range(clients):
            (tmp_path / f"source-{number}" / "own").write_bytes(own[number, turn])
            (tmp_path / f"source-{number}" / "shared").write_bytes(shared[turn])
        # The first one is there before the others, as a machine is that began earlier.
        machines[0]("-q", "backup", tmp_path / "source-0", "tallac:machine-0")
        running = [
            machine.start("-q", "backup", tmp_path / f"source-{number}", f"tallac:machine-{number}")
            for number, machine in enumerate(machines)
            if number
        ]
        running.append(tallac.start("-q", "prune", "--max-unused", "0"))
        # The newest of each machine stay, and one machine's older ones go.
        running.append(machines[0].start("-q", "forget", "tallac:machine-0", "--keep-last", "1"))
        for process in running:
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, err
    tallac("-q", "prune", "--max-unused", "0")
    tallac("-q", "check", "--read-data", "tallac:")
    for number in range(clients):
        names = [line.split()[0].decode() for line in tallac("snapshots", f"tallac:machine-{number}").lines[1:]]
        assert len(names) == (rounds if number else 1)
        for turn, name in enumerate(names, rounds - len(names)):
            restored = tmp_path / f"restored-{number}-{turn}"
            tallac("-q", "restore", f"tallac:machine-{number}/Archives/{name}", restored)
            assert (restored / "own").read_bytes() == own[number, turn]
            assert (restored / "shared").read_bytes() == shared[turn]
    stored = sum(item.size for item in ObjectStoreBackend(settings).list("packs/"))
    assert stored < (SHARED_SIZE + clients * OWN_SIZE) * rounds * 1.5
