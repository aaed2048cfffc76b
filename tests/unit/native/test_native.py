"""Compiled and in Python, a directory's listing is the same; and whatever is not as usual is left to Python."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from tests.command import PATIENCE_SECONDS

from tallac import native
from tallac.native import COUNT_MAX, LIBRARY, VERSION, Library, Made, Reading, Space
from tallac.native.writing import NewFiles, Progress
from tallac.source import FileSystem, Scan, SourceEntry, scan
from tallac.source.listing import _CHUNK_COUNT, EncodedListing, EncodedScan

SOURCES = Path(native.__file__).parent
COMPILE = Path(__file__).parents[3] / "scripts" / "compile.sh"
WITHOUT_CTYPES = """
import os, sys
sys.modules["_ctypes"] = None
import tallac.backup.leaves
from tallac.restore.filesystem import DESTINATION
from tallac.source import REAL, scan
assert "tallac.native" not in sys.modules
assert REAL.reader_of_many() is None
assert DESTINATION.writer_of_many() is None
assert len(scan(os.open(sys.argv[1], os.O_RDONLY))) == 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """Return an open directory."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


class Compiled(FileSystem):
    """The real file system, listed by the given functions."""

    def __init__(self, functions: Library) -> None:
        self._functions = functions
        self.has_listed = False

    def list_at_once(self, descriptor: int, count_max: int) -> native.Listing | None:
        """See `FileSystem`."""
        listing = self._functions.list_directory(descriptor, count_max)
        self.has_listed = listing is not None
        return listing


def plant_kinds(folder: Path) -> None:
    """Make something of each kind that a user can make, with names and times of all lengths."""
    for size in (0, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 33):
        with (folder / f"of {size}").open("wb") as file:
            file.truncate(size)
    for length in (1, 31, 32, 100, 200, 255):
        (folder / ("n" * length)).write_bytes(b"x")
    for number, ns in enumerate((0, 1, -1, -33, -129, -40_000, -3_000_000_000, 10**9, -(10**18), 2**33 * 10**9)):
        path = folder / f"time {number}"
        path.write_bytes(b"")
        os.utime(path, ns=(ns, ns))
    (folder / os.fsdecode(b"\xff\xfe not text")).write_bytes(b"")
    (folder / "é").mkdir(mode=0o1777)
    (folder / "link").symlink_to("nowhere")
    (folder / "other name").hardlink_to(folder / "of 1")
    os.mkfifo(folder / "pipe")
    # A socket's path is short, wherever the folder is.
    with socket.socket(socket.AF_UNIX) as made:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        made.bind(f"/proc/self/fd/{directory}/socket")
        os.close(directory)


def assert_same(descriptor: int, functions: Library) -> Scan:
    """List a directory in both ways, and see that nothing differs."""
    filesystem = Compiled(functions)
    one, other = scan(descriptor, filesystem=filesystem), scan(descriptor, filesystem=FileSystem())
    assert filesystem.has_listed
    assert isinstance(one, EncodedScan)
    assert not isinstance(other, EncodedScan)
    assert list(one) == list(other)
    assert one.listing == EncodedListing.of(other)
    assert one.signature() == other.signature()
    assert one.changed_ns() == other.changed_ns()
    assert list(one.directories()) == list(other.directories())
    assert one.find([b"of 1", b"f", b"link"]) == other.find([b"of 1", b"f", b"link"])
    assert len(one) == len(other)
    assert msgspec.msgpack.encode(list(other)) == one.listing.entries
    return one


def test_a_listing_is_the_same_in_both_ways(tmp_path: Path, root: int, compiled: Library) -> None:
    """Every kind of file, time and name has the same row and signature, also where a folder was listed before."""
    assert len(assert_same(root, compiled)) == 0
    plant_kinds(tmp_path)
    assert_same(root, compiled)
    found = assert_same(root, compiled)
    assert {stat.S_IFMT(entry.mode) for entry in found} == {
        stat.S_IFREG,
        stat.S_IFDIR,
        stat.S_IFLNK,
        stat.S_IFIFO,
        stat.S_IFSOCK,
    }


@pytest.mark.parametrize("count", [15, 16, _CHUNK_COUNT - 1, _CHUNK_COUNT, _CHUNK_COUNT + 1, 2 * _CHUNK_COUNT + 15])
def test_a_listing_of_any_length_is_the_same(tmp_path: Path, root: int, compiled: Library, count: int) -> None:
    """Where the encoding of lengths changes, and where the signature begins another part, nothing differs."""
    names = random.Random(count).sample(range(10**6), count)
    for name in names:
        (tmp_path / str(name)).touch()
    assert len(assert_same(root, compiled)) == count


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away and makes devices")
def test_owners_and_devices_are_the_same(tmp_path: Path, root: int, compiled: Library) -> None:
    """Owners of up to 32 bits and devices' numbers are the same in both ways."""
    for number, owner in enumerate((1, 127, 65_535, 2**31, 2**32 - 2)):
        path = tmp_path / str(number)
        path.touch()
        os.chown(path, owner, owner)
    with suppress(PermissionError):  # A container may forbid devices, and owners are compared all the same.
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert_same(root, compiled)


def test_what_is_too_long_is_left_to_python(tmp_path: Path, root: int, compiled: Library) -> None:
    """A listing ends where there are more names than asked for, and the next one begins at the beginning again."""
    for number in range(20):
        (tmp_path / str(number)).touch()
    assert compiled.list_directory(root, 19) is None
    assert len(list(scan(root, filesystem=FileSystem()))) == 20
    listing = compiled.list_directory(root, 20)
    assert listing is not None
    assert listing.names == 20


@pytest.mark.parametrize("size", ["NAMES_SIZE", "ROWS_SIZE"])
def test_nothing_is_written_beyond_the_room_for_it(
    tmp_path: Path, root: int, compiled: Library, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    """Where names or rows don't fit into the memory that is set aside, Python lists."""
    monkeypatch.setattr(native, size, 8192)
    for number in range(10):
        (tmp_path / f"{number}").touch()
    assert compiled.list_directory(root, COUNT_MAX) is not None
    for number in range(60):
        (tmp_path / (f"{number:03}" * 80)).touch()
    assert compiled.list_directory(root, COUNT_MAX) is None
    assert len(scan(root, filesystem=Compiled(compiled))) == 70


def test_times_far_away_are_left_to_python(tmp_path: Path, root: int, compiled: Library) -> None:
    """A time that may not fit into 64 bits of nanoseconds is read by Python, which has integers of any size."""
    path = tmp_path / "far"
    path.touch()
    os.utime(path, (9_100_000_000, 9_100_000_000))
    if path.stat().st_mtime != 9_100_000_000:
        pytest.skip("this file system keeps no such time")
    assert compiled.list_directory(root, COUNT_MAX) is None
    assert next(iter(scan(root, filesystem=Compiled(compiled)))).mtime_ns == 9_100_000_000 * 10**9


def test_what_can_not_be_listed_is_left_to_python(tmp_path: Path, compiled: Library) -> None:
    """Of a file, a passage and what is not open there is no listing; what is the matter is found out in Python."""
    (tmp_path / "file").touch()
    for descriptor in (os.open(tmp_path / "file", os.O_RDONLY), os.open(tmp_path, os.O_PATH)):
        assert compiled.list_directory(descriptor, COUNT_MAX) is None
        with pytest.raises(OSError, match=r"Not a directory|Bad file descriptor"):
            scan(descriptor, filesystem=Compiled(compiled))
        os.close(descriptor)
        assert compiled.list_directory(descriptor, COUNT_MAX) is None


def test_threads_do_not_share_memory(tmp_path: Path, compiled: Library) -> None:
    """Directories that are listed at the same time are not mixed up."""
    found: dict[int, set[tuple[bytes, ...]]] = {}

    def list_often(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in range(50):
            (folder / f"{number}-{name:02}").touch()
        descriptor = os.open(folder, os.O_RDONLY)
        names = found.setdefault(number, set())
        for _ in range(200):
            names.add(tuple(entry.name for entry in scan(descriptor, filesystem=Compiled(compiled))))
        os.close(descriptor)

    threads = [threading.Thread(target=list_often, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: {tuple(b"%d-%02d" % (number, name) for name in range(50))} for number in range(4)}


def test_a_rename_beside_a_listing_lists_no_name_twice(tmp_path: Path, root: int, compiled: Library) -> None:
    """While names come and go, each listing is sorted, has no name twice, and as many names as it says."""
    for number in range(200):
        (tmp_path / f"{number:03}").touch()
    has_ended = threading.Event()

    def rename() -> None:
        chance = random.Random(1)
        while not has_ended.is_set():
            number = chance.randrange(200)
            for one, other in ((f"{number:03}", f"x{number:03}"), (f"x{number:03}", f"{number:03}")):
                (tmp_path / one).rename(tmp_path / other)

    thread = threading.Thread(target=rename)
    thread.start()
    try:
        for _ in range(300):
            listing = compiled.list_directory(root, COUNT_MAX)
            if listing is None:
                continue  # A name was another one by the time it was looked at.
            names = [entry.name for entry in msgspec.msgpack.decode(listing.entries, type=list[SourceEntry])]
            assert names == sorted(set(names))
            assert len(names) == listing.names
    finally:
        has_ended.set()
        thread.join()


def test_a_library_that_does_not_fit_is_not_used(tmp_path: Path, compiled: Library) -> None:
    """Of another version, for another machine, or no library at all: it is not loaded, and nothing is said."""
    assert Library.load(LIBRARY, VERSION + 1) is None
    assert Library.load(tmp_path / "absent.so", VERSION) is None
    (tmp_path / "text.so").write_text("no library")
    assert Library.load(tmp_path / "text.so", VERSION) is None
    (tmp_path / "other.c").write_text("int other(void) { return 1; }")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "other.so", tmp_path / "other.c"], check=True)
    assert Library.load(tmp_path / "other.so", VERSION) is None


def test_what_c_declares_is_what_python_declares() -> None:
    """The version, the length of a signature's parts, and the fields of what is handed over are the same on both sides."""
    header = (SOURCES / "native.h").read_text()
    assert re.findall(r"#define TALLAC_(\w+) (\d+)", header) == [
        ("NATIVE_VERSION", str(VERSION)),
        ("SIGNATURE_CHUNK", str(_CHUNK_COUNT)),
    ]
    kinds = {"uint64_t": "c_ulong", "int64_t": "c_long", "uint32_t": "c_uint", "int32_t": "c_int"}
    structures = {
        "tallac_listing_space": Space,
        "tallac_listing": Made,
        "tallac_new_files": NewFiles,
        "tallac_writing": Progress,
        "tallac_reading": Reading,
    }
    for name, structure in structures.items():
        body = re.search(rf"struct {name} {{\n(.*?)\n}};", header, re.DOTALL)
        assert body is not None
        fields = re.findall(r"^ +(?:const )?([\w ]+?) ([* const]*)\b(\w+);", body[1], re.MULTILINE)
        declared = [(field, "c_void_p" if stars else kinds[kind]) for kind, stars, field in fields]
        assert [(field[0], field[1].__name__) for field in structure._fields_] == declared


@pytest.mark.parametrize(("value", "is_used"), [("0", False), ("", True), ("1", True)])
def test_the_environment_does_without(monkeypatch: pytest.MonkeyPatch, compiled: Library, value: str, is_used: bool) -> None:
    """With `TALLAC_NATIVE=0` nothing compiled is loaded."""
    monkeypatch.setenv("TALLAC_NATIVE", value)
    native.loaded.cache_clear()
    try:
        assert (native.loaded() is not None) is is_used
    finally:
        native.loaded.cache_clear()


def test_it_compiles_without_a_warning(tmp_path: Path, compiled: Library) -> None:
    """The sources compile with all that a compiler may complain of as an error."""
    strict = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Wpedantic", "-Werror"]
    sources = sorted(map(str, SOURCES.glob("*.c")))
    subprocess.run(["cc", *strict, "-fPIC", "-shared", "-o", str(tmp_path / "library.so"), *sources], check=True)


def test_without_a_compiler_nothing_is_said(tmp_path: Path) -> None:
    """`scripts/compile.sh` makes nothing, prints nothing and succeeds where there is no compiler, and where it fails."""
    for compiler in ("no-such-compiler", "false"):
        done = subprocess.run([COMPILE, tmp_path], env=os.environ | {"CC": compiler}, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert not list(tmp_path.iterdir())


FORKING = """
import os
import sys
from tallac.native import loaded
from tallac.source import scan

def lists_well(name):
    descriptor = os.open(name, os.O_RDONLY)
    wanted = [f"{name} {number:03}".encode() for number in range(300)]
    return all([entry.name for entry in scan(descriptor)] == wanted for _ in range(200))

assert loaded()
assert lists_well("one")
child = os.fork()
is_well = lists_well("one" if child else "other")
if not child:
    os._exit(not is_well)
sys.exit(not is_well or os.waitpid(child, 0)[1] != 0)
"""


def test_a_forked_process_lists_into_memory_of_its_own(tmp_path: Path, compiled: Library) -> None:
    """A process that is forked after a listing, and its parent, list different directories at the same time, unmixed."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        for number in range(300):
            (tmp_path / name / f"{name} {number:03}").touch()
    command, environment = [sys.executable, "-c", FORKING], os.environ | {"TALLAC_NATIVE": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("way", ["1", "0"])
def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path, way: str) -> None:
    """In a clone that can't be written to, `scripts/compile.sh` leaves everything as it is, prints nothing and succeeds."""
    tools, place = tmp_path / "tools", tmp_path / "place"
    for folder in (tools, place):
        folder.mkdir()
    for tool in ("mktemp", "rm"):
        (tools / tool).write_text(f'#!/bin/sh\necho "{tool}: Read-only file system" >&2\nexit 1\n')
        (tools / tool).chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "TALLAC_NATIVE": way}
    done = subprocess.run([COMPILE, place], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not list(place.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_compilation_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """What was begun is removed when somebody presses Ctrl-C, and the library is not there."""
    place, compiler = tmp_path / "place", tmp_path / "compiler"
    place.mkdir()
    compiler.write_text(f'#!/bin/sh\nls "{place}" >"{tmp_path}/begun"\nkill -{number.value} $PPID\n')
    compiler.chmod(0o755)
    done = subprocess.run(
        [COMPILE, place], env=os.environ | {"CC": str(compiler), "TALLAC_NATIVE": ""}, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert (tmp_path / "begun").read_text()
    assert not list(place.iterdir())


def test_a_python_without_ctypes_does_without(tmp_path: Path) -> None:
    """Where Python was built without ctypes, which takes a library of its own, backups and restores are made all the same."""
    (tmp_path / "file").touch()
    subprocess.run([sys.executable, "-c", WITHOUT_CTYPES, tmp_path], check=True)
