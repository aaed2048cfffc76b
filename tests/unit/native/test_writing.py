"""Compiled and in Python, the same files are made, with the same problems; and whatever is not as usual is left to Python."""

from __future__ import annotations

import errno
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import pytest
from tests.unit.native.conftest import HURRY, compiled_with
from tests.unit.restore.conftest import FakeGrid

from tallac.dag import Entry, Metadata
from tallac.errors import DestinationError
from tallac.native import Library
from tallac.native.writing import FilesToWrite, Started, WriteMany
from tallac.restore.files.file_writer import UNUSUAL_MAX, Batch, FileWriter
from tallac.restore.filesystem import DestinationSystem
from tallac.restore.options import RestoreSettings
from tallac.restore.report import BatchResult

OWN = Metadata(mode=0o100640, uid=os.geteuid(), gid=os.getegid(), mtime=(1_000_000_000, 7))
SIZE_MAX_MOST = 20_000
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


class Compiled(DestinationSystem):
    """The real file system; files are made by the given function, and counted.

    Attributes:
        made: How many files were made without Python.
        left: How many were handed back.
    """

    def __init__(self, functions: Library, kind: type[FilesToWrite] = FilesToWrite) -> None:
        self._functions = functions
        self._kind = kind
        self.made = self.left = 0

    def writer_of_many(self) -> WriteMany | None:
        """See `DestinationSystem`."""
        system = self

        class Counted(self._kind):  # type: ignore[name-defined, misc]
            def go_on(self, directory: int) -> bool:
                first = self.number
                is_done = bool(super().go_on(directory))
                system.made += self.number - first
                system.left += not is_done
                return is_done

        return partial(Counted, self._functions)


class Nobody(AbstractContextManager[None]):
    """A normal user for the length of a block."""

    def __enter__(self) -> None:
        self._groups = os.getgroups()
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(self._groups)


class Ways:
    """A folder for each way of writing."""

    def __init__(self, folder: Path, functions: Library, prepare: Callable[[Path], None]) -> None:
        self.system = Compiled(functions)
        self.folders = folder / "compiled", folder / "python"
        for each in self.folders:
            each.mkdir()
            prepare(each)
            for path in each.iterdir():
                os.utime(path, (1, 1), follow_symlinks=False)
        self._systems: tuple[DestinationSystem, ...] = self.system, DestinationSystem()

    def write(self, entries: list[Entry], user: AbstractContextManager[None] | None = None) -> BatchResult:
        """Write in both ways, and see that nothing differs."""
        results = []
        for system, folder in zip(self._systems, self.folders, strict=True):
            result = written(system, folder, entries, user)
            assert isinstance(result, BatchResult)
            result.problems.sort(key=lambda problem: problem.path)
            results.append(result)
        assert results[0] == results[1]
        assert described(self.folders[0]) == described(self.folders[1])
        return results[0]


def written(
    system: DestinationSystem, folder: Path, entries: list[Entry], user: AbstractContextManager[None] | None = None
) -> BatchResult | str:
    """Write a batch into a folder, as some user; return what was said. No descriptor stays open."""
    descriptors = os.listdir("/proc/self/fd")
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with user or nullcontext():
            return FileWriter(FakeGrid(), RestoreSettings(), system).write_batch(Batch((b"d",), entries), directory)
    except DestinationError as error:
        return str(error)
    finally:
        os.close(directory)
        assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def described(folder: Path) -> dict[str, tuple[object, ...]]:
    """Tell all that must be the same."""
    told: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.iterdir()):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path, follow_symlinks=False)} if path.is_file() else {}
        mtime_ns = 0 if path.is_dir() or path.name.startswith("now") else status.st_mtime_ns
        told[path.name] = (status.st_mode, status.st_uid, status.st_gid, mtime_ns, status.st_size, content, xattrs)
    return told


def nothing(folder: Path) -> None:
    """Prepare nothing."""


def occupied(folder: Path) -> None:
    """Put something of each kind in the way of some names."""
    (folder / "f3").write_bytes(b"in the way")
    (folder / "f10").mkdir()
    (folder / "f17").symlink_to("elsewhere")
    os.mkfifo(folder / "f24")


def generated(seed: int, count: int) -> list[Entry]:
    """Make up files, most of them plain."""
    chance = random.Random(seed)
    owners = [(OWN.uid, OWN.gid)] + ([(0, 0), (1, 0), (0, 1), (1234, 4321), (2**32 - 2, 5)] if os.geteuid() == 0 else [(0, 0)])
    entries = []
    for number in range(count):
        uid, gid = chance.choice(owners)
        metadata = Metadata(
            mode=0o100000 | chance.choice([0o644, 0o600, 0o444, 0, 0o777, 0o4755, 0o2755, 0o1644]),
            uid=chance.choice([uid, uid, uid, None]),
            gid=gid,
            mtime=chance.choice([(chance.randrange(1 << 31), chance.randrange(10**9))] * 8 + [None, (-5, 3), (1 << 40, 1)]),
            xattrs=chance.choice([()] * 9 + [((b"user.x", b"value"),)]),
            holes=chance.choice([()] * 9 + [((0, 4096),)]),
        )
        form = (
            b"now%d"
            if metadata.mtime is None
            else chance.choice([b"f%d"] * 6 + [b"\xc3\xa9%d", b"\xff%d", b"dot%d.", b"con.%d", b"n" * 200 + b"%d"])
        )
        name = form % number
        size = chance.choice([0, 1, 100, 4096, chance.randrange(SIZE_MAX_MOST)])
        entries.append(Entry(name, b"L" + chance.randbytes(size), metadata))
    return entries


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("prepare", [nothing, occupied])
def test_files_are_the_same_in_both_ways(tmp_path: Path, compiled: Library, seed: int, prepare: Callable[[Path], None]) -> None:
    """Contents, owners, modes, times, attributes and problems are the same, whatever is asked for and whatever is in the way."""
    ways = Ways(tmp_path, compiled, prepare)
    ways.write(generated(seed, 120))
    assert ways.system.made > 10


def test_plain_files_are_all_made_at_once(tmp_path: Path, compiled: Library) -> None:
    """More files than are read together, one of them empty and one larger than the others, take no call of Python's."""
    entries = [Entry(b"f%d" % number, b"L" + bytes([number]) * (number * 7000), OWN) for number in range(256)]
    ways = Ways(tmp_path, compiled, nothing)
    assert ways.write(entries).files == 256
    assert (ways.system.made, ways.system.left) == (256, 0)


@pytest.mark.parametrize("ns", [-1, 10**9, (1 << 30) - 1, (1 << 30) - 2, (1 << 64) - 1, -(1 << 63)])
def test_a_second_that_has_other_nanoseconds(tmp_path: Path, compiled: Library, ns: int) -> None:
    """A time that the format does not allow, as another writer may store it, stops nothing, and is that of Python's way."""
    other = Metadata(mode=0o100644, uid=OWN.uid, gid=OWN.gid, mtime=(1_000_000_000, ns))
    entries = [Entry(b"a", b"Lx", OWN), Entry(b"b", b"Lx", other), Entry(b"c", b"Lx", OWN)]
    ways = Ways(tmp_path, compiled, nothing)
    assert ways.write(entries).files == 3
    assert (ways.system.made, ways.system.left) == (2, 0)


def test_files_that_take_long_are_made_in_more_than_one_call(tmp_path: Path, compiled: Library) -> None:
    """After a tenth of a second it returns to Python, which answers a signal only then, and goes on with the next file."""
    library, folder = compiled_with(tmp_path, "writing.c", HURRY), tmp_path / "made"
    folder.mkdir()
    directory = os.open(folder, os.O_RDONLY)
    names = [b"f%d" % number for number in range(5)]
    files = FilesToWrite(library, names, names, [(1, 2)] * 5, [(0o644, os.geteuid(), os.getegid())] * 5, None)
    write, after_each = files._write, []

    def seen(*arguments: object) -> int:
        status = int(write(*arguments))
        after_each.append((status, files.number, files._progress.descriptor))
        return status

    files._write = seen  # type: ignore[assignment]  # It is called alike.
    assert files.go_on(directory)
    assert after_each == [(1, 1, -1), (1, 2, -1), (1, 3, -1), (1, 4, -1), (0, 5, -1)]
    assert {path.name.encode(): path.read_bytes() for path in folder.iterdir()} == dict(zip(names, names, strict=True))
    os.close(directory)


def test_after_some_that_are_unusual_all_are_left_to_python(tmp_path: Path, compiled: Library) -> None:
    """Where every file is refused, the rest of the group is not tried at once any more, and each has its problem."""

    def fill(folder: Path) -> None:
        for number in range(20):
            (folder / f"f{number}").touch()

    ways = Ways(tmp_path, compiled, fill)
    result = ways.write([Entry(b"f%d" % number, b"Lx", OWN) for number in range(20)])
    assert [problem.path for problem in result.problems] == sorted(b"d/f%d" % number for number in range(20))
    assert (ways.system.made, ways.system.left) == (0, UNUSUAL_MAX + 1)


def test_a_directory_that_is_removed_meanwhile(tmp_path: Path, compiled: Library) -> None:
    """Files of an open directory without a name have the same problem in both ways."""
    ways = Ways(tmp_path, compiled, nothing)
    results = []
    for system, folder in zip((ways.system, DestinationSystem()), ways.folders, strict=True):
        directory = os.open(folder, os.O_RDONLY)
        folder.rmdir()
        writer = FileWriter(FakeGrid(), RestoreSettings(), system)
        results.append(writer.write_batch(Batch((), [Entry(b"f%d" % number, b"Lx", OWN) for number in range(7)]), directory))
        os.close(directory)
    assert results[0] == results[1]
    assert {problem.message for problem in results[0].problems} == {os.strerror(errno.ENOENT)}


@needs_root
def test_without_the_right_to_write(tmp_path: Path, compiled: Library) -> None:
    """A normal user is refused in a folder that is somebody else's, and sets no owner in one that is everybody's."""
    entries = [Entry(b"f%d" % number, b"Lx", Metadata(mode=0o100644, uid=0, gid=0, mtime=(1, 2))) for number in range(7)]
    for mode, files in ((0o755, 0), (0o777, 7)):
        place = tmp_path / f"{mode:o}"
        place.mkdir()
        ways = Ways(place, compiled, lambda folder, mode=mode: folder.chmod(mode))  # type: ignore[misc]
        result = ways.write(entries, Nobody())
        assert (result.files, result.owners_unset) == (files, files)
        if not files:
            assert {problem.message for problem in result.problems} == {os.strerror(errno.EACCES)}


def test_a_write_that_takes_only_a_part(tmp_path: Path, compiled: Library) -> None:
    """Where the system takes 10,000 bytes of a file and no more, what is longer is removed again, and the others are there."""
    entries = [Entry(b"f%d" % number, b"L" + bytes(size), OWN) for number, size in enumerate((5, 10_000, 10_001, 20_000, 7))]
    ways = Ways(tmp_path, compiled, nothing)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # Python ignores the signal that comes with it.
    try:
        result = ways.write(entries)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [problem.path for problem in result.problems] == [b"d/f2", b"d/f3"]
    assert {problem.message for problem in result.problems} == {os.strerror(errno.EFBIG)}
    assert sorted(described(ways.folders[0])) == ["f0", "f1", "f4"]


@needs_root
def test_a_full_disk_stops_the_restore(tmp_path: Path, compiled: Library) -> None:
    """On a full disk, the file that has no room is removed, and the error is that of Python's way."""
    entries = [Entry(b"f%d" % number, b"L" + bytes(90_000), OWN) for number in range(8)]
    said: list[tuple[BatchResult | str, list[str]]] = []
    for system in (Compiled(compiled), DestinationSystem()):
        disk = tmp_path / f"disk{len(said)}"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True, check=False)
        if mounted.returncode:
            pytest.skip("this user can't mount anything here")
        try:
            said.append((written(system, disk, entries), sorted(described(disk))))
        finally:
            subprocess.run(["umount", disk], check=True)
    assert said[0] == said[1]
    assert "No space left on device; the restore was stopped" in str(said[0][0])
    assert said[0][1] == ["f0", "f1", "f2", "f3"]


@needs_root
def test_an_owner_that_is_not_as_expected_is_found(tmp_path: Path, compiled: Library) -> None:
    """Where new files belong to another group than was said, the look at the end finds it, and hands the open file back."""
    os.chown(tmp_path, 0, 1)
    tmp_path.chmod(0o2755)
    directory = os.open(tmp_path, os.O_RDONLY)
    files = FilesToWrite(compiled, [b"a", b"b"], [b"x", b"y"], [(1, 2), (1, 2)], [(0o644, 0, 0)] * 2, (0, 0))
    assert not files.go_on(directory)
    assert files.number == 0
    started = files.take_started()
    assert started is not None
    assert started.written == 1
    os.close(started.descriptor)
    assert files.take_started() is None
    files.pass_over()
    assert not files.go_on(directory)
    started = files.take_started()
    assert (files.number, started is not None) == (1, True)
    assert started is not None
    os.close(started.descriptor)
    files.pass_over()
    assert files.go_on(directory)
    os.close(directory)


class Interrupted(FilesToWrite):
    """Somebody presses Ctrl-C while a file is being made, of which a part is there."""

    def go_on(self, directory: int) -> bool:
        """See `FilesToWrite`."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        super().go_on(directory)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        raise KeyboardInterrupt


def test_a_file_that_is_not_whole_does_not_stay(tmp_path: Path, compiled: Library) -> None:
    """After an interruption neither the file nor its descriptor is left."""
    entries = [Entry(b"a", b"Lx", OWN), Entry(b"b", b"L" + bytes(100), OWN), Entry(b"c", b"Lx", OWN)]
    with pytest.raises(KeyboardInterrupt):
        written(Compiled(compiled, Interrupted), tmp_path, entries)
    assert sorted(os.listdir(tmp_path)) == ["a"]


class Unclosed(FilesToWrite):
    """The second file can't be closed: a server says so late that it has no room."""

    close_error = 0

    def go_on(self, directory: int) -> bool:
        """See `FilesToWrite`."""
        if self.number == 2:
            return super().go_on(directory)
        kept, self._files.count = self._files.count, 2
        super().go_on(directory)
        self._files.count = kept
        self._progress.number, self._progress.name_at, self.close_error = 1, 2, errno.EDQUOT
        return False

    def pass_over(self) -> None:
        """See `FilesToWrite`."""
        self.close_error = 0
        super().pass_over()

    def take_started(self) -> Started | None:
        """See `FilesToWrite`."""
        return None


def test_a_file_that_can_not_be_closed_is_reported(tmp_path: Path, compiled: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """What closing says counts as what became of the file, as it does in Python."""
    entries = [Entry(name, b"Lx", OWN) for name in (b"a", b"b", b"c")]
    monkeypatch.setattr(DestinationSystem, "is_writable", lambda *_: True)
    result = written(Compiled(compiled, Unclosed), tmp_path, entries)
    assert isinstance(result, BatchResult)
    assert [(problem.path, problem.message) for problem in result.problems] == [(b"d/b", os.strerror(errno.EDQUOT))]


def test_what_does_not_fit_together_is_refused(compiled: Library) -> None:
    """A name with a zero byte, and columns of different lengths, never come to the compiled function."""
    for names, contents in (([b"a\0b"], [b"x"]), ([b"a"], [b"x", b"y"]), ([b"a", b"b"], [b"x"])):
        with pytest.raises(ValueError, match="zero byte"):
            FilesToWrite(compiled, names, contents, [(1, 2)], [(0o644, 0, 0)], None)


def test_names_end_where_their_memory_does(tmp_path: Path, compiled: Library) -> None:
    """A name without an end, or one that begins behind it, ends the call before anything is made."""
    directory = os.open(tmp_path, os.O_RDONLY)
    for name_at, names_size in ((0, 1), (2, 2), (5, 2)):
        files = FilesToWrite(compiled, [b"a"], [b"x"], [(1, 2)], [(0o644, 0, 0)], None)
        files._progress.name_at, files._files.names_size = name_at, names_size
        assert not files.go_on(directory)
        assert files.take_started() is None
    os.close(directory)
    assert os.listdir(tmp_path) == []


CALLS = "openat,write,fchmod,fchown,utimensat,fstat,newfstatat,unlinkat,close"
PROGRAM = """
import os, sys
from pathlib import Path
from tests.unit.native.test_writing import Compiled, DestinationSystem, plain, written
from tallac.native import LIBRARY, VERSION, Library
system = Compiled(Library.load(LIBRARY, VERSION)) if sys.argv[1] == "compiled" else DestinationSystem()
entries, folder = plain(), Path(sys.argv[2])
os.write(2, b"begin")
written(system, folder, entries)
os.write(2, b"end")
"""
ROOT = Path(__file__).parents[3]


def plain() -> list[Entry]:
    """Return plain files of several owners, one of them without content."""
    owners = [(0, 0), (1, 0), (0, 1)] if os.geteuid() == 0 else [(OWN.uid or 0, OWN.gid or 0)]
    entries = []
    for number in range(30):
        uid, gid = owners[number % len(owners)]
        metadata = Metadata(mode=0o100600 + number, uid=uid, gid=gid, mtime=(number, number))
        entries.append(Entry(b"f%d" % number, b"L" + b"x" * (number * 100), metadata))
    return entries


def test_the_calls_and_their_order_are_the_same(tmp_path: Path, compiled: Library) -> None:
    """The system sees the same calls, with the same arguments, in the same order, in both ways."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be traced here")
    seen = []
    for way in ("compiled", "python"):
        folder, log = tmp_path / way, tmp_path / f"{way}.log"
        folder.mkdir()
        command = [strace, "-o", str(log), "-e", f"trace={CALLS}", sys.executable, "-c", PROGRAM, way, str(folder)]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
        lines = log.read_text().partition('"begin"')[2].partition('"end"')[0].splitlines()
        first = next(number for number, line in enumerate(lines) if "O_EXCL" in line)
        last = max(number for number, line in enumerate(lines) if "utimensat" in line)
        seen.append([re.sub(r"0x[0-9a-f]+", "", line) for line in lines[first : last + 3]])
    assert seen[0] == seen[1]
    assert sum("O_EXCL" in line for line in seen[0]) == 30
