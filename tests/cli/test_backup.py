from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import COMMAND, PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.command import Tallac


def test_the_first_backup_makes_a_vault(tallac: Tallac, source: Path) -> None:
    """The first backup makes the default vault, and says where it is and what must not be lost; the second does not."""
    result = tallac("backup", source)
    assert f"created a vault in {tallac.home / 'vault'}, with the alias tallac:" in result.err
    assert f"keep a copy of {tallac.home / 'config' / 'tallac.json'}" in result.err
    assert tallac("backup", source).err == ""
    assert tallac("ls").lines == [b"Archives", b"Latest"]


def test_the_summary(tallac: Tallac, source: Path) -> None:
    """A person reads what was new, changed and unchanged, what was read and stored, and the snapshot's name."""
    first = tallac("backup", source, "tallac:docs")
    rows = dict(line.split(None, 1) for line in first.out.decode().splitlines())
    assert list(rows) == ["files", "directories", "read", "stored", "time", "snapshot"]
    assert rows["files"] == "3 new, 0 changed, 0 unchanged"
    assert rows["read"] == "4.01 kB"
    assert tallac("ls", rows["snapshot"]).lines == [b"empty", b"parent"]
    (source / "parent" / "blah.txt").write_text("changed")
    second = tallac("backup", source, "tallac:docs").out.decode()
    assert "0 new, 1 changed, 2 unchanged" in second


def test_quiet(tallac: Tallac, source: Path) -> None:
    """With -q nothing is printed, before or after the command."""
    assert tallac("-q", "backup", source).err == ""
    assert tallac("backup", "-q", source).out == b""


def test_verbose(tallac: Tallac, source: Path) -> None:
    """With -v each file is named, before or after the command."""
    tallac("-q", "create-alias", "tallac")
    names = ["parent/blah.txt", "parent/subdir/bar.txt", "parent/subdir/foo.txt"]
    for arguments in (("-v", "backup", source), ("backup", "-v", source)):
        result = tallac(*arguments)
        assert sorted(line.split()[-1].decode() for line in result.lines[:3]) == [str(source / name) for name in names]
        assert result.err == ""


def test_verbose_beside_content(tallac: Tallac, source: Path) -> None:
    """Where standard output carries JSON, an archive or a cap, the names go to standard error."""
    assert b"blah" not in tallac("-v", "--json", "backup", source).out
    assert "blah.txt" in tallac("-v", "--json", "backup", source).err
    archive = tallac("-v", "restore", "Latest", "-")
    assert archive.out == tallac("restore", "Latest", "-").out
    assert tallac("-v", "get", "Latest/parent/blah.txt", "-").out == (source / "parent" / "blah.txt").read_bytes()
    assert len(tallac("-v", "put", source / "parent" / "blah.txt").lines) == 1


def test_verbose_that_nobody_reads_to_its_end(tallac: Tallac, source: Path) -> None:
    """Whoever closes the list's pipe, or has no room for it, does not stop the backup."""
    tallac("-q", "create-alias", "tallac")
    with tallac.start("backup", "-v", source) as backup:
        assert backup.stdout is not None
        backup.stdout.close()
    assert tallac("ls", "Latest/parent").lines == [b"blah.txt", b"subdir"]
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, "backup", "-v", str(source), "tallac:full"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=tallac.environment, check=False)
    assert ended.returncode == 3
    assert b"was made" in ended.stderr
    assert tallac("ls", "full/Latest/parent").lines == [b"blah.txt", b"subdir"]


def test_json(tallac: Tallac, source: Path) -> None:
    """With --json the output is objects, the last of them a summary."""
    lines = tallac("--json", "backup", source).lines
    summary = json.loads(lines[-1])
    assert summary["type"] == "summary"
    assert (summary["files_new"], summary["bytes"], summary["incomplete"]) == (3, 4007, False)
    [snapshot] = [json.loads(line) for line in tallac("snapshots", "--json").lines]
    assert snapshot["snapshot"] == summary["snapshot"]
    assert snapshot["sources"] == [{"path": str(source)}]


def test_an_incomplete_snapshot(tallac: Tallac, source: Path) -> None:
    """What can't be read is named, the rest is kept, the snapshot is marked, and the exit status says so."""
    (source / "parent" / "blah.txt").chmod(0)
    result = tallac("backup", source, status=3, as_user=True)
    [named] = [line for line in result.error_lines if "blah.txt" in line]
    assert named.startswith("tallac: ")
    assert tallac("ls", "tallac:Latest/parent").lines == [b"subdir"]
    assert b"incomplete: 1 not read" in tallac("snapshots").out
    assert json.loads(tallac("--json", "snapshots").out)["incomplete"] is True


def test_the_source_holds_the_vault(tallac: Tallac, tmp_path: Path) -> None:
    """A vault that lies in the source is left out of the backup, and that is said once."""
    (tmp_path / "file").write_text("content")
    result = tallac("backup", tmp_path)
    told = [line for line in result.error_lines if "left out" in line]
    assert told == [f"{tallac.home / 'vault'}: left out: it is the vault that this backup goes into"]
    assert tallac("-q", "backup", tmp_path).err == ""
    assert tallac("ls", "tallac:Latest").lines == [b"file", b"home"]
    assert b"vault" not in tallac("ls", "tallac:Latest/home").lines


def test_the_source_lies_in_the_vault(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A vault is not backed up into itself, whatever path leads there."""
    tallac("-q", "backup", source)
    assert "inside the vault" in tallac.fails("backup", tallac.home / "vault", status=2)
    (tmp_path / "link").symlink_to(tallac.home / "vault" / "slots")
    assert "inside the vault" in tallac.fails("backup", tmp_path / "link", status=2)


def test_odd_names(tallac: Tallac, tmp_path: Path) -> None:
    """Names that are not UTF-8, or hold line breaks, are kept byte for byte, also in the C locale."""
    names = [b"\xff\xfe", b"line\nbreak", b"\x1b[31mred", b"-rf", "ü".encode()]
    source = tmp_path / "s\udce9"
    source.mkdir()
    for name in names:
        (source / os.fsdecode(name)).write_bytes(name)
    tallac("-q", "backup", source)
    assert tallac("ls", "-0", "Latest").out.split(b"\0")[:-1] == sorted(names)
    for name in names:
        assert tallac("get", b"tallac:Latest/" + name).out == name
    records = [json.loads(line) for line in tallac("ls", "--json", "Latest").lines]
    assert {record["name"] for record in records if "name_hex" not in record} == {name.decode() for name in names[1:]}
    assert [bytes.fromhex(record["name_hex"]) for record in records if "name_hex" in record] == [b"\xff\xfe"]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["tallac:", "tallac:a/b", "a/b"])
def test_two_at_once(tallac: Tallac, source: Path, target: str) -> None:
    """Backups into one target at the same time all succeed, the first ones of all too, and all their snapshots are there."""
    running = [tallac.start("backup", source, target) for _ in range(3)]
    finished = [(process, *process.communicate(timeout=PATIENCE_SECONDS)) for process in running]
    assert [process.returncode for process, _, _ in finished] == [0] * 3, finished
    assert len(tallac("snapshots", target).lines) == 1 + 3
    assert tallac("check", "--read-data", "tallac:").status == 0
