from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx2
from tests.command import PATIENCE_SECONDS
from tests.interop.tahoe_grid import TahoeGrid, command_for


def test_the_grid_keeps_a_file(tahoe_grid: TahoeGrid, tmp_path: Path) -> None:
    """What the real command stores comes back, also through a node directory that holds an address only."""
    content = bytes(range(256)) * 100
    stored = replace(tahoe_grid.tahoe, is_quick=False)("put", "-", stdin=content)
    assert stored.text.startswith("URI:CHK:")
    other = replace(command_for(tahoe_grid.url, tmp_path / "other"), is_quick=False)
    assert other("get", stored.text).out == content


def test_the_gateway_is_on_this_machine_only(tahoe_grid: TahoeGrid) -> None:
    """The grid listens on the loopback interface."""
    assert tahoe_grid.url.startswith("http://127.0.0.1:")
    assert httpx2.get(tahoe_grid.url, params={"t": "json"}, timeout=PATIENCE_SECONDS).status_code == 200
