"""`restore`, `get`, `put` and `cp` of single files: what they replace, how they name it, and what they refuse."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import COMMAND

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow

HOLE = 8 << 20


@pytest.fixture(autouse=True)
def usb(tallac: Tallac) -> None:
    """Make the alias that the tests use."""
    tallac("-q", "create-alias", "usb")


@pytest.fixture
def docs(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Give a command with a snapshot of files, links and a FIFO."""
    folder = tmp_path / "docs"
    (folder / "letters").mkdir(parents=True)
    (folder / "letters" / "rent.txt").write_text("rent")
    (folder / "notes.txt").write_text("notes")
    (folder / "picture").write_bytes(b"\x89PNG\0\1")
    (folder / "link").symlink_to("letters/rent.txt")
    os.mkfifo(folder / "pipe")
    tallac("-q", "backup", folder, "usb:docs")
    return tallac


def test_a_pattern_that_matches_nothing(docs: Tallac, tmp_path: Path) -> None:
    """The exit status says so, with advice, for a folder, an archive and a dry run."""
    for rest in ((tmp_path / "out",), ("-",), ("-n", tmp_path / "out")):
        line = docs("restore", "usb:docs/Latest", *rest, "--include", "notes.text", "--iinclude", "X", status=1).err
        assert line.count("\n") == 1
        assert "usb:docs/Latest: nothing matches notes.text, X" in line
        assert "tallac ls -R usb:docs/Latest" in line


@pytest.mark.parametrize(
    ("place", "pattern", "expected"),
    [
        ("usb:docs/Latest", "letters/rent.txt", ["letters", "letters/rent.txt"]),
        ("usb:docs/Latest", "letters/", ["letters", "letters/rent.txt"]),
        ("usb:docs/Latest/letters", "letters/*.txt", ["rent.txt"]),
        ("usb:docs/Latest", "*.txt", ["letters", "letters/rent.txt", "notes.txt"]),
    ],
)
def test_patterns_with_paths_of_the_source(docs: Tallac, tmp_path: Path, place: str, pattern: str, expected: list[str]) -> None:
    """What begins with the source's own path is looked for there."""
    if not pattern.startswith("*"):
        pattern = f"{tmp_path}/docs/{pattern}"
    docs("-q", "restore", place, tmp_path / "out", "--include", pattern)
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")) == expected


@pytest.mark.slow
def test_patterns_with_paths_of_several_sources(tallac: Tallac, tmp_path: Path) -> None:
    """They are looked for where the snapshot has them, below the root or a folder that the paths are relative to."""
    for name in ("a/one", "b/two"):
        (tmp_path / "home" / name).mkdir(parents=True)
        (tmp_path / "home" / name / "file").write_text(name)
    tallac("-q", "backup", tmp_path / "home" / "a", tmp_path / "home" / "b", "usb:both")
    pattern = f"{tmp_path}/home/b/two/file"
    tallac("-q", "restore", f"usb:both/Latest{tmp_path}/home", tmp_path / "out", "--include", pattern)
    base = ("--relative-to", tmp_path)
    tallac("-q", "backup", *base, tmp_path / "home" / "a", tmp_path / "home" / "b", "usb:based")
    tallac("-q", "restore", "usb:based/Latest", tmp_path / "based", "--include", pattern)
    for out in (tmp_path / "out", tmp_path / "based" / "home"):
        assert (out / "b" / "two" / "file").read_text() == "b/two"
        assert not (out / "a").exists()


def test_a_file_gets_the_name_that_is_given(docs: Tallac, tmp_path: Path) -> None:
    """A name that is not there, or is a file's, is that of the file; a folder, or what ends in a slash, is where it goes."""
    (tmp_path / "there").mkdir()
    docs("-q", "restore", "usb:docs/Latest/notes.txt", tmp_path / "mine.txt")
    docs("-q", "restore", "usb:docs/Latest/notes.txt", tmp_path / "there")
    docs("-q", "restore", "usb:docs/Latest/notes.txt", f"{tmp_path}/new/")
    docs("-q", "restore", "usb:docs/Latest/link", tmp_path / "mine.link")
    assert (tmp_path / "mine.txt").read_text() == "notes"
    assert (tmp_path / "there" / "notes.txt").read_text() == "notes"
    assert (tmp_path / "new" / "notes.txt").read_text() == "notes"
    assert os.readlink(tmp_path / "mine.link") == "letters/rent.txt"


@pytest.mark.parametrize("options", [(), ("-n",)])
def test_a_file_that_exists_is_kept(docs: Tallac, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Without --overwrite it stays, and the message says what to write."""
    (tmp_path / "notes.txt").write_text("newer")
    for target in (tmp_path, tmp_path / "notes.txt"):
        line = docs("restore", *options, "usb:docs/Latest/notes.txt", target, status=1).err
        assert "notes.txt: exists already; use --overwrite" in line
    assert (tmp_path / "notes.txt").read_text() == "newer"
    docs("-q", "restore", *options, "usb:docs/Latest/notes.txt", tmp_path / "notes.txt", "--overwrite", "always")
    assert (tmp_path / "notes.txt").read_text() == ("newer" if options else "notes")


@pytest.mark.slow
def test_holes_stay_holes(tallac: Tallac, tmp_path: Path) -> None:
    """Whatever way a sparse file takes, in and out, it takes no room for what it does not hold."""
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.seek(HOLE)
        file.write(b"in the middle")
        file.truncate(3 * HOLE + 5)
    if sparse.stat().st_blocks * 512 >= HOLE:
        pytest.skip("this file system has no holes")
    tallac("mkdir", "usb:mine")
    tallac("put", sparse, "usb:mine/put")
    tallac("cp", sparse, "usb:mine/copied")
    for name in ("put", "copied"):
        for command in ("get", "cp", "restore"):
            out = tmp_path / f"{name}-{command}"
            tallac("-q", command, f"usb:mine/{name}", out)
            status = out.stat()
            assert (status.st_size, status.st_blocks * 512 < 1 << 20) == (3 * HOLE + 5, True), (name, command)
            with out.open("rb") as file:
                file.seek(HOLE - 3)
                assert file.read(20) == b"\0\0\0in the middle\0\0\0\0"


def test_what_is_no_regular_file_is_not_got(docs: Tallac, tmp_path: Path) -> None:
    """A link is named with where it leads, a FIFO as what it is; nothing is written."""
    for command in (("get", "usb:docs/Latest/link"), ("cp", "usb:docs/Latest/link")):
        line = docs.fails(*command, tmp_path / "out")
        assert "usb:docs/Latest/link: a symbolic link to letters/rent.txt" in line
    assert "usb:docs/Latest/pipe: a FIFO" in docs.fails("get", "usb:docs/Latest/pipe", tmp_path / "out")
    assert "a symbolic link" in docs.fails("get", "usb:docs/Latest/link")
    assert not (tmp_path / "out").exists()


def test_get_replaces_only_when_told(docs: Tallac, tmp_path: Path, null_device: Path) -> None:
    """An existing file, named or found in a folder, is replaced with --force alone."""
    (tmp_path / "notes.txt").write_text("newer")
    for target in (tmp_path / "notes.txt", tmp_path):
        assert "notes.txt: exists already" in docs.fails("get", "usb:docs/Latest/notes.txt", target)
        assert (tmp_path / "notes.txt").read_text() == "newer"
    docs("get", "usb:docs/Latest/notes.txt", tmp_path, "--force")
    assert (tmp_path / "notes.txt").read_text() == "notes"
    docs("get", "usb:docs/Latest/notes.txt", null_device)


@pytest.mark.slow
def test_binary_content_is_kept_off_terminals(docs: Tallac) -> None:
    """Text is written; anything else is refused, unless it is forced."""
    assert b"notes" in on_terminal(docs, "get", "usb:docs/Latest/notes.txt")
    refused = on_terminal(docs, "get", "usb:docs/Latest/picture")
    assert b"PNG" not in refused
    assert b"not text" in refused
    assert b"PNG\0" in on_terminal(docs, "get", "usb:docs/Latest/picture", "--force")


def on_terminal(tallac: Tallac, *arguments: str) -> bytes:
    """Return what a command writes to its terminal, errors included."""
    outer, inner = pty.openpty()
    subprocess.run(
        [*COMMAND, *arguments], env=tallac.environment, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner, check=False
    )
    os.close(inner)
    written = b""
    try:
        while block := os.read(outer, 1 << 16):
            written += block
    except OSError:
        pass  # All has been read, and nobody else has the terminal open.
    os.close(outer)
    return written


@pytest.mark.parametrize("replaced", ["a", "b", "c"])
def test_a_dry_run_counts_hard_links_as_the_run_does(tallac: Tallac, tmp_path: Path, replaced: str) -> None:
    """Three names of one file, of which one has become another file."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a").write_text("content")
    os.link(folder / "a", folder / "b")
    os.link(folder / "a", folder / "c")
    tallac("-q", "backup", folder, "usb:")
    (folder / replaced).unlink()
    (folder / replaced).write_text("another")
    command = ("--json", "restore", "usb:Latest", folder, "--overwrite", "always")
    foreseen, done = tallac(*command, "-n"), tallac(*command)
    for key in ("files", "replaced", "unchanged", "bytes", "amended"):
        assert foreseen.summary(key) == done.summary(key), key
    assert {(folder / name).stat().st_ino for name in "abc"} == {(folder / "a").stat().st_ino}


def test_a_restored_file_leaves_foreign_links(tallac: Tallac, tmp_path: Path) -> None:
    """A further name that the snapshot does not know keeps its file, and the restored names have one of their own."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a").write_text("content")
    os.link(folder / "a", folder / "b")
    tallac("-q", "backup", folder, "usb:")
    os.link(folder / "a", tmp_path / "foreign")
    tallac("-q", "restore", "usb:Latest", folder, "--overwrite", "always")
    assert (folder / "a").stat().st_ino == (folder / "b").stat().st_ino != (tmp_path / "foreign").stat().st_ino
    assert (tmp_path / "foreign").stat().st_nlink == 1
