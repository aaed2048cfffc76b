"""The unmodified `tahoe` command on a gateway over a vault, and on one over a real Tahoe-LAFS grid."""

from __future__ import annotations

import filecmp
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.interop.gateway import Gateway, serving, write_tree
from tests.interop.tahoe_grid import TahoeCommand, TahoeGrid, command_for


@pytest.fixture(scope="module", params=["vault", "node"])
def gateway(
    request: pytest.FixtureRequest,
    tahoe_grid: TahoeGrid,
    tmp_path_factory: pytest.TempPathFactory,
    make_tallac: Callable[[Path], Tallac],
) -> Iterator[Gateway]:
    """Give a gateway over a new vault, and one over a real Tahoe-LAFS grid, to which it passes everything on."""
    tallac = make_tallac(tmp_path_factory.mktemp("gateway") / "home")
    options = [] if request.param == "vault" else ["--node-url", tahoe_grid.url]
    with serving(tallac, *options) as running:
        yield running


@pytest.fixture(scope="module")
def tahoe(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> TahoeCommand:
    """Give the command, pointed at the gateway, with the alias `home:`."""
    command = command_for(gateway.url, tmp_path_factory.mktemp("node"))
    command("create-alias", "home")
    return command


def _is_same(left: Path, right: Path) -> bool:
    found = filecmp.dircmp(left, right)
    if found.left_only or found.right_only or found.funny_files:
        return False
    _, mismatch, errors = filecmp.cmpfiles(left, right, found.common_files, shallow=False)
    return not mismatch and not errors and all(_is_same(left / name, right / name) for name in found.common_dirs)


def test_aliases(gateway: Gateway, tmp_path: Path) -> None:
    """An alias is made, another one added, and both are listed; `webopen` gives the browser an address that works."""
    tahoe = command_for(gateway.url, tmp_path)
    tahoe("create-alias", "home")
    cap = tahoe("list-aliases").text.removeprefix("home: ")
    assert cap.startswith("URI:DIR2:")
    tahoe("add-alias", "again", gateway.cap("POST", "uri?t=mkdir"))
    assert [line.split(":")[0].strip() for line in tahoe("list-aliases").text.splitlines()] == ["again", "home"]
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    # It starts in a process of its own, as a user's does.
    tahoe("webopen", "home:", browser=browser)
    answer = gateway.client.get(opened.read_text().strip())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_single_files(tahoe: TahoeCommand, tmp_path: Path) -> None:
    """Files are put, replaced, fetched, moved, linked and unlinked."""
    source = tmp_path / "file"
    source.write_bytes(b"content" * 100)
    tahoe("mkdir", "home:single/deep")
    assert tahoe("put", source, "home:single/a").err.startswith("201")
    assert tahoe("put", source, "home:single/a").err.startswith("200")
    tahoe("mv", "home:single/a", "home:single/b")
    tahoe("ln", "home:single/b", "home:single/deep/c")
    assert tahoe("get", "home:single/deep/c").out == source.read_bytes()
    tahoe("unlink", "home:single/b")
    assert tahoe("ls", "home:single").text == "deep"
    assert "Error during GET: 404" in tahoe("get", "home:single/b", status=1).err
    assert "overwrite a directory" in tahoe("mv", "home:single/deep/c", "home:single/deep", status=1).err


@pytest.mark.parametrize(("option", "kind"), [("--mutable", "URI:SSK:"), ("--format=mdmf", "URI:MDMF:")])
def test_mutable_files(tahoe: TahoeCommand, option: str, kind: str) -> None:
    """A mutable file keeps its cap when its content is replaced, by its name or by its cap."""
    name = f"home:mutable{option[2:5]}"
    cap = tahoe("put", option, "-", name, stdin=b"first").text
    assert cap.startswith(kind)
    assert tahoe("put", "-", name, stdin=b"second" * 100).text == cap
    assert tahoe("get", name).out == b"second" * 100
    tahoe("put", "-", cap, stdin=b"third")
    assert tahoe("get", name).out == b"third"


def test_trees_go_in_and_come_back(gateway: Gateway, tahoe: TahoeCommand, tmp_path: Path) -> None:
    """`cp -r` stores a tree and brings it back; listings, manifests, statistics and checks see all of it."""
    source = write_tree(tmp_path / "tree")
    tahoe("cp", "-r", source, "home:trees")
    (tmp_path / "back").mkdir()
    tahoe("cp", "-r", "home:trees/tree", tmp_path / "back")
    assert _is_same(source, tmp_path / "back" / "tree")
    assert tahoe("ls", "-lF", "home:trees/tree").text.splitlines()[0].endswith(" empty/")
    assert "URI:CHK:" in tahoe("ls", "--uri", "--readonly-uri", "home:trees/tree/sub").text
    kind, facts = json.loads(tahoe("ls", "--json", "home:trees/tree").out)
    assert (kind, sorted(facts["children"])) == ("dirnode", ["empty", "small.txt", "sub"])
    assert len(tahoe("manifest", "home:trees/tree").text.splitlines()) == 6
    for flag in ("--verify-cap", "--repair-cap", "--storage-index"):
        assert len(tahoe("manifest", flag, "home:trees/tree").text.splitlines()) == 5
    assert '"count-files": 3' in tahoe("manifest", "--raw", "home:trees/tree").text
    assert "count-directories: 3" in tahoe("stats", "home:trees/tree").text
    assert "Summary: Healthy\n" in tahoe("check", "--verify", "home:trees/tree/sub/large").out.decode()
    assert "Healthy (LIT)" in tahoe("check", "home:trees/tree/small.txt").text
    assert "6 objects checked, 6 healthy" in tahoe("deep-check", "-v", "home:trees/tree").text
    assert " 0 repairs attempted" in tahoe("deep-check", "--repair", "--add-lease", "home:trees/tree").text


def test_backup_twice(gateway: Gateway, tahoe: TahoeCommand, tmp_path: Path) -> None:
    """A second backup of an unchanged tree re-uses everything, and Tallac restores and checks what was backed up."""
    source = write_tree(tmp_path / "tree")
    assert "3 files uploaded" in tahoe("backup", source, "home:backup").text
    # Two snapshots of one second would have one name.
    time.sleep(1.1)
    assert "0 files uploaded (3 reused)" in tahoe("backup", source, "home:backup").text
    assert len(tahoe("ls", "home:backup/Archives").text.splitlines()) == 2
    read_cap = gateway.json(f"uri/{tahoe('list-aliases').text.splitlines()[-1].split()[-1]}/backup/Latest")[1]["ro_uri"]
    cap_file = tmp_path / "cap"
    cap_file.write_text(f"{read_cap}\n")
    gateway.tallac("restore", f"@{cap_file}:", tmp_path / "restored", *gateway.options)
    assert _is_same(source, tmp_path / "restored")
    assert (tmp_path / "restored" / "small.txt").stat().st_mtime == (source / "small.txt").stat().st_mtime
    gateway.tallac("check", "--read-data", f"@{cap_file}:", *gateway.options)


def test_names_of_all_kinds(tahoe: TahoeCommand, tmp_path: Path) -> None:
    """Names with spaces, question marks, percent signs and letters of all kinds come back as they were."""
    names = ["a b", "50%", "what?", "#1", "ähm", "日本", "a+b&c=d", "'quoted'"]
    source = tmp_path / "names"
    source.mkdir()
    for name in names:
        (source / name).write_text(name)
    tahoe("cp", "-r", source, "home:")
    (tmp_path / "back").mkdir()
    tahoe("cp", "-r", "home:names", tmp_path / "back")
    assert sorted(path.name for path in (tmp_path / "back" / "names").iterdir()) == sorted(names)


def test_the_seed_scenario(tahoe: TahoeCommand, source: Path) -> None:
    """Three backups of a changing tree: each snapshot shows its own state, and what is unchanged is shared."""
    tahoe("backup", source, "home:backups")
    assert tahoe("ls", "home:backups").text.split() == ["Archives", "Latest"]
    assert tahoe("ls", "home:backups/Latest").text.split() == ["empty", "parent"]
    assert tahoe("ls", "home:backups/Latest/empty").text == ""
    assert tahoe("get", "home:backups/Latest/parent/subdir/foo.txt").out == b"foo"
    assert tahoe("get", "home:backups/Latest/parent/subdir/bar.txt").out == b"bar\n" * 1000
    [first] = tahoe("ls", "home:backups/Archives").text.split()

    # Two snapshots of one second would have one name.
    time.sleep(1.1)
    tahoe("backup", source, "home:backups")
    lines = tahoe("ls", "--readonly-uri", "home:backups/Archives").text.splitlines()
    assert len(lines) == 2
    assert len({line.split()[-1] for line in lines}) == 1

    (source / "parent" / "subdir" / "foo.txt").write_text("FOOF!")
    (source / "parent" / "blah.txt").unlink()
    (source / "parent" / "blah.txt").mkdir()
    (source / "parent" / "blah.txt" / "file").write_text("in blah.txt")
    (source / "empty").rmdir()
    (source / "empty").write_text("a file now")
    # Two snapshots of one second would have one name.
    time.sleep(1.1)
    tahoe("backup", source, "home:backups")
    assert len(tahoe("ls", "home:backups/Archives").text.split()) == 3
    assert tahoe("get", "home:backups/Latest/parent/subdir/foo.txt").out == b"FOOF!"
    assert tahoe("get", "home:backups/Latest/parent/blah.txt/file").out == b"in blah.txt"
    assert tahoe("get", "home:backups/Latest/empty").out == b"a file now"
    assert tahoe("get", f"home:backups/Archives/{first}/parent/subdir/foo.txt").out == b"foo"
    assert tahoe("get", f"home:backups/Archives/{first}/parent/blah.txt").out == b"blah"
    assert tahoe("ls", f"home:backups/Archives/{first}/empty").text == ""
