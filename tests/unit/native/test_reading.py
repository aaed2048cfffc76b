"""Compiled and in Python, the same is read of small files; and whatever is not as usual is left to Python."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.native.conftest import HURRY, compiled_with

from tallac.backup.file_storer import UNUSUAL_IN_TURN_MAX, UNUSUAL_MAX, FileStorer, SmallFile, _Outcome
from tallac.backup.messages import Part, Problem
from tallac.native import CONTENTS_SIZE, READ_COUNT_MAX, READ_FORMAT, Library, ManyFiles
from tallac.source import FLAGS_KEPT, FileSystem

SIZE_MAX = 1 << 19
ROOT = Path(__file__).parents[3]


class Counting(ManyFiles):
    """Counts what is read at once, and what is handed back."""

    read_at_once = left = 0

    def read(self, directory: int) -> bool:
        """See `ManyFiles`."""
        is_usual = super().read(directory)
        self.read_at_once += len(self.found)
        self.left += not is_usual
        return is_usual


class Compiled(FileSystem):
    """The real file system; files are read by the given functions."""

    def __init__(self, functions: Library) -> None:
        self.many = Counting(functions)

    def reader_of_many(self) -> ManyFiles:
        """See `FileSystem`."""
        return self.many


def read(folder: Path, names: list[bytes], filesystem: FileSystem) -> tuple[list[tuple[bytes, SmallFile]], list[Problem]]:
    """Read files of a folder as a backup does; return what was read, and the problems. No descriptor stays open."""
    before = len(os.listdir("/proc/self/fd"))
    root = os.open(folder, os.O_RDONLY)
    storer = FileStorer(root, None, SIZE_MAX, filesystem)  # type: ignore[arg-type]  # Nothing is written.
    outcome = _Outcome([], [], [])
    found = list(storer._read_part(Part((), names), outcome))
    storer.close()
    os.close(root)
    assert len(os.listdir("/proc/self/fd")) == before
    told = [
        (name, small._replace(problem=None if small.problem is None else OSError(small.problem.errno))) for name, small in found
    ]
    return told, outcome.problems


def assert_same(folder: Path, names: list[bytes], functions: Library) -> tuple[Counting, list[Problem]]:
    """Read in both ways, and see that nothing differs."""
    filesystem = Compiled(functions)
    one, other = read(folder, names, filesystem), read(folder, names, FileSystem())
    assert one == other
    return filesystem.many, one[1]


def plant(folder: Path, seed: int) -> list[bytes]:
    """Make files of all sizes, and between them whatever else can have a name."""
    chance = random.Random(seed)
    names = [b"%03d \xc3\xa9\xff"[: chance.choice([4, 8])] % number for number in range(150)]
    for name in names:
        path = os.fsencode(folder) + b"/" + name
        what = chance.choice(
            ["file"] * 60 + ["hole", "xattr", "flag", "fifo", "link", "directory", "absent", "secret", "large", "huge"]
        )
        size = chance.choice([0, 1, 55, 4096, 20_000, chance.randrange(60_000)])
        if what in ("file", "xattr", "flag", "secret", "large", "huge"):
            size += {"large": CONTENTS_SIZE, "huge": SIZE_MAX}.get(what, 0)
            with open(path, "wb") as file:
                file.write(chance.randbytes(size))
                with suppress(OSError):  # Not every file system has them.
                    if what == "xattr":
                        os.setxattr(file.fileno(), "user.x", b"value")
                    if what == "flag":
                        fcntl.ioctl(file.fileno(), 0x40086602, struct.pack("Q", 0x40))
            seconds = chance.choice([1, 1_700_000_000, -7, 1 << 33])
            os.utime(path, ns=(0, seconds * 10**9 + chance.randrange(10**9)))
            os.chmod(path, chance.choice([0o644, 0o600, 0o4755]) if what != "secret" else 0)
        elif what == "hole":
            with open(path, "wb") as file:
                file.truncate(100_000)
        elif what == "fifo":
            os.mkfifo(path)
        elif what == "link":
            os.symlink(b"nowhere", path)
        elif what == "directory":
            os.mkdir(path)
    return names


@pytest.mark.parametrize("seed", range(6))
def test_files_are_the_same_in_both_ways(tmp_path: Path, compiled: Library, seed: int) -> None:
    """Contents, metadata and problems are the same, whatever has the names."""
    many, problems = assert_same(tmp_path, plant(tmp_path, seed), compiled)
    assert many.read_at_once
    assert many.left == UNUSUAL_MAX + 1
    assert {problem.error_number for problem in problems} - {None} <= {errno.ENOENT, errno.ELOOP, errno.ESTALE}
    assert problems


@pytest.mark.parametrize("kind", ["fifo", "link", "absent", "hole", "xattr", "large"])
def test_one_that_is_unusual_is_left_to_python(tmp_path: Path, compiled: Library, kind: str) -> None:
    """The files before it and behind it are read at once all the same, and nothing waits for a FIFO."""
    names = [b"%d" % number for number in range(9)]
    for name in names:
        (tmp_path / name.decode()).write_bytes(name * 100)
    path = tmp_path / "4"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("3")
    elif kind == "hole":
        with path.open("wb") as file:
            file.truncate(1 << 18)
            file.truncate(1 << 17)
    elif kind == "xattr":
        path.write_bytes(b"x")
        try:
            os.setxattr(path, "user.x", b"value")
        except OSError:
            pytest.skip("this file system has no attributes")
    elif kind == "large":
        path.write_bytes(bytes(CONTENTS_SIZE))
    many, _ = assert_same(tmp_path, names, compiled)
    assert (many.read_at_once, many.left) == (8, 1)


DAMAGED = """
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <sys/stat.h>
static int fstat_of_damaged(int descriptor, struct stat *status)
{
    int result = fstat(descriptor, status);
    status->st_%s.tv_nsec = 1073741823;
    return result;
}
#define fstat fstat_of_damaged
"""


@pytest.mark.parametrize("field", ["mtim", "ctim"])
def test_nanoseconds_of_more_than_a_second_are_left_to_python(tmp_path: Path, compiled: Library, field: str) -> None:
    """What a damaged file system says of a time is carried over in Python, so that no table has what the format does not allow."""
    library = compiled_with(tmp_path, "reading.c", DAMAGED % field)
    many, directory = ManyFiles(library), os.open(tmp_path, os.O_RDONLY)
    many.begin([b"bent-reading.c"], SIZE_MAX, FLAGS_KEPT)
    assert not many.read(directory)
    assert many.found == []
    os.close(directory)


def test_where_all_are_unusual_python_reads(tmp_path: Path, compiled: Library) -> None:
    """After many unusual files in turn, in whatever parts, no call is made in vain any more; usual ones between them count anew."""
    names = [b"%03d" % number for number in range(4 * UNUSUAL_IN_TURN_MAX)]
    for name in names:
        (tmp_path / name.decode()).symlink_to("nowhere")
    filesystem, root = Compiled(compiled), os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "usual").write_bytes(b"content")

    def left(parts: list[list[bytes]]) -> int:
        storer = FileStorer(root, None, SIZE_MAX, filesystem)  # type: ignore[arg-type]  # Nothing is written.
        filesystem.many.left, outcome = 0, _Outcome([], [], [])
        for part in parts:
            list(storer._read_part(Part((), part), outcome))
        storer.close()
        return filesystem.many.left

    pairs = [names[start : start + 2] for start in range(0, len(names), 2)]
    assert left(pairs) == UNUSUAL_IN_TURN_MAX + 2
    assert left([[b"usual", *pair] for pair in pairs]) == len(names)
    os.close(root)


def test_files_that_take_long_are_read_in_more_than_one_call(tmp_path: Path, compiled: Library) -> None:
    """After a tenth of a second it returns to Python, which answers a signal only then, and goes on with the next file."""
    names = [b"f%d" % number for number in range(5)]
    for name in names:
        (tmp_path / name.decode()).write_bytes(name)
    many, directory = ManyFiles(compiled_with(tmp_path, "reading.c", HURRY)), os.open(tmp_path, os.O_RDONLY)
    many.begin(names, SIZE_MAX, FLAGS_KEPT)
    for number, name in enumerate(names):
        assert many.number == number
        assert many.read(directory)
        assert [found.content for found in many.found] == [name]
    os.close(directory)


def test_more_than_there_is_room_for(tmp_path: Path, compiled: Library) -> None:
    """More files than one call reads, and more bytes than its memory holds, come in several calls, each once."""
    names = [b"%04d" % number for number in range(2 * READ_COUNT_MAX + 3)]
    for number, name in enumerate(names):
        (tmp_path / name.decode()).write_bytes(name * (number % 500))
    (tmp_path / "0001").write_bytes(b"x" * (CONTENTS_SIZE - 1))
    many, problems = assert_same(tmp_path, names, compiled)
    assert (many.read_at_once, many.left, problems) == (len(names), 0, [])


def test_a_file_that_is_written_to_meanwhile(tmp_path: Path, compiled: Library) -> None:
    """What is read while somebody writes has the size that its metadata speak of, or is marked as changed."""
    path = tmp_path / "growing"
    path.write_bytes(b"")
    has_ended = threading.Event()

    file = path.open("ab")

    def write() -> None:
        while not has_ended.is_set():
            file.write(b"x" * 100)
            file.flush()
            if file.tell() > 100_000:
                file.truncate(0)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            found, problems = read(tmp_path, [b"growing"], Compiled(compiled))
            assert problems == []
            assert set(found[0][1].content) <= {0, ord("x")}
    finally:
        has_ended.set()
        thread.join()
        file.close()
    assert_same(tmp_path, [b"growing"], compiled)


def test_names_end_where_their_memory_does(tmp_path: Path, compiled: Library) -> None:
    """A name without an end is not read, one with a zero byte is refused, and behind the last one nothing is."""
    (tmp_path / "a").write_bytes(b"x")
    directory = os.open(tmp_path, os.O_RDONLY)
    many = ManyFiles(compiled)
    many.begin([b"a"], SIZE_MAX, FLAGS_KEPT)
    many._reading.names_size = 1
    assert not many.read(directory)
    many._reading.name_at = 5
    assert many.read(directory)
    assert many.found == []
    with pytest.raises(ValueError, match="zero byte"):
        many.begin([b"a\0b"], SIZE_MAX, FLAGS_KEPT)
    os.close(directory)


def test_what_c_declares_is_what_python_reads() -> None:
    """The fields of a file that was read are of the same kinds in C and in the format by which Python takes them apart."""
    header = (ROOT / "src/tallac/native/native.h").read_text()
    body = re.search(r"struct tallac_read_file {\n(.*?)\n};", header, re.DOTALL)
    assert body is not None
    kinds = re.findall(r"^ +(\w+) \w+;", body[1], re.MULTILINE)
    letters = {"uint64_t": "Q", "int64_t": "q", "uint32_t": "I"}
    assert READ_FORMAT.format == "=" + "".join(letters[kind] for kind in kinds[:-1]) + "xxxx"


CALLS = "openat,fstat,newfstatat,pread64,flistxattr,ioctl,close"
PROGRAM = """
import os, sys
from pathlib import Path
from tests.unit.native.test_reading import Compiled, FileSystem, read
from tallac.native import LIBRARY, VERSION, Library
filesystem = Compiled(Library.load(LIBRARY, VERSION)) if sys.argv[1] == "compiled" else FileSystem()
folder = Path(sys.argv[2])
for _ in range(2):  # The first time, names of owners are looked up.
    read(folder, sorted(map(os.fsencode, os.listdir(folder))), filesystem)
"""


def test_the_calls_and_their_order_are_the_same(tmp_path: Path, compiled: Library) -> None:
    """The system sees the same calls in the same order in both ways."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be traced here")
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(20):
        (folder / f"file-{number:02}").write_bytes(b"x" * (100 * number))
    seen = []
    for way in ("compiled", "python"):
        log = tmp_path / f"{way}.log"
        command = [strace, "-o", str(log), "-e", f"trace={CALLS}", sys.executable, "-c", PROGRAM, way, str(folder)]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
        lines = log.read_text().splitlines()
        first = max(number for number, line in enumerate(lines) if "file-00" in line)
        last = max(number for number, line in enumerate(lines) if "GETFLAGS" in line)
        # Where the answers are written to is each way's own.
        seen.append([re.sub(r"0x[0-9a-f]+|, \[[^]]*\]|\"x*\"\.*", "", line) for line in lines[first : last + 3]])
    assert seen[0] == seen[1]
    assert sum("file-" in line for line in seen[0]) == 20
