from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.torture import scaled
from tests.unit.retention.restic_oracle import Restic, random_history, random_options
from tests.unit.retention.test_decide import NOW_NS, candidates_of, rules_of

from tallac.retention.decide import decide

IS_LONG = "TALLAC_TORTURE" in os.environ
POLICIES, SNAPSHOTS = (scaled(500), 40) if IS_LONG else (5, 8)
RESTIC = os.environ.get("RESTIC") or shutil.which("restic")


@pytest.mark.skipif(RESTIC is None, reason="there is no restic on PATH or in RESTIC; the pinned answers in tests/vectors stand in")
@pytest.mark.parametrize("zone", [pytest.param("UTC", marks=pytest.mark.torture), "Europe/Berlin"])
def test_restic_decides_alike(tmp_path: Path, zone: str) -> None:
    """A restic that is here keeps the same, for the same reasons, by UTC and where clocks jump twice a year."""
    assert RESTIC is not None
    source = random.Random(zone)
    history = random_history(source, SNAPSHOTS)
    restic = Restic(RESTIC, tmp_path, zone)
    for snapshot in history:
        restic.add("host", snapshot)
    candidates = candidates_of(history, ZoneInfo(zone))
    for _ in range(POLICIES):
        options = random_options(source)
        decisions = decide(rules_of(options), candidates, NOW_NS, zone=ZoneInfo(zone), allow_empty=True)
        ours = {int(found.candidate.name): len(found.reasons) for found in decisions if found.is_kept}
        theirs = {place: len(reasons) for place, reasons in restic.kept(options)["host"].items()}
        assert ours == theirs, (history, options)
