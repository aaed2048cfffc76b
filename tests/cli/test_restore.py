from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac


@pytest.fixture
def docs(tallac: Tallac, source: Path) -> Tallac:
    """Give a command with one snapshot."""
    tallac("-q", "backup", source)
    return tallac


def names(folder: Path) -> list[str]:
    """List all that is below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_patterns(docs: Tallac, tmp_path: Path) -> None:
    """A restore brings back what is included and not excluded, and names it with -v."""
    told = docs("restore", "-v", "Latest", tmp_path / "out", "--include", "*.txt", "--exclude", "/parent/subdir/foo.txt")
    assert names(tmp_path / "out") == ["parent", "parent/blah.txt", "parent/subdir", "parent/subdir/bar.txt"]
    assert [line.split(maxsplit=1) for line in sorted(told.lines[:4])] == [
        [b"new", b"parent"],
        [b"new", b"parent/blah.txt"],
        [b"new", b"parent/subdir"],
        [b"new", b"parent/subdir/bar.txt"],
    ]
    assert told.err == ""
    docs("restore", "Latest", tmp_path / "folded", "--iinclude", "FOO.*")
    assert names(tmp_path / "folded") == ["parent", "parent/subdir", "parent/subdir/foo.txt"]
    docs("restore", "Latest", tmp_path / "rest", "--iexclude", "SubDir/")
    assert names(tmp_path / "rest") == ["empty", "parent", "parent/blah.txt"]


def test_bad_patterns(docs: Tallac, tmp_path: Path) -> None:
    """What is no pattern, or no owner, is a mistake of use, told before anything is made."""
    assert "matches nothing" in docs.fails("restore", "Latest", tmp_path / "out", "--include", "#", status=2)
    assert "not a pair" in docs.fails("restore", "Latest", tmp_path / "out", "--owner-map", "ann", status=2)
    assert "no such group" in docs.fails("restore", "Latest", tmp_path / "out", "--group-map", "a:no-such", status=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners(docs: Tallac, tmp_path: Path) -> None:
    """Root gives what belonged to one to another."""
    docs("restore", "Latest/parent/blah.txt", tmp_path, "--numeric-owner", "--owner-map", "root:1234", "--group-map", "0:4321")
    status = (tmp_path / "blah.txt").stat()
    assert (status.st_uid, status.st_gid) == (1234, 4321)
    summary = json.loads(docs("restore", "--json", "Latest", tmp_path / "out").lines[-1])
    assert summary["complete"] is True


def test_in_place(docs: Tallac, source: Path) -> None:
    """Over a changed source, only what differs is written; what is not in the snapshot goes if that was asked for."""
    (source / "parent" / "blah.txt").write_text("changed")
    (source / "parent" / "subdir" / "bar.txt").unlink()
    (source / "more").mkdir()
    (source / "more" / "file").write_text("new")
    (source / "parent" / "subdir" / "foo.txt").chmod(0o600)
    assert "--overwrite" in docs.fails("restore", "Latest", source)
    assert "--overwrite" in docs.fails("restore", "Latest", source, "--delete", status=2)
    told = docs("restore", "-v", "Latest", source, "--overwrite", "if-changed", "--delete")
    assert sorted(line.split(maxsplit=1) for line in told.lines[:5]) == [
        [b"amended", b"parent/subdir/foo.txt"],
        [b"deleted", b"more"],
        [b"deleted", b"more/file"],
        [b"new", b"parent/subdir/bar.txt"],
        [b"replaced", b"parent/blah.txt"],
    ]
    assert docs("diff", "tallac:Latest", source).lines == [b"result  no differences"]
    again = docs("--json", "restore", "Latest", source, "--overwrite", "always")
    assert (again.summary("files"), again.summary("unchanged")) == (0, 3)


def test_the_vault_is_not_deleted(docs: Tallac, source: Path) -> None:
    """A restore with --delete into the folder that holds vault, keys and state leaves these."""
    summary = docs("--json", "restore", "Latest", docs.home, "--overwrite", "always", "--delete", "--any-source")
    assert summary.summary("deleted") == 0
    docs("check", "--read-data", "tallac:")


def test_a_dry_run(docs: Tallac, source: Path, tmp_path: Path) -> None:
    """What would be done is counted and named, and not done."""
    told = docs("restore", "-v", "--dry-run", "Latest", tmp_path / "out")
    assert told.lines[6] == b"would restore  3 files, 4 directories, 4.01 kB"
    assert {line.split()[0] for line in told.lines[:6]} == {b"new"}
    assert told.err == ""
    assert not (tmp_path / "out").exists()
    (source / "parent" / "blah.txt").write_text("changed")
    (source / "more").touch()
    foreseen = docs("--json", "restore", "-n", "Latest", source, "--overwrite", "if-changed", "--delete")
    assert [foreseen.summary(key) for key in ("files", "replaced", "deleted", "unchanged")] == [1, 1, 1, 2]
    assert (source / "parent" / "blah.txt").read_text() == "changed"
    assert (source / "more").exists()


def test_reading_back(docs: Tallac, tmp_path: Path) -> None:
    """With --verify, all files are read back and counted."""
    told = docs("restore", "--verify", "Latest", tmp_path / "out")
    assert [line.split() for line in told.lines][1] == [b"verified", b"3"]


def test_archives(docs: Tallac, tmp_path: Path) -> None:
    """With - in place of the folder, a tar or zip archive goes to standard output, and nothing else does."""
    tar = docs("restore", "Latest", "-").out
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert sorted(archive.getnames()) == [
            ".",
            "empty",
            "parent",
            "parent/blah.txt",
            "parent/subdir",
            "parent/subdir/bar.txt",
            "parent/subdir/foo.txt",
        ]
    zipped = docs("restore", "--target", "-", "--archive", "zip", "Latest/parent/blah.txt").out
    with zipfile.ZipFile(io.BytesIO(zipped)) as other:
        assert other.read("blah.txt") == b"blah"
    docs("restore", "--target", tmp_path / "out", "Latest")
    assert "parent" in names(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("Latest",),
        ("Latest", "out", "--target", "out"),
        ("Latest", "out", "--archive", "tar"),
        ("Latest", "-", "--overwrite", "always"),
        ("Latest", "-", "--verify"),
        ("Latest", "-", "--json"),
    ],
)
def test_what_makes_no_sense_is_refused(docs: Tallac, arguments: tuple[str, ...]) -> None:
    """Before anything is written."""
    docs.fails("restore", *arguments, status=2)


def test_a_normal_user_restores_in_place(docs: Tallac, tmp_path: Path) -> None:
    """Directories and files that their owner has closed are opened, made right, and closed again."""
    out = tmp_path / "out"
    docs("restore", "tallac:Latest", out, as_user=True)
    (out / "parent" / "subdir" / "foo.txt").unlink()
    (out / "parent" / "blah.txt").chmod(0)
    (out / "parent" / "subdir").chmod(0)
    (out / "parent").chmod(0)
    (out / "extra" / "closed").mkdir(parents=True)
    (out / "extra" / "closed" / "file").touch()
    (out / "extra" / "closed").chmod(0)
    told = docs("--json", "restore", "tallac:Latest", out, "--overwrite", "if-changed", "--delete", as_user=True)
    assert told.err == ""
    assert [told.summary(key) for key in ("files", "unchanged", "deleted", "unset")] == [2, 1, 3, 0]
    assert docs("diff", "tallac:Latest", out).lines == [b"result  no differences"]
