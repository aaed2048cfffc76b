"""Which snapshot, target and vault is meant: one way to write it, in all commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow

NAMES = ("2024-05-01_10:00:00Z", "2024-05-02_10:00:00Z", "2024-05-02_20:00:00Z")


@pytest.fixture
def usb(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Give a command with two targets, one of which has several snapshots of a growing folder."""
    folder = tmp_path / "docs"
    folder.mkdir()
    tallac("-q", "create-alias", "usb")
    for number, name in enumerate(NAMES):
        (folder / f"file{number}").write_text(str(number))
        tallac("-q", "backup", "--time", name.replace("_", " "), folder, "usb:docs")
    tallac("-q", "backup", folder, "usb:more/today")
    return tallac


@pytest.mark.parametrize(
    ("when", "files"),
    [
        ("latest", 3),
        ("Latest", 3),
        ("2024-05-01", 1),
        ("2024-05-02_1", 2),
        (NAMES[2], 3),
        ("yesterday", 3),
        ("1m", 3),
        ("today", 3),
    ],
)
def test_a_snapshot_in_a_path(usb: Tallac, when: str, files: int) -> None:
    """Each WHEN leads to one snapshot, and paths go on below it."""
    assert len(usb("ls", f"usb:docs@{when}").lines) == files
    assert usb("get", f"usb:docs@{when}/file0").out == b"0"


@pytest.mark.slow
def test_commands_take_it(usb: Tallac, tmp_path: Path) -> None:
    """Whatever takes a path takes a snapshot in it."""
    usb("-q", "restore", "usb:docs@2024-05-01", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file0"]
    usb("-q", "cp", "usb:docs@2024-05-01/file0", tmp_path / "copied")
    assert usb("cap", "usb:docs@2024-05-01").out == usb("cap", f"usb:docs/Archives/{NAMES[0]}").out
    assert b"file2" in usb("diff", "usb:docs@2024-05-01", "usb:docs@latest").out
    assert len(usb("find", "usb:docs@2024-05-01", "file*").lines) == 2
    assert b"file1" not in usb("find", "usb:docs", "file*", "--snapshot", "2024-05-01").out
    assert usb("du", "-b", "usb:docs@2024-05-01").lines == [b"1\t."]
    for listing in ("snapshots", "stats"):
        listed = [line[:20].decode() for line in usb(listing, "usb:docs@2024-05-01").lines if line.startswith(b"2024-05-0")]
        assert listed == [NAMES[0]]
    usb("check", "usb:docs@latest")
    for command in (("hold",), ("tag", "--add", "x"), ("release",)):
        assert NAMES[1].encode() in usb(*command, "usb:docs@2024-05-02_1").out
        assert NAMES[1].encode() in usb(*command, "usb:docs", "2024-05-02_1").out
    assert NAMES[0].encode() in usb("forget", "usb:docs@2024-05-01").out
    assert len(usb("snapshots", "usb:docs").lines) == 3


def test_what_no_snapshot_answers_to(usb: Tallac) -> None:
    """Several, none, and none so old are three errors, each in one line."""
    assert "2 snapshots begin with this" in usb.fails("ls", "usb:docs@2024-05-02", status=2)
    assert "no snapshot 2025 found" in usb.fails("ls", "usb:docs@2025")
    assert f"the oldest is {NAMES[0]}" in usb.fails("ls", "usb:docs@99y")
    assert "which snapshot?" in usb.fails("hold", "usb:docs", status=2)


def test_names_with_an_at_sign(usb: Tallac) -> None:
    """What is really named so comes first; what is no WHEN, or has no target before it, is a name."""
    usb("put", "-", "usb:mine/ann@latest", stdin=b"mine")
    assert usb("get", "usb:mine/ann@latest").out == b"mine"
    usb("put", "-", "usb:mine/ann@example.org", stdin=b"mail")
    assert usb("get", "usb:mine/ann@example.org").out == b"mail"
    assert usb("ls", "usb:mine").lines == [b"ann@example.org", b"ann@latest"]


def test_all_targets(usb: Tallac) -> None:
    """Above targets all of them are meant, with a column for each; a single one is shown as before."""
    lines = usb("snapshots", "usb:").lines
    assert lines[0].split()[:2] == [b"target", b"snapshot"]
    assert [line.split()[0] for line in lines[1:]] == [b"usb:docs"] * 3 + [b"usb:more/today"]
    assert {json.loads(line)["target"] for line in usb("snapshots", "--json", "usb:").lines} == {"usb:docs", "usb:more/today"}
    assert usb("snapshots", "usb:docs").lines[0].startswith(b"snapshot")
    assert [line for line in usb("find", "usb:", "file2").lines if not line.startswith(b" ")] == [
        b"usb:docs  file2",
        b"usb:more/today  file2",
    ]
    assert b"usb:more/today" in usb("stats", "usb:").out


@pytest.mark.parametrize("words", [("file1", "usb:docs"), ("usb:docs", "file1"), ("*1", "usb:docs"), ("*1", "?ile1", "usb:docs")])
def test_patterns_before_or_after_the_place(usb: Tallac, words: tuple[str, ...]) -> None:
    """Both orders mean the same."""
    assert usb("find", *words).lines[0] == b"file1"


@pytest.mark.slow
@pytest.mark.parametrize("vault", ["usb:", "usb", "usb:docs"])
def test_names_of_a_vault(usb: Tallac, tmp_path: Path, vault: str) -> None:
    """Where only a vault can be meant, its alias is understood with or without colon and path."""
    for command in ("prune", "check", "scrub", "repair", "vault-stats"):
        usb("-q", command, vault)
    usb("-q", "mirror", vault, tmp_path / "mirror")


def test_a_forgotten_colon(usb: Tallac) -> None:
    """It is asked for where a name may be meant."""
    assert "did you mean `usb:docs`?" in usb.fails("ls", "usb/docs", status=2)


def test_a_lost_configuration(tallac: Tallac, source: Path) -> None:
    """Where the vault is in its place and its key is lost, each command names the one that gets it back."""
    tallac("-q", "backup", source)
    shutil.rmtree(tallac.home / "config")
    for command in (("snapshots",), ("backup", source), ("ls", "usb:"), ("check",), ("prune",)):
        assert f"`tallac connect {tallac.vault}`" in tallac(*command, status=None).err


def test_weeks_in_rules(usb: Tallac) -> None:
    """A span of weeks is one of as many days, and other spans may come beside it."""
    for span, days in (("2w", "14d"), ("1m1w3d", "1m10d"), ("1y2w5h", "1y14d5h")):
        told = [usb("forget", "usb:docs", "-n", "--json", "--keep-within", text).lines for text in (span, days)]
        assert told[0] == told[1]
    assert "weeks" in usb.fails("forget", "usb:docs", "--keep-within", "1w1m", status=2)
