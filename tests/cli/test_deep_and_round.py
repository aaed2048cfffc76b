"""Trees of any depth, and directories that lead back to themselves, for every command that walks."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.interop.gateway import serving

# Each runs the command several times.
pytestmark = pytest.mark.slow

DEPTH = 1_200
LEADS_BACK = "this directory leads back to one that it is in, and is not entered again"


@pytest.fixture
def round_(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Give a directory `r` with a file, itself as `again`, itself in the other format's spelling, and both in each other below."""
    (tmp_path / "file").write_bytes(b"content")
    tallac("create-alias", "a", "--vault", tmp_path / "vault")
    tallac("mkdir", "a:r/down")
    tallac("put", tmp_path / "file", "a:r/file")
    cap = tallac("cap", "--write", "a:r").out.decode().strip()
    tallac("ln", "a:r", "a:r/again")
    tallac("ln", cap.replace("URI:DIR2:", "URI:DIR2-MDMF:"), "a:r/down/spelled")
    return tallac


def told(tallac: Tallac, *arguments: str | Path, status: int = 0) -> tuple[list[bytes], set[str]]:
    """Run a command, and give its output, and the paths that it says lead back."""
    result = tallac(*arguments, status=status, timeout=60)
    lines = [line.removeprefix("tallac: ") for line in result.error_lines]
    return result.lines, {line.removesuffix(f": {LEADS_BACK}") for line in lines if line.endswith(LEADS_BACK)}


def test_listing_a_round(round_: Tallac) -> None:
    """Each directory that leads back is listed and named, under any spelling of its cap, and what is in it is not listed again."""
    lines, back = told(round_, "ls", "-R", "a:r")
    assert lines == [b"again", b"down", b"down/spelled", b"file"]
    assert back == {"a:r/again", "a:r/down/spelled"}


def test_measuring_a_round(round_: Tallac) -> None:
    """Sizes count each file once on each way that comes to an end, and the status says that nothing is lacking."""
    lines, back = told(round_, "du", "--bytes", "a:r")
    assert lines == [b"0\tdown", b"7\t."]
    assert back == {"again", "down/spelled"}
    lines, _ = told(round_, "manifest", "a:r")
    assert len(lines) == 3


def test_comparing_rounds(round_: Tallac, tmp_path: Path) -> None:
    """Two rounds are compared to the end, and so is one with a folder that goes on where it leads back: that is not compared."""
    round_("mkdir", "a:other/down")
    round_("ln", "a:other", "a:other/again")
    lines, back = told(round_, "diff", "a:other", "a:r")
    assert [line for line in lines if b" file" in line] == [b"+                     7 B  file", b"added  1 file, 1 directory, 7 B"]
    assert back == {"again", "down/spelled"}
    (tmp_path / "r" / "again" / "more").mkdir(parents=True)
    _, back = told(round_, "diff", "a:r", tmp_path / "r", status=1)
    assert back == {"again", "down/spelled"}


def test_copying_a_round(round_: Tallac, tmp_path: Path) -> None:
    """Copies to the grid and to a folder come to an end, and say what they left out."""
    result = round_("cp", "-r", "a:r", tmp_path / "copy", status=None, timeout=60)
    assert sorted(path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*")) == [
        "r",
        "r/down",
        "r/file",
    ]
    assert result.err.count(LEADS_BACK) == 2
    result = round_("cp", "-r", "a:r", "a:copied", status=None, timeout=60)
    assert result.err.count(LEADS_BACK) == 2
    assert told(round_, "ls", "-R", "a:copied")[0] == [b"r", b"r/down", b"r/file"]


def test_restoring_and_checking_a_round(round_: Tallac, tmp_path: Path) -> None:
    """A restore makes each directory once, and a check of all ends and finds nothing."""
    result = round_("restore", "a:r", tmp_path / "restored", status=None, timeout=60)
    assert result.err.count(LEADS_BACK) == 2
    assert (tmp_path / "restored" / "file").read_bytes() == b"content"
    assert sorted(path.name for path in (tmp_path / "restored").rglob("*")) == ["down", "file"]
    round_("check", "--read-data", "a:", timeout=60)
    round_("deep-check", "a:r", timeout=60)


def test_a_round_through_the_gateway(round_: Tallac) -> None:
    """A manifest and a deep check of the gateway list each directory once, whatever the spelling of its cap."""
    cap = round_("cap", "a:r").out.decode().strip()
    with serving(round_) as gateway:
        answer = gateway.ask("POST", f"uri/{cap}?t=stream-manifest")
        kinds = [json.loads(line)["type"] for line in answer.text.splitlines()]
        assert sorted(kinds) == ["directory", "directory", "file", "stats"]
        assert gateway.ask("POST", f"uri/{cap}?t=stream-deep-check").text.count('"directory"') == 2


def test_finding_in_a_round(round_: Tallac) -> None:
    """A search over snapshots that hold such a directory ends, finds each path once, and says where it did not go on."""
    round_("mkdir", "a:t/Archives/2026-01-01_00:00:00Z")
    round_("ln", "a:r", "a:t/Archives/2026-01-01_00:00:00Z/r")
    lines, back = told(round_, "find", "a:t", "file")
    assert sum(b"r/file" in line for line in lines) == 1
    assert {path.rpartition(": ")[2] for path in back} == {"r/again", "r/down/spelled"}
    told(round_, "stats", "a:t")


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose trees are removed by a program that does not call itself for each level, as pytest would."""
    yield tmp_path
    subprocess.check_call(["rm", "-rf", *tmp_path.iterdir()])


@pytest.mark.slow
def test_a_deep_tree(tallac: Tallac, roomy: Path) -> None:
    """What backup takes, every other command takes: at 1,200 levels nothing runs out of stack or of room for a path."""
    top = roomy / "deep"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    tallac("-q", "backup", top, "tallac:t")
    snapshot = "tallac:t/Latest"
    for arguments in (["check", "--read-data", "tallac:"], ["deep-check", snapshot], ["stats", "tallac:t"], ["du", snapshot]):
        tallac(*arguments)
    assert len(tallac("ls", "-R", snapshot).lines) == DEPTH + 1
    assert len(tallac("manifest", snapshot).lines) == DEPTH + 2
    assert b"deep/file" in tallac("find", "tallac:t", "file").out
    assert tallac("diff", snapshot, top).out == b"result  no differences\n"
    tallac("cp", "-r", snapshot, roomy / "copy")
    found = subprocess.check_output(["find", roomy / "copy", "-name", "file"])
    assert found.endswith(b"/deep" * DEPTH + b"/file\n")
    tallac("cp", "-r", top, "tallac:again")
    assert len(tallac("ls", "-R", "tallac:again").lines) == DEPTH + 2
    tallac("check", "tallac:")
    tallac("rewrite", "tallac:t", "--exclude", "file")
    assert len(tallac("ls", "-R", snapshot).lines) == DEPTH


@pytest.mark.slow
def test_deep_mutable_directories(tallac: Tallac) -> None:
    """Mutable directories of 350 levels are copied, given their caps, moved and checked."""
    tallac("create-alias", "tallac")
    deep = "/".join(["d"] * 350)
    tallac("mkdir", f"tallac:{deep}")
    assert tallac("cap", "--write", f"tallac:{deep}").out.startswith(b"URI:DIR2:")
    tallac("cp", "-r", "tallac:d", "tallac:copy")
    assert len(tallac("ls", "-R", "tallac:copy").lines) == 350
    tallac("check", "tallac:")
    tallac("cp", "-r", "tallac:d", "tallac:copy")
