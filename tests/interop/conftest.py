from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.interop.on_grid import OnGrid
from tests.interop.tahoe_grid import TahoeGrid, absence, start_grid


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Have requests go to this machine itself, also where the way to others leads through a proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1")
        yield


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


@pytest.fixture
def target(tahoe_grid: TahoeGrid, request: pytest.FixtureRequest) -> str:
    """Give a target of its own to each test, below an alias that both tools know."""
    name = f"test-{os.getpid()}-{abs(hash(request.node.nodeid))}"
    tahoe_grid.tahoe("create-alias", name)
    return f"{name}:docs"


@pytest.fixture
def on_grid(tahoe_grid: TahoeGrid, tmp_path: Path) -> OnGrid:
    """Give the `tallac` command, told to use the grid's node directory."""
    return OnGrid(Tallac(tmp_path / "home"), tahoe_grid.node.directory)
