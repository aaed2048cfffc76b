"""Storage servers that die: a clear sentence, no half of a snapshot, and a next run that goes on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.interop.tahoe_grid import Node, TahoeGrid, await_servers, start_grid
from tests.torture import scaled

# By the time that so many shares are there, the first files are recorded, and most are still to come.
FILES = 300
SHARES = 100
KILLS_LONG = scaled(20)


@pytest.fixture(scope="module")
def far_grid(with_tahoe: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TahoeGrid]:
    """Give a grid whose first node is a gateway alone, and whose second one stores."""
    grid = start_grid(tmp_path_factory.mktemp("far-grid"), storage=(False, True))
    yield grid
    grid.stop()


@pytest.fixture
def storage(far_grid: TahoeGrid) -> Iterator[Node]:
    """Give the storage server; it runs before the test and after it."""
    node = far_grid.nodes[1]
    yield node
    if node.process is None:
        node.start()
    await_servers(far_grid.node, 1)


@pytest.fixture
def many_files(tmp_path: Path) -> Path:
    """Give a source that takes a while."""
    source = tmp_path / "many"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number:03}").write_bytes(os.urandom(3000))
    return source


@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.torture) for number in range(1, KILLS_LONG))])
def test_a_server_killed_in_the_middle(
    far_grid: TahoeGrid, storage: Node, tallac: Tallac, many_files: Path, tmp_path: Path, chance: random.Random, number: int
) -> None:
    """The backup ends with a sentence, its target has the snapshots it had, and the next run goes on from what was stored."""
    alias, target = f"far-{number}", f"far-{number}:docs"
    tallac("create-alias", alias, "--vault", f"tahoe:{far_grid.node.directory}")
    tallac("mkdir", target)
    shares = _count_shares(storage)
    process = tallac.start("backup", many_files, target)
    # What earlier kills have left there is no news.
    _await_shares(storage, shares + (SHARES if number == 0 else chance.randrange(SHARES, FILES // 2)))
    storage.kill()
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1, (out, err)
    assert err.count(b"\n") == 1
    assert err.startswith(b"tallac: ")
    assert any(
        word in err for word in (b"UploadUnhappinessError", b"NoServersError", b"NotEnoughServersError", b"UnrecoverableFileError")
    )

    # Until the gateway has noticed, it counts the old connection as a server.
    await_servers(far_grid.node, 0)
    storage.start()
    await_servers(far_grid.node, 1)
    assert b"Latest" not in tallac("ls", target).out
    result = tallac("backup", "--json", many_files, target)
    assert result.summary("bytes_read") < FILES * 3000
    tallac("restore", f"{target}/Latest", tmp_path / "restored")
    for path in many_files.iterdir():
        assert (tmp_path / "restored" / path.name).read_bytes() == path.read_bytes()


def test_reading_without_servers(far_grid: TahoeGrid, storage: Node, tallac: Tallac, source: Path) -> None:
    """What can't be had while the servers are away is told, and is there again with them."""
    tallac("create-alias", "away", "--vault", f"tahoe:{far_grid.node.directory}")
    tallac("backup", source, "away:docs")
    storage.kill()
    await_servers(far_grid.node, 0)
    for arguments in (("get", "away:docs/Latest/parent/subdir/bar.txt"), ("snapshots", "away:docs"), ("check", "away:docs")):
        assert "storage servers may be down" in tallac.fails(*arguments)
    storage.start()
    await_servers(far_grid.node, 1)
    assert tallac("get", "away:docs/Latest/parent/subdir/bar.txt").out == b"bar\n" * 1000


def test_the_gateway_is_killed(with_tahoe: None, make_tallac: Callable[[Path], Tallac], tmp_path: Path, many_files: Path) -> None:
    """A node that dies under a backup is named, and nothing is entered."""
    grid = start_grid(tmp_path / "grid")
    try:
        tallac = make_tallac(tmp_path / "home")
        tallac("create-alias", "g", "--vault", f"tahoe:{grid.node.directory}")
        process = tallac.start("backup", many_files, "g:docs")
        _await_shares(grid.node, 20)
        grid.node.kill()
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1
        assert err.count(b"\n") == 1
        assert b"Tahoe-LAFS node" in err
        grid.node.start()
        await_servers(grid.node, 1)
        assert b"Latest" not in tallac("ls", "g:docs").out
    finally:
        grid.stop()


def _await_shares(node: Node, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if _count_shares(node) >= count:
            return
        time.sleep(0.01)
    raise AssertionError("nothing was stored")


def _count_shares(node: Node) -> int:
    # Unlike rglob, walk passes over what vanishes meanwhile.
    return sum(len(files) for _, _, files in os.walk(node.directory / "storage" / "shares"))
