from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.restore.test_random_trees import TreeMaker

from tallac.dag import Entry, Metadata
from tallac.errors import ArchiveError, EntryError
from tallac.restore import ArchiveKind, PathFilter, Problem, RestoreObserver, RestoreOptions, write_archive
from tallac.restore.archive.archive import READ_AHEAD_SIZE_MAX

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

AT = (1_000_000_000, 123_456_789)
FILE = Metadata(mode=0o100640, mtime=AT, uid=1, gid=2, user="ann", group="staff")
DIRECTORY = Metadata(mode=0o40750, mtime=AT)


class Written:
    """An archive with what was said of it."""

    def __init__(self, grid: FakeGrid, kind: ArchiveKind = ArchiveKind.TAR) -> None:
        self._grid = grid
        self._kind = kind
        self.stream = io.BytesIO()
        self.problems: list[Problem] = []
        self.paths: list[bytes] = []

    def __call__(self, entry: Entry, selection: PathFilter | None = None) -> bytes:
        options = RestoreOptions(selection=selection or PathFilter())
        observer = RestoreObserver(problem=self.problems.append, change=lambda _, path: self.paths.append(path))
        self.summary = write_archive(self._grid, entry, self.stream, self._kind, options=options, observer=observer)
        return self.stream.getvalue()


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[None]:
    """Make everything accessible again, so that the test's folder can be removed."""
    yield
    subprocess.run(["chmod", "-R", "u+rwx", tmp_path], check=False, capture_output=True)


def tree_of(grid: FakeGrid) -> Entry:
    """Store one of each kind."""
    linked = Metadata(mode=0o100640, inode=1, device=1, links=2, xattrs=((b"user.a=%b", b"\0\xff\n"), (b"user.\xff", b"1")))
    inner = grid.put_directory([Entry(b"again", b"Llinked", linked), Entry(b"x.txt", b"Lx", FILE)])
    entries = [
        Entry.of(b"big", grid.put(b"b" * 100_000), FILE),
        Entry.of(b"d", inner, DIRECTORY),
        Entry(b"device", b"L", Metadata(mode=0o20600, rdev=(1, 3))),
        Entry(b"fifo", b"L", Metadata(mode=0o10600)),
        Entry(b"first", b"Llinked", linked),
        Entry(b"link", b"L", Metadata(mode=0o120777, target=b"d/\xff")),
        Entry(b"n" * 200 + b"\xff\xc3\xa4\n", b"Lname", Metadata(mode=0o100600, mtime=(-2, 500_000_000))),
        Entry(b"socket", b"L", Metadata(mode=0o140600)),
    ]
    return Entry.of(b"s", grid.put_directory(entries), DIRECTORY)


def test_a_tar_archive_has_everything(grid: FakeGrid) -> None:
    """Each kind, with names as bytes, exact times, links and attributes; what tar can't hold is said."""
    written = Written(grid)
    raw = written(tree_of(grid))
    assert len(raw) % tarfile.RECORDSIZE == 0
    with tarfile.open(fileobj=io.BytesIO(raw), errors="surrogateescape", encoding="utf-8") as archive:
        members = {os.fsencode(member.name): member for member in archive}
        assert members[b"big"].size == 100_000
        file = archive.extractfile(members[b"big"])
        assert file is not None
        assert file.read() == b"b" * 100_000
    long = b"n" * 200 + b"\xff\xc3\xa4\n"
    assert set(members) == {b".", b"big", b"d", b"d/again", b"d/x.txt", b"device", b"fifo", b"first", b"link", long}
    assert members[b"big"].pax_headers["mtime"] == "1000000000.123456789"
    assert (members[b"big"].mode, members[b"big"].uname, members[b"big"].gid) == (0o640, "ann", 2)
    assert members[long].pax_headers["mtime"] == "-1.5"
    assert (members[b"first"].type, members[b"first"].linkname) == (tarfile.LNKTYPE, "d/again")
    assert os.fsencode(members[b"link"].linkname) == b"d/\xff"
    assert (members[b"device"].devmajor, members[b"device"].devminor) == (1, 3)
    assert members[b"fifo"].isfifo()
    attribute = members[b"d/again"].pax_headers["SCHILY.xattr.user.a%3D%25b"]
    assert attribute.encode("utf-8", "surrogateescape") == b"\0\xff\n"
    told = {problem.path: problem.message for problem in written.problems}
    assert told.keys() == {b"d/again", b"socket"}
    assert "no socket" in told[b"socket"]
    assert (written.summary.files, written.summary.directories) == (8, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and gives files away")
@pytest.mark.parametrize("seed", range(4))
def test_a_random_tree_comes_out_of_tar(tree: Path, grid: FakeGrid, restored: Restored, reopened: None, seed: int) -> None:
    """GNU tar unpacks what restore would have restored: names, kinds, modes, owners, times, links and contents."""
    TreeMaker(seed).fill(os.fsencode(tree))
    snapshot = grid.snapshot(tree)
    raw = Written(grid)(snapshot)
    (restored.out).mkdir()
    restored(snapshot, tree.parent / "other")
    subprocess.run(["tar", "-xpf", "-", "--numeric-owner", "-C", restored.out], input=raw, check=True, capture_output=True)

    def seen(folder: Path) -> dict[bytes, tuple[object, ...]]:
        found: dict[bytes, tuple[object, ...]] = {}
        root = os.fsencode(folder)
        for top, directories, files in os.walk(root):
            for path in (top, *(os.path.join(top, name) for name in (*directories, *files))):
                status = os.lstat(path)
                kind = status.st_mode & 0o170000
                content = Path(os.fsdecode(path)).read_bytes() if kind == 0o100000 else b""
                mode = status.st_mode & 0o7700  # An ACL's mask stands where the group's rights do.
                # GNU tar clamps what it takes for unlikely.
                time_ns = status.st_mtime_ns if 0 <= status.st_mtime_ns < 2**32 * 10**9 else None
                links = 0 if kind == 0o40000 else status.st_nlink
                found[path[len(root) :]] = (kind, mode, status.st_uid, status.st_gid, time_ns, links, content)
        return found

    assert seen(restored.out) == seen(tree.parent / "other")


def test_a_zip_archive_has_what_zip_can_hold(grid: FakeGrid, tmp_path: Path) -> None:
    """Files, directories and links, with modes; the rest is said."""
    written = Written(grid, ArchiveKind.ZIP)
    raw = written(tree_of(grid))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        members = {info.filename: info for info in archive.infolist()}
        assert archive.read("big") == b"b" * 100_000
        assert archive.read("first") == archive.read("d/again") == b"linked"
        assert archive.read("link") == b"d/\xff"
    assert members["link"].external_attr >> 16 == 0o120777
    assert members["d/"].is_dir()
    assert members["big"].external_attr >> 16 == 0o100640
    assert {problem.path for problem in written.problems} >= {b"device", b"fifo", b"socket", b"first", b"d/again"}


@pytest.mark.parametrize("kind", list(ArchiveKind))
def test_patterns_go_for_archives(grid: FakeGrid, kind: ArchiveKind) -> None:
    """Only what is wanted is in it, with the directories on the way."""
    written = Written(grid, kind)
    written(tree_of(grid), PathFilter(["*.txt", "/fifo"], ["fifo"]))
    assert [path for path in written.paths if path] == [b"d", b"d/x.txt"]


@pytest.mark.parametrize("kind", list(ArchiveKind))
def test_a_damaged_file_is_left_out(grid: FakeGrid, kind: ArchiveKind) -> None:
    """And so are links to it; the archive is whole, and has the rest."""
    linked = Metadata(mode=0o100640, inode=1, device=1, links=2)
    lost = grid.put(b"x" * 1000)
    entries = [Entry.of(b"a", lost, linked), Entry.of(b"b", lost, linked), Entry(b"c", b"Lx", FILE)]
    grid.forget(lost)
    written = Written(grid, kind)
    raw = written(Entry.of(b"s", grid.put_directory(entries), DIRECTORY))
    assert written.summary.damaged == 2
    if kind is ArchiveKind.TAR:
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            assert archive.getnames() == [".", "c"]
    else:
        with zipfile.ZipFile(io.BytesIO(raw)) as zipped:
            assert zipped.namelist() == ["c"]


@pytest.mark.parametrize("kind", list(ArchiveKind))
def test_a_large_damaged_file_ends_the_archive(grid: FakeGrid, kind: ArchiveKind) -> None:
    """What has been written can't be taken back, so it must not look whole."""
    content = os.urandom(READ_AHEAD_SIZE_MAX + 1)
    cap = grid.put(content)
    grid.damaged_files[cap] = READ_AHEAD_SIZE_MAX // 2
    written = Written(grid, kind)
    with pytest.raises(ArchiveError, match="large: damaged"):
        written(Entry.of(b"s", grid.put_directory([Entry.of(b"large", cap, FILE)]), DIRECTORY))
    size = len(written.stream.getvalue())
    assert size < len(content)
    if kind is ArchiveKind.TAR:
        listed = subprocess.run(["tar", "-tf", "-"], input=written.stream.getvalue(), check=False, capture_output=True)
        assert listed.returncode != 0
    else:
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(written.stream.getvalue()))


class Closed:
    """A pipe that nobody reads."""

    def write(self, data: bytes, /) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("kind", list(ArchiveKind))
def test_what_the_stream_says_is_not_swallowed(grid: FakeGrid, kind: ArchiveKind) -> None:
    """A closed pipe ends the archive at once."""
    with pytest.raises(BrokenPipeError):
        write_archive(grid, tree_of(grid), Closed(), kind, options=RestoreOptions())


@pytest.mark.parametrize("kind", list(ArchiveKind))
@pytest.mark.parametrize("name", [b"..", b"/etc/passwd", b"a/../../b", b"", b"a\0b"])
def test_names_that_lead_out_are_in_no_archive(grid: FakeGrid, kind: ArchiveKind, name: bytes) -> None:
    """Whoever unpacks it need not be careful."""
    written = Written(grid, kind)
    written(Entry.of(b"s", grid.put_directory([Entry(name, b"Lx", FILE), Entry(b"good", b"Lx", FILE)]), DIRECTORY))
    assert [path for path in written.paths if path] == [b"good"]
    with pytest.raises(EntryError):
        written(Entry(name, b"Lx", FILE))
