from contextlib import suppress
from pathlib import Path

import pytest
from tests.crash.test_disk import FIRST, SECOND, Attempt, snapshots

from tallac.backends.local import LocalBackend
from tallac.errors import DamageError, StoreError
from tallac.testing.crash_disk import Survival
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.determinism import SeededRandomness
from tallac.testing.fat_disk import FatDisk
from tallac.testing.sample_vault import flatten
from tallac.vault.format.keys import make_writer_key
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions
from tallac.vault.vault import open_vault


@pytest.mark.slow
@pytest.mark.parametrize("survival", [Survival.NAMES, Survival.RANDOM])
def test_a_stick_is_pulled_at_every_boundary(states: Path, survival: Survival) -> None:
    """On FAT no acknowledged snapshot is lost when the stick is pulled; at worst a repair takes a slot's former state."""
    attempt = Attempt(make_writer_key(SeededRandomness(3)))
    (states / "counted").mkdir()
    counted = FatDisk(states / "counted")
    attempt.run(counted, states / "counted", states / "state")
    repaired = 0
    for boundary in range(0, counted.boundaries, 1 if survival is Survival.NAMES else 3):
        attempt = Attempt(attempt.key)
        folder = states / f"{boundary}"
        folder.mkdir()
        disk = FatDisk(folder, boundary)
        with suppress(SimulatedCrash):
            attempt.run(disk, folder, states / "state")
        if attempt.target is None or not attempt.acknowledged:
            continue
        survivor = states / f"{boundary} after"
        disk.surviving(survival, boundary).write_to(survivor)
        backend = LocalBackend(survivor)
        try:
            with open_vault(backend, attempt.key, state=states / f"{boundary} state 1") as vault:
                found = dict(snapshots(vault, attempt.target))
        except (StoreError, DamageError):
            with open_vault(backend, attempt.key, state=states / f"{boundary} state 2") as vault:
                Repair(vault.components, RepairOptions()).run([])
            with open_vault(backend, attempt.key, state=states / f"{boundary} state 3") as vault:
                found = dict(snapshots(vault, attempt.target))
            repaired += 1
        for name in attempt.acknowledged:
            assert found[name] == dict(flatten({b"1": FIRST, b"2": SECOND}[name])), boundary
    assert repaired or survival is not Survival.NAMES
