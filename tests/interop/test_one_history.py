"""`tahoe backup` and `tallac backup` are one history, whichever comes first."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS
from tests.interop.on_grid import OnGrid
from tests.interop.tahoe_grid import TahoeGrid
from tests.ticks import settle

TWO = b"two\n" * 500


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Give a source that `tahoe backup` keeps as a whole: files, small and large, and directories.

    No other test has its like: `tahoe backup` takes a directory for one that it knows where names and contents are the same, and
    does not look at times and modes.
    """
    source = tmp_path / "documents"
    (source / "letters" / "old").mkdir(parents=True)
    (source / "photos").mkdir()
    (source / "letters" / "one.txt").write_text(f"one {tmp_path.name}\n")
    (source / "letters" / "old" / "two.txt").write_bytes(TWO + os.urandom(10))
    (source / "photos" / "ü.jpg").write_bytes(os.urandom(100_000))
    (source / "empty").touch()
    (source / "name").write_text(tmp_path.name)
    return source


def test_tallac_goes_on_where_tahoe_left_off(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, documents: Path) -> None:
    """The same source comes out as the same directories and files, cap by cap; after a change, all that is not above it."""
    tahoe_grid.tahoe("backup", documents, target)
    before = on_grid.cap(f"{target}/Latest")
    on_grid("backup", documents, target)
    assert on_grid.cap(f"{target}/Latest") == before

    (documents / "letters" / "one.txt").write_text("another\n")
    on_grid("backup", documents, target)
    after = on_grid.cap(f"{target}/Latest")
    assert after != before
    for name in ("photos", "letters/old", "photos/ü.jpg"):
        assert on_grid.cap(f"{target}/Latest/{name}") == on_grid.cap(f"{before}/{name}")
    assert on_grid.cap(f"{target}/Latest/letters") != on_grid.cap(f"{before}/letters")
    assert len(on_grid.snapshots(target)) == 3


def test_tallac_shares_what_tahoe_stored_since(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, documents: Path) -> None:
    """After a change that `tahoe backup` has stored first, Tallac, which knows the source, comes to the same directories."""
    tahoe_grid.tahoe("backup", documents, target)
    on_grid("backup", documents, target)
    # `tahoe backup` takes a file for unchanged that has its old size and changed within the second that it was stored in.
    (documents / "letters" / "old" / "two.txt").write_bytes(TWO + os.urandom(11))
    (documents / "letters" / "new").mkdir()
    (documents / "letters" / "new" / "three.txt").write_text(f"three {documents}")
    on_grid.await_next_name(target)
    tahoe_grid.tahoe("backup", documents, target)
    before = on_grid.cap(f"{target}/Latest")
    on_grid("backup", documents, target)
    # What is in them says more of a difference than their caps do.
    for path in ("/letters/new", "/letters/old", "/letters", ""):
        found, wanted = (json.loads(tahoe_grid.tahoe("ls", "--json", place + path).out) for place in (f"{target}/Latest", before))
        assert found == wanted, path
    assert on_grid.cap(f"{target}/Latest") == before

    # A change in one directory leaves the others shared, wherever they were stored first.
    (documents / "letters" / "new" / "four.txt").write_text("four")
    on_grid("backup", documents, target)
    assert on_grid.cap(f"{target}/Latest") != before
    assert on_grid.cap(f"{target}/Latest/letters/old") == on_grid.cap(f"{before}/letters/old")


def test_both_leave_out_the_same(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, documents: Path, tmp_path: Path) -> None:
    """With the options that `tahoe backup` has, the same is left out; reading all files anew changes nothing."""
    for name in (".git", "CVS", "letters/.svn"):
        (documents / name).mkdir()
        (documents / name / "inside").write_text(name)
    for name in (".gitignore", "letters/draft.tmp", "photos/film.iso", "=update"):
        (documents / name).write_text(name)
    (tmp_path / "patterns").write_text("*.iso\n")
    options = ["--exclude-vcs", "--exclude", "*.tmp", "--exclude-from-utf-8", str(tmp_path / "patterns")]
    tahoe_grid.tahoe("backup", *options, documents, target)
    before = on_grid.cap(f"{target}/Latest")
    assert on_grid("backup", "--json", *options, documents, target).summary("excluded") == 7
    assert on_grid.cap(f"{target}/Latest") == before
    again = on_grid("backup", "--json", "--ignore-timestamps", *options, documents, target)
    assert again.summary("bytes_read") == sum(
        (documents / name).stat().st_size for name in ("empty", "name", "letters/one.txt", "letters/old/two.txt", "photos/ü.jpg")
    )
    assert on_grid.cap(f"{target}/Latest") == before


def test_what_tahoe_stored_is_not_read_again(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, documents: Path) -> None:
    """Of files that had not changed for a day when `tahoe backup` ran, only metadata is looked at."""
    for path in [documents, *documents.rglob("*")]:
        os.utime(path, (1_000_000_000, 1_000_000_000.25))
    tahoe_grid.tahoe("backup", documents, target)
    # ctime can't be set back; the snapshot can be given a later name.
    name = on_grid.snapshots(target)[0]
    on_grid("mv", f"{target}/Archives/{name}", f"{target}/Archives/{_in_days(2)}")
    result = on_grid("backup", "--json", documents, target)
    assert result.summary("bytes_read") == 0
    assert result.summary("files_unchanged") == 5


def test_tahoe_works_on_what_tallac_made(
    on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, documents: Path, tmp_path: Path
) -> None:
    """`tahoe ls`, `get`, `cp -r` and `backup` take a snapshot of Tallac's for one of their own; files are shared."""
    on_grid("backup", documents, target)
    tahoe = tahoe_grid.tahoe
    assert tahoe("ls", f"{target}/Latest").text.splitlines() == ["empty", "letters", "name", "photos"]
    assert tahoe("get", f"{target}/Latest/letters/old/two.txt").out.startswith(TWO)
    tahoe("cp", "-r", f"{target}/Latest", tmp_path / "copied")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "copied").rglob("*") if path.is_file()}
    assert copied == {path.name: path.read_bytes() for path in documents.rglob("*") if path.is_file()}

    first = on_grid.cap(f"{target}/Latest/photos/ü.jpg")
    on_grid.await_next_name(target)
    tahoe("backup", documents, target)
    assert len(on_grid.snapshots(target)) == 2
    assert on_grid.cap(f"{target}/Latest/photos/ü.jpg") == first
    on_grid("backup", documents, target)
    assert len(tahoe("ls", f"{target}/Archives").text.splitlines()) == 3


@pytest.mark.parametrize("name", ["2008-11-16 10.34 PM", "2009-02-03_04:09:02Z"])
def test_a_snapshot_of_tahoe_is_restored(
    on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, documents: Path, tmp_path: Path, name: str
) -> None:
    """What `tahoe backup` made comes back with modes and times, under a name of the old Windows tool as well."""
    (documents / "letters" / "one.txt").chmod(0o640)
    tahoe_grid.tahoe("backup", documents, target)
    made = on_grid.snapshots(target)[0]
    tahoe_grid.tahoe("mv", f"{target}/Archives/{made}", f"{target}/Archives/{name}")
    assert on_grid.snapshots(target) == [name]
    on_grid("restore", f"{target}/Archives/{name}", tmp_path / "restored")
    for path in documents.rglob("*"):
        restored = tmp_path / "restored" / path.relative_to(documents)
        assert restored.stat().st_mode == path.stat().st_mode
        assert abs(restored.stat().st_mtime_ns - path.stat().st_mtime_ns) < 1000
        assert path.is_dir() or restored.read_bytes() == path.read_bytes()


def test_what_tahoe_skips_is_kept(on_grid: OnGrid, tahoe_grid: TahoeGrid, target: str, documents: Path, tmp_path: Path) -> None:
    """Symbolic links, special files, hard links and names that Tahoe can't hold come back as they were."""
    (documents / "link").symlink_to("letters/one.txt")
    os.mkfifo(documents / "fifo")
    _bind(documents / "socket")
    os.link(documents / "empty", documents / "linked")
    strange = [b"\xff\xfe latin", "u\N{COMBINING DIAERESIS}.txt".encode(), b"tallac-name:x%41", b"new\nline"]
    for name in strange:
        Path(os.fsdecode(os.path.join(os.fsencode(documents), name))).write_bytes(name)
    on_grid("backup", documents, target)
    restored = tmp_path / "restored"
    on_grid("restore", f"{target}/Latest", restored)
    assert sorted(os.listdir(os.fsencode(restored))) == sorted(os.listdir(os.fsencode(documents)))
    for text in os.listdir(documents):
        before, after = (documents / text).lstat(), (restored / text).lstat()
        assert (before.st_mode, before.st_mtime_ns, before.st_nlink) == (after.st_mode, after.st_mtime_ns, after.st_nlink)
    assert (restored / "link").readlink() == Path("letters/one.txt")
    for name in strange:
        assert Path(os.fsdecode(os.path.join(os.fsencode(restored), name))).read_bytes() == name
    # They are on the grid under names that any client takes.
    tahoe_grid.tahoe("cp", "-r", f"{target}/Latest", tmp_path / "copied")
    listed = tahoe_grid.tahoe("ls", "--json", f"{target}/Latest").text
    assert "tallac-name:%FF%FE latin" in listed


def test_a_lost_source_database_costs_no_upload(on_grid: OnGrid, target: str, documents: Path) -> None:
    """Without local records Tallac's own latest snapshot stands in, and comes out as the same directory."""
    settle(documents)
    on_grid("backup", documents, target)
    before = on_grid.cap(f"{target}/Latest")
    shutil.rmtree(on_grid.tallac.home / "state")
    result = on_grid("backup", "--json", documents, target)
    assert result.summary("bytes_stored") == 0
    assert on_grid.cap(f"{target}/Latest") == before


def test_two_back_up_the_same_at_once(on_grid: OnGrid, target: str, tmp_path: Path) -> None:
    """Storage servers refuse a share that they are just being given; both backups succeed all the same, and share everything."""
    source = tmp_path / "same"
    source.mkdir()
    for number in range(40):
        # Every file has a copy, and most of them are under way at the same time.
        (source / f"{number:02}").write_text(f"{tmp_path} {number % 20}" * 100)
    (source / "large").write_bytes(os.urandom(3_000_000))
    processes = [on_grid.tallac.start("--node-directory", on_grid.directory, "backup", source, target) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, (out, err)
    assert len(on_grid.snapshots(target)) == 2
    on_grid("restore", f"{target}/Latest", tmp_path / "restored")
    assert (tmp_path / "restored" / "large").read_bytes() == (source / "large").read_bytes()


def _in_days(days: int) -> str:
    return time.strftime("%Y-%m-%d_%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
