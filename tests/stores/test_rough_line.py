"""Whole commands over a line on which any request may get lost, be refused, come twice or be cut: what is acknowledged restores."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.stores.engines import Engine
from tests.stores.rough_line import Fate, rough_line
from tests.stores.snapshots import assert_whole
from tests.torture import SCALE

from tallac.backends.object_store_settings import ObjectStoreSettings

FATES = (Fate.LOST_REQUEST, Fate.LOST_ANSWER, Fate.TWICE, Fate.BUSY, Fate.FAILED_AFTER, Fate.CUT)
KEPT = 4
ROUNDS_LONG = 60 * SCALE


class Misfortune:
    """Plans a fate by chance for one request in some, while it is on.

    Attributes:
        met: How many requests had one.
    """

    def __init__(self, chance: random.Random, share: float) -> None:
        self.is_on = True
        self.met = 0
        self._chance = chance
        self._share = share

    def __call__(self, _method: str, _path: str) -> Fate:
        """Say what becomes of a request."""
        if not self.is_on or self._chance.random() > self._share:
            return Fate.PASS
        self.met += 1
        return self._chance.choice(FATES)


@pytest.mark.parametrize("rounds", [3, pytest.param(ROUNDS_LONG, marks=pytest.mark.torture)])
def test_commands_over_a_rough_line(
    moto: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    tallac: Tallac,
    tmp_path: Path,
    chance: random.Random,
    rounds: int,
) -> None:
    """Backups, forgets, prunes and restores all succeed, no write is lost or done twice, and every snapshot that stays restores."""
    contents: list[dict[str, bytes]] = []
    source = tmp_path / "source"
    source.mkdir()
    plan = Misfortune(chance, 0.08)
    with rough_line(moto.endpoint, plan) as line:
        tallac("-q", "init", settings_of(moto).where, "--store", f"endpoint={line.url}")
        for number in range(rounds):
            for file in chance.sample(range(60), 20):
                (source / f"{file}").write_bytes(chance.randbytes(chance.randrange(30_000)))
            tallac("-q", "backup", source)
            contents.append({path.name: path.read_bytes() for path in source.iterdir()})
            if number % 3 == 2:
                tallac("-q", "forget", "tallac:", "--keep-last", f"{KEPT}")
                tallac("-q", "prune", "--max-unused", "0")
                tallac("-q", "restore", "Latest", tmp_path / f"latest-{number}")
                assert {path.name: path.read_bytes() for path in (tmp_path / f"latest-{number}").iterdir()} == contents[-1]
                contents = contents[-KEPT:]
        assert plan.met > rounds
        plan.is_on = False
        assert_whole(tallac, contents, tmp_path / "out")
        foretold = tallac("--json", "prune", "-n", "--max-unused", "0")
        assert foretold.summary("deleted_packs") == 0
