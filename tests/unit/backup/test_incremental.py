from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.backup.gardener import Gardener

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


@pytest.mark.slow
@pytest.mark.parametrize("looks_ahead", [False, True], ids=["alone", "ahead"])
@pytest.mark.parametrize("seed", range(6))
def test_an_incremental_backup_equals_a_full_one(bench: Bench, seed: int, looks_ahead: bool) -> None:
    """Whatever changed, a backup that reuses what it can, or what another process saw, gives the cap of one that reads all."""
    bench.looks_ahead = looks_ahead
    gardener = Gardener(bench.source, seed)
    full_path = bench.database_path.with_name("full.db")
    for round_number in range(12):
        gardener.work(bench.grid.small_size_max % 7 + round_number % 4 * 3)
        bench.grid.has_losses = round_number % 5 == 4
        incremental = bench.back_up()
        kept, bench.database_path = bench.database_path, full_path
        full = bench.back_up(path=(b"full", b"%d" % round_number))
        bench.database_path.unlink()
        bench.database_path = kept
        assert incremental.cap == full.cap
        assert full.files.new == full.files.total == incremental.files.total
        assert incremental.directories.total == full.directories.total == full.directories.new
        assert (incremental.size, incremental.files.total) == (full.size, _count(bench.source))


def _count(source: Path) -> int:
    return sum(
        len(files) + sum(os.path.islink(os.path.join(top, name)) for name in folders) for top, folders, files in os.walk(source)
    )
