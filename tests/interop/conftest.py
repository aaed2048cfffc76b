from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.interop.tahoe_grid import TahoeGrid, absence, start_grid


@pytest.fixture(scope="session")
def with_tahoe() -> None:
    """Demand a real Tahoe-LAFS: where there is none, a test fails in CI and is skipped elsewhere."""
    reason = absence()
    if reason is None:
        return
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def tahoe_grid(with_tahoe: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TahoeGrid]:
    """Give a grid of one node, which is storage and gateway. It is shared: a test keeps to directories that it made."""
    grid = start_grid(tmp_path_factory.mktemp("tahoe-grid"))
    yield grid
    grid.stop()
