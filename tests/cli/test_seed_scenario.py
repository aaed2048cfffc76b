from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ticks import settle

if TYPE_CHECKING:
    from tests.command import Tallac


def test_the_seed_scenario(tallac: Tallac, source: Path) -> None:
    """Three backups of a changing tree: each snapshot shows its own state, and what is unchanged is shared."""
    tallac("create-alias", "ALIAS")
    tallac("backup", source, "ALIAS:backups")
    assert tallac("ls", "ALIAS:backups").lines == [b"Archives", b"Latest"]
    assert tallac("ls", "ALIAS:backups/Latest").lines == [b"empty", b"parent"]
    assert tallac("ls", "ALIAS:backups/Latest/empty").lines == []
    assert tallac("ls", "ALIAS:backups/Latest/parent").lines == [b"blah.txt", b"subdir"]
    assert tallac("get", "ALIAS:backups/Latest/parent/subdir/foo.txt").out == b"foo"
    assert tallac("get", "ALIAS:backups/Latest/parent/subdir/bar.txt").out == b"bar\n" * 1000
    [first] = tallac("ls", "ALIAS:backups/Archives").lines

    # A second without a change, in the same second as far as the machine is fast enough.
    tallac("backup", source, "ALIAS:backups")
    snapshots = tallac("ls", "ALIAS:backups/Archives").lines
    assert snapshots[0] == first
    assert len(snapshots) == 2
    caps = {tallac("cap", b"ALIAS:backups/Archives/" + name).out for name in snapshots}
    assert len(caps) == 1

    (source / "parent" / "subdir" / "foo.txt").write_text("FOOF!")
    (source / "parent" / "blah.txt").unlink()
    (source / "parent" / "blah.txt").mkdir()
    (source / "parent" / "blah.txt" / "file").write_text("in blah.txt")
    (source / "empty").rmdir()
    (source / "empty").write_text("a file now")
    tallac("backup", source, "ALIAS:backups")
    assert tallac("ls", "ALIAS:backups").lines == [b"Archives", b"Latest"]
    assert len(tallac("ls", "ALIAS:backups/Archives").lines) == 3
    assert tallac("get", "ALIAS:backups/Latest/parent/subdir/foo.txt").out == b"FOOF!"
    assert tallac("ls", "ALIAS:backups/Latest/parent/blah.txt").lines == [b"file"]
    assert tallac("get", "ALIAS:backups/Latest/parent/blah.txt/file").out == b"in blah.txt"
    assert tallac("get", "ALIAS:backups/Latest/empty").out == b"a file now"

    old = b"ALIAS:backups/Archives/" + first
    assert tallac("get", old + b"/parent/subdir/foo.txt").out == b"foo"
    assert tallac("get", old + b"/parent/blah.txt").out == b"blah"
    assert tallac("ls", old + b"/empty").lines == []


def test_two_backups_in_one_second(tallac: Tallac, source: Path) -> None:
    """However fast they follow each other, each backup has a snapshot of its own, sharing what has not changed."""
    tallac("create-alias", "ALIAS")
    settle(source)
    for _ in range(4):
        tallac("backup", source, "ALIAS:backups")
    snapshots = tallac("ls", "ALIAS:backups/Archives").lines
    assert len(snapshots) == 4
    assert len({tallac("cap", b"ALIAS:backups/Archives/" + name + b"/parent").out for name in snapshots}) == 1


def test_restoring_the_first_snapshot(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """What comes back is the tree that was backed up."""
    tallac("backup", source)
    shutil.copytree(source, tmp_path / "copy")
    shutil.rmtree(source)
    tallac("restore", "tallac:Latest", tmp_path / "restored")
    for path in (tmp_path / "copy").rglob("*"):
        restored = tmp_path / "restored" / path.relative_to(tmp_path / "copy")
        assert restored.is_dir() == path.is_dir()
        assert path.is_dir() or restored.read_bytes() == path.read_bytes()
