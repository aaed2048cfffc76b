"""A vault on a real Tahoe-LAFS grid: the same commands as on a vault in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.interop.tahoe_grid import TahoeGrid
from tests.ticks import settle


@pytest.fixture
def on_vault(tallac: Tallac, tahoe_grid: TahoeGrid) -> Tallac:
    """Give the command, with an alias `v:` of a new vault on the grid."""
    tallac("create-alias", "v", "--vault", f"tahoe+vault:{tahoe_grid.node.directory}")
    return tallac


def test_the_main_job(on_vault: Tallac, source: Path, tmp_path: Path) -> None:
    """Backups are made, listed, checked, forgotten, pruned and restored; nothing that is shown holds the vault's cap."""
    settle(source)
    on_vault("backup", source, "v:docs")
    assert on_vault("backup", "--json", source, "v:docs").summary("bytes_read") == 0
    (source / "parent" / "blah.txt").write_text("another\n" * 5000)
    on_vault("backup", source, "v:docs")
    assert len(on_vault("snapshots", "--json", "v:docs").lines) == 3
    on_vault("restore", "v:docs/Latest", tmp_path / "restored")
    for path in source.rglob("*.txt"):
        assert (tmp_path / "restored" / path.relative_to(source)).read_bytes() == path.read_bytes()
    on_vault("forget", "--keep-last", "1", "v:docs")
    on_vault("prune", "v:")
    shown = on_vault("check", "--read-data", "v:").out + on_vault("list-aliases").out
    assert b"URI:" not in shown
    on_vault("restore", "v:docs/Latest", tmp_path / "again")


def test_another_machine_reads_it(
    on_vault: Tallac, tahoe_grid: TahoeGrid, make_tallac: Callable[[Path], Tallac], source: Path, tmp_path: Path
) -> None:
    """Who knows the place, the key and a cap reads the vault, through the gateway's URL too."""
    on_vault("backup", source, "v:docs")
    cap = on_vault("cap", "v:docs/Latest").out.decode().strip()
    key = tmp_path / "key"
    key.write_bytes(on_vault("locator-key", "v").out)
    configuration = json.loads((on_vault.home / "config" / "tallac.json").read_text())
    location = next(iter(configuration["grids"].values()))["location"]
    root = location.partition("/URI:")[2]
    other = make_tallac(tmp_path / "other")
    place = f"tahoe+vault:{tahoe_grid.url}URI:{root}"
    listed = other("ls", "--vault", place, "--vault-key", key, f"{cap}/parent")
    assert listed.lines == [b"blah.txt", b"subdir"]


def test_a_place_without_a_vault(tallac: Tallac, tahoe_grid: TahoeGrid) -> None:
    """A vault that nobody has made is not looked for."""
    assert "create-alias" in tallac.fails("ls", "--vault", f"tahoe+vault:{tahoe_grid.url}", "URI:DIR2-LIT:")
    assert "no Tahoe-LAFS node answers" in tallac.fails("create-alias", "x", "--vault", "tahoe+vault:http://127.0.0.1:9/")
