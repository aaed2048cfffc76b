"""Mirrors of vaults to and from a real Tahoe-LAFS grid."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx2
import pytest
from tests.command import Tallac
from tests.interop.tahoe_grid import TahoeGrid


@pytest.fixture
def on_grid(tallac: Tallac, tahoe_grid: TahoeGrid, source: Path) -> Tallac:
    """Give the command, with an alias `v:` of a vault on the grid that holds a snapshot."""
    tallac("create-alias", "v", "--vault", f"tahoe+vault:{tahoe_grid.node.directory}")
    tallac("-q", "backup", source, "v:docs")
    return tallac


def contents(folder: Path) -> dict[Path, bytes]:
    """Give the files of a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_from_a_grid(on_grid: Tallac, source: Path, tmp_path: Path) -> None:
    """A vault on a grid is copied into a folder, brought up to date there, and restored from it."""
    mirror = tmp_path / "mirror"
    on_grid("mirror", "v:", mirror)
    (source / "parent" / "blah.txt").write_text("another\n" * 5000)
    on_grid("-q", "backup", source, "v:docs")
    again = on_grid("--json", "mirror", "v:", mirror)
    assert 0 < again.summary("packs") < len(list((mirror / "packs").iterdir()))
    assert on_grid("--json", "mirror", "v:", mirror).summary("packs") == 0
    on_grid("scrub", mirror)
    on_grid("-q", "restore", "--vault", mirror, "v:docs/Latest", tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(source)


def test_to_a_grid(tallac: Tallac, tahoe_grid: TahoeGrid, source: Path, tmp_path: Path) -> None:
    """A vault in a folder is copied to a directory on a grid; when the folder is gone, it restores from there, and comes back."""
    tallac("-q", "backup", source)
    cap = httpx2.post(f"{tahoe_grid.url}uri?t=mkdir").text
    place = f"tahoe+vault:{tahoe_grid.url}{cap}"
    assert tallac("--json", "mirror", "tallac:", place).summary("packs") > 0
    (source / "parent" / "blah.txt").write_text("another\n" * 5000)
    tallac("-q", "backup", source)
    shown = tallac("mirror", "tallac:", place)
    assert cap not in shown.out.decode() + shown.err
    assert tallac("--json", "mirror", "tallac:", place).summary("packs") == 0
    shutil.rmtree(tallac.vault)
    tallac("-q", "restore", "--vault", place, "Latest", tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(source)
    tallac("mirror", place, tallac.vault)
    tallac("-q", "check", "--read-data", "tallac:")
    tallac("-q", "backup", source)


def test_a_place_without_a_directory(tallac: Tallac, tahoe_grid: TahoeGrid, source: Path) -> None:
    """A grid alone is no place for a mirror: the message says what to do."""
    tallac("-q", "backup", source)
    assert "create-alias" in tallac.fails("mirror", "tallac:", f"tahoe+vault:{tahoe_grid.url}", status=2)
