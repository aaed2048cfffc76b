"""Requests are money: how many each command takes, on real servers, and that what saves them can be lost at any time."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.stores.engines import Engine, client_of_owner

from tallac.backends.object_store_settings import ObjectStoreSettings

ENGINES = ("moto", pytest.param("ceph", marks=pytest.mark.slow))
SettingsOf = Callable[..., ObjectStoreSettings]


@pytest.fixture
def url(request: pytest.FixtureRequest, settings_of: SettingsOf, tallac: Tallac) -> str:
    """Make a vault in an engine, and give its place; parametrise it with an engine's name."""
    engine: Engine = request.getfixturevalue(str(request.param))
    where = settings_of(engine).where
    tallac("init", where, "--store", f"endpoint={engine.endpoint}")
    return where


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Make some directories with a file each."""
    folder = tmp_path / "few"
    for number in range(30):
        (folder / f"{number}").mkdir(parents=True)
        (folder / f"{number}" / "file").write_bytes(b"%d" % number * 50)
    return folder


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Make 1,000 small files."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number}").write_bytes(b"%d" % number * 50)
    return folder


def requests(tallac: Tallac, *arguments: str | Path) -> int:
    """Run a command, and count what it has asked of the store, as it says itself."""
    line = tallac(*arguments, "-v").error_lines[-1]
    assert line.endswith("received")
    return int(line.split()[0])


@pytest.mark.parametrize("url", ENGINES, indirect=True)
def test_what_each_command_asks(url: str, tallac: Tallac, many: Path, tmp_path: Path) -> None:
    """A first backup of 1,000 small files, one without a change, and what is looked at afterwards stay within their goals."""
    assert requests(tallac, "backup", many) <= 25
    for _ in range(2):
        assert requests(tallac, "backup", many) <= 8
    assert requests(tallac, "snapshots") <= 4
    for command in (("ls", "Latest"), ("ls", "-R", "Latest")):
        assert requests(tallac, *command) <= 3
    assert requests(tallac, "find", "55*", "tallac:") <= 4
    assert requests(tallac, "history", "tallac:5") <= 4
    assert requests(tallac, "diff", "tallac:Latest", "tallac:Latest") <= 4
    # Another machine begins with nothing, and asks less the second time.
    other, kit = Tallac(tmp_path / "other"), tmp_path / "kit.txt"
    tallac("recovery-kit", "tallac:", "--output", kit)
    other("connect", "--recovery-kit", kit)
    first = requests(other, "ls", "-R", "Latest")
    assert requests(other, "ls", "-R", "Latest") <= 3 < first
    other("backup", many)
    assert requests(other, "backup", many) <= 8
    # Others have written since.
    assert requests(tallac, "backup", many) <= 12


@pytest.mark.parametrize("url", ["moto"], indirect=True)
def test_a_prune_costs_the_next_backup_little(url: str, tallac: Tallac, few: Path) -> None:
    """After a prune the register of pending deletions is there, and an unchanged backup still takes no more than eight."""
    tallac("backup", few)
    (few / "1" / "file").write_bytes(b"changed")
    tallac("backup", few)
    tallac("forget", "tallac:", "--keep-last", "1")
    tallac("prune", "--max-unused", "0")
    requests(tallac, "backup", few)
    assert requests(tallac, "backup", few) <= 8
    assert requests(tallac, "check", "tallac:") > 8


@pytest.mark.parametrize("url", ["moto"], indirect=True)
def test_the_cache_can_be_lost_damaged_and_turned_off(url: str, tallac: Tallac, few: Path) -> None:
    """Whatever happens to the cache, each command comes to the same; with -v it says that the store was asked instead."""
    tallac("backup", few)
    listed = tallac("ls", "-R", "-l", "Latest").out
    caches = tallac.home / "cache"
    [path] = caches.glob("*.cache")
    whole = path.read_bytes()
    chance = random.Random(1)
    for _ in range(3):
        flipped = bytearray(whole)
        for _ in range(chance.choice((1, 50))):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        assert tallac("ls", "-R", "-l", "Latest").out == listed
        tallac("backup", few)
    path.write_bytes(b"damaged" * 1000)
    result = tallac("ls", "-R", "-l", "Latest", "-v")
    assert result.out == listed
    assert "can't be used" in result.error_lines[0]
    assert "the store was asked instead" in result.error_lines[0]
    shutil.rmtree(caches)
    assert tallac("ls", "-R", "-l", "Latest").out == listed
    assert list(caches.glob("*.cache"))
    shutil.rmtree(caches)
    assert tallac("ls", "-R", "-l", "Latest", "--cache-size", "0").out == listed
    assert not caches.exists()
    caches.write_bytes(b"no folder")
    assert tallac("ls", "-R", "-l", "Latest").out == listed
    tallac("backup", few)


@pytest.mark.parametrize("url", ["moto"], indirect=True)
def test_nothing_that_is_sealed_in_the_store_is_open_here(url: str, tallac: Tallac, tmp_path: Path) -> None:
    """Names and contents are not in the cache, in any of its files."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a-telling-name").write_text("a telling content, longer than what a cap holds" * 3)
    tallac("backup", source)
    tallac("ls", "Latest")
    held = b"".join(path.read_bytes() for path in (tallac.home / "cache").iterdir())
    assert len(held) > 4096
    for words in (b"telling", os.fsencode(source)):
        assert words not in held


@pytest.mark.parametrize("url", ["moto"], indirect=True)
def test_the_cache_is_shown_cleared_and_limited(url: str, tallac: Tallac, few: Path, tmp_path: Path) -> None:
    """`tallac cache` names vaults without secrets, clears one or all, and remembers how much each may take."""
    tallac("backup", few)
    rows = tallac("cache").lines
    assert rows[1].startswith(url.encode())
    records = [json.loads(line) for line in tallac("cache", "--json").lines]
    assert [record["type"] for record in records] == ["cache", "summary"]
    assert records[0]["vault"] == url
    assert records[0]["objects"] >= 1
    assert records[1]["bytes"] == records[0]["bytes"] > 10_000
    assert json.loads(tallac("cache", "clear", "tallac:", "--json").lines[-1])["bytes_freed"] == records[0]["bytes"]
    assert len(tallac("cache", "--json").lines) == 1
    tallac("ls", "Latest")
    tallac("cache", "limit", "0")
    assert len(tallac("cache", "--json").lines) == 1
    tallac("ls", "Latest")
    assert len(tallac("cache", "--json").lines) == 1
    tallac("cache", "limit", "50M")
    assert json.loads(tallac("cache", "limit", "--json").lines[-1])["limit"] == 50_000_000
    tallac("ls", "Latest")
    tallac("cache", "clear")
    assert not list((tallac.home / "cache").iterdir())
    tallac("create-alias", "here", "--vault", tmp_path / "vault")
    assert "nothing is kept of a vault in a folder" in tallac.fails("cache", "clear", "here:", status=2)
    assert "no such action" in tallac.fails("cache", "destroy", status=2)
    assert "not a size" in tallac.fails("cache", "limit", "much", status=2)


@pytest.mark.parametrize("url", ["moto"], indirect=True)
def test_a_vault_that_was_deleted_or_replaced(
    url: str, tallac: Tallac, few: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Though its header is remembered, one line says that the vault is gone, and nothing is written over another one."""
    engine: Engine = request.getfixturevalue("moto")
    tallac("backup", few)
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = client_of_owner(engine)
    names = [each["Key"] for each in client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]]
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names]})
    assert "gone, or another one has taken its place" in tallac.fails("backup", few)
    assert "vault not found" in tallac.fails("backup", few)
    assert client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["KeyCount"] == 0
    other = Tallac(tmp_path / "other")
    other("init", url, "--store", f"endpoint={engine.endpoint}")
    assert "this is another vault" in tallac.fails("ls", "Latest", status=2)
    client.close()
