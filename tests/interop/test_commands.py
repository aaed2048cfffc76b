"""The commands on a real Tahoe-LAFS grid in the plain layout."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.interop.on_grid import OnGrid
from tests.interop.tahoe_grid import TahoeGrid


@pytest.fixture
def alias(target: str) -> str:
    """Give an alias of both tools, with its colon."""
    return target.partition(":")[0] + ":"


def test_files_and_directories(on_grid: OnGrid, tahoe_grid: TahoeGrid, alias: str, source: Path, tmp_path: Path) -> None:
    """put, get, mkdir, ls, cp, mv, ln and unlink do what they do elsewhere, and `tahoe` sees it."""
    on_grid("mkdir", f"{alias}a/b")
    on_grid("put", "-", f"{alias}a/small", stdin=b"small")
    on_grid("put", "-", f"{alias}a/large", stdin=b"large" * 500_000)
    assert on_grid("get", f"{alias}a/large").out == b"large" * 500_000
    assert on_grid("get", f"{alias}a/small", tmp_path / "got").out == b""
    assert (tmp_path / "got").read_bytes() == b"small"
    on_grid("cp", "-r", source, f"{alias}a")
    on_grid("mv", f"{alias}a/small", f"{alias}a/b/moved")
    on_grid("ln", f"{alias}a/large", f"{alias}linked")
    on_grid("unlink", f"{alias}a/large")
    assert on_grid("ls", f"{alias}a").lines == [b"b", b"source"]
    assert tahoe_grid.tahoe("get", f"{alias}a/b/moved").out == b"small"
    assert tahoe_grid.tahoe("get", f"{alias}linked").out == b"large" * 500_000
    on_grid("cp", "-r", f"{alias}a", tmp_path / "copied")
    assert (tmp_path / "copied" / "a" / "source" / "parent" / "subdir" / "foo.txt").read_bytes() == b"foo"


def test_what_tahoe_made_is_listed(on_grid: OnGrid, tahoe_grid: TahoeGrid, alias: str) -> None:
    """Mutable files and directories of `tahoe` are read and linked."""
    tahoe_grid.tahoe("mkdir", f"{alias}dir")
    tahoe_grid.tahoe("put", "--mutable", "-", f"{alias}dir/mutable", stdin=b"can change")
    assert on_grid("get", f"{alias}dir/mutable").out == b"can change"
    assert on_grid("ls", "--json", f"{alias}dir").lines
    on_grid("ln", f"{alias}dir/mutable", f"{alias}second")
    tahoe_grid.tahoe("put", "-", f"{alias}dir/mutable", stdin=b"changed")
    assert on_grid("get", f"{alias}second").out == b"changed"


def test_manifest(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, source: Path) -> None:
    """The manifest has what `tahoe manifest` has: each thing once, with its cap and path."""
    on_grid("backup", source, target)
    ours = on_grid("manifest", f"{target}/Latest").out.decode().splitlines()
    theirs = tahoe_grid.tahoe("manifest", f"{target}/Latest").text.splitlines()
    assert sorted(line.rstrip() for line in ours) == sorted(line.rstrip() for line in theirs)
    for option in ("--storage-index", "--verify-cap"):
        ours = on_grid("manifest", option, f"{target}/Latest").out.decode().splitlines()
        theirs = tahoe_grid.tahoe("manifest", option, f"{target}/Latest").text.splitlines()
        assert sorted(ours) == sorted(line for line in theirs if line)


def test_what_lost_its_shares(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, source: Path) -> None:
    """A lost file is found by check and deep-check, told in one sentence by get, and stored again by the next backup that looks."""
    content = b"to be lost" * 100 + target.encode()
    (source / "lost").write_bytes(content)
    on_grid("backup", source, target)
    manifest = map(json.loads, on_grid("manifest", "--json", f"{target}/Latest").lines)
    index = next(listed["storage_index"] for listed in manifest if listed["path"] == "lost")
    shares = tahoe_grid.node.directory / "storage" / "shares" / index[:2] / index
    for share in shares.iterdir():
        share.unlink()
    assert "NoSharesError" in on_grid.fails("get", f"{target}/Latest/lost")
    for command in ("check", "deep-check"):
        result = on_grid(command, f"{target}/Latest", status=1)
        assert "lost: not healthy" in result.err
    # This machine forgets when it saw the file last, so that the next backup checks it.
    for record in (on_grid.tallac.home / "state").glob("tahoe-*.db"):
        record.unlink()
    on_grid("backup", source, target)
    assert on_grid("get", f"{target}/Latest/lost").out == content
    assert on_grid("deep-check", "--add-lease", "--repair", f"{target}/Latest").status == 0


def test_aliases_are_shared(tallac: Tallac, tahoe_grid: TahoeGrid) -> None:
    """An alias that Tallac makes is there for `tahoe`, the other way round as well, and comments stay."""
    directory, name = tahoe_grid.node.directory, f"shared-{abs(hash(tallac.home))}"
    path = directory / "private" / "aliases"
    path.touch()
    path.write_text(path.read_text() + "# a comment")
    tallac("create-alias", name, "--vault", f"tahoe:{directory}")
    assert "# a comment\n" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tahoe_grid.tahoe("mkdir", f"{name}:made")
    assert tallac("ls", f"{name}:").lines == [b"made"]
    assert tallac("ls", "-d", directory, f"{name}:").lines == [b"made"]
    assert "already" in tallac.fails("create-alias", name, "-d", directory)
    tallac("create-alias", "--node-directory", directory, f"{name}-2")
    assert f"{name}-2:" in tahoe_grid.tahoe("list-aliases").text
    assert tallac("list-aliases").lines[0].startswith(f"{name}:".encode())


def test_trouble_is_told_in_one_sentence(tallac: Tallac, tahoe_grid: TahoeGrid, tmp_path: Path) -> None:
    """A node that does not run, a place that is none, and caps of nothing are named; no cap is shown."""
    file = tmp_path / "file"
    file.write_bytes(b"more than fits into a cap, which would need no node" * 2)
    assert "no Tahoe-LAFS node answers" in tallac.fails("put", "-u", "http://127.0.0.1:9/", file)
    assert "node.url" in tallac.fails("put", "-d", tmp_path, file)
    assert "leave out" in tallac.fails("ls", "-d", tmp_path, "--vault", "x", "a:", status=2)
    unknown = "URI:DIR2-CHK:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1:1:500"
    message = tallac.fails("ls", "-u", tahoe_grid.url, unknown)
    assert "NoSharesError" in message or "NotEnoughSharesError" in message
    assert "aaaaaaa" not in message
