from __future__ import annotations

import errno
import gc
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from tallac.caps import DirectoryReadCap, FileReadCap
from tallac.dag import Entry, Metadata
from tallac.errors import DestinationError, StoreUnavailableError
from tallac.interfaces import BinaryReader
from tallac.restore import (
    DESTINATION,
    Batch,
    BatchResult,
    BatchRunner,
    DestinationSystem,
    FileWriter,
    Problem,
    ProblemKind,
    RestoreSettings,
    RestoreSummary,
    restore,
)
from tallac.restore.filesystem import PathAt

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

OWN = Metadata(uid=os.geteuid(), gid=os.getegid())
FILE = msgspec.structs.replace(OWN, mode=0o100644, mtime=(1, 2))
DIRECTORY = msgspec.structs.replace(OWN, mode=0o40755, mtime=(3, 4))


def mixed(grid: FakeGrid) -> Entry:
    """Store a directory with one of each kind."""
    linked = msgspec.structs.replace(FILE, links=2, inode=1, device=1, xattrs=((b"user.a", b"1"),))
    below = grid.put_directory([Entry.of(b"large", grid.put(os.urandom(300_000)), FILE), Entry(b"second", b"Lx", linked)])
    entries = [
        Entry(b"fifo", b"L", Metadata(mode=0o10644, mtime=(1, 2))),
        Entry(b"first", b"Lx", linked),
        Entry(b"link", b"L", Metadata(mode=0o120777, target=b"x", mtime=(1, 2))),
        Entry.of(b"sub", below, DIRECTORY),
        Entry(b"twin", b"Lx", FILE),
    ]
    return Entry.of(b"s", grid.put_directory(entries), DIRECTORY)


@pytest.mark.parametrize("holes", [(), ((0, 4096),)])
@pytest.mark.parametrize("damage_at", [0, 150_000, 299_999])
def test_a_damaged_file_leaves_nothing(
    grid: FakeGrid, restored: Restored, damage_at: int, holes: tuple[tuple[int, int], ...]
) -> None:
    """What was written of it is removed, its path is named, and the rest comes back."""
    cap = grid.put(os.urandom(300_000))
    grid.damaged_files[cap] = damage_at
    entries = [Entry.of(b"bad", cap, Metadata(mode=0o100644, holes=holes)), Entry(b"good", b"Lx", FILE)]
    summary = restored(Entry.of(b"s", grid.put_directory([Entry.of(b"sub", grid.put_directory(entries), DIRECTORY)])))
    assert os.listdir(restored.out / "sub") == ["good"]
    assert restored.problems == [Problem(b"sub/bad", ProblemKind.DAMAGED, "a chunk is damaged")]
    assert (summary.damaged, summary.files, summary.bytes, summary.is_complete) == (1, 1, 1, False)


def test_a_missing_file_and_a_wrong_length_are_damage(grid: FakeGrid, restored: Restored) -> None:
    """A reader that ends early is not believed."""
    short, missing = os.urandom(100), os.urandom(200)
    cap, gone = grid.put(short), grid.put(missing)
    grid.forget(gone)
    grid.cut(cap, 99)
    summary = restored(Entry.of(b"s", grid.put_directory([Entry.of(b"a", cap, FILE), Entry.of(b"b", gone, FILE)])))
    assert os.listdir(restored.out) == []
    assert restored.said == {b"a": "the content has 99 bytes instead of 100", b"b": "a chunk is missing"}
    assert summary.damaged == 2


def test_a_damaged_directory_gives_what_it_can(grid: FakeGrid, restored: Restored) -> None:
    """Entries before the damage come back; the directory is named once."""
    entries = [Entry(b"%d" % number, b"Lx", FILE) for number in range(5)]
    cap = grid.put_directory(entries)
    grid.damaged_directories[cap] = 3
    gone = grid.put_directory([Entry(b"x", b"L")])
    grid.forget_directory(gone)
    listed = [Entry.of(b"a", cap, DIRECTORY), Entry.of(b"b", gone, DIRECTORY), Entry(b"c", b"Lx", FILE)]
    summary = restored(Entry.of(b"s", grid.put_directory(listed)))
    assert sorted(os.listdir(restored.out / "a")) == ["0", "1", "2"]
    assert restored.said.keys() == {b"a", b"b"}
    assert (summary.damaged, summary.files) == (2, 4)
    assert (restored.out / "a").stat().st_mtime_ns == 3_000_000_004


def test_links_of_a_damaged_file_do_not_link_to_nothing(grid: FakeGrid, restored: Restored) -> None:
    """Each of them is named."""
    cap = grid.put(os.urandom(100))
    grid.damaged_files[cap] = 0
    linked = Metadata(mode=0o100644, links=2, inode=1, device=1)
    summary = restored(Entry.of(b"s", grid.put_directory([Entry.of(b"a", cap, linked), Entry.of(b"b", cap, linked)])))
    assert os.listdir(restored.out) == []
    assert summary.damaged == 2


def test_a_store_that_breaks_off_stops_the_restore(grid: FakeGrid, restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no damage; the file under way is removed, what was written before stays."""

    def unavailable(cap: FileReadCap) -> BinaryReader:
        raise StoreUnavailableError("the store did not answer; try again")

    monkeypatch.setattr(grid, "open_file", unavailable)
    entries = [Entry(b"a", b"Lx", FILE), Entry.of(b"b", grid.put(os.urandom(100)), FILE), Entry(b"c", b"Lx", FILE)]
    with pytest.raises(StoreUnavailableError):
        restored(Entry.of(b"s", grid.put_directory(entries)))
    assert os.listdir(restored.out) == ["a"]


T = TypeVar("T")
CALLS = ["make_directory", "create", "write", "make_node", "make_symlink", "make_link", "set_owner", "set_mode", "set_time"]


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", CALLS)
def test_a_destination_that_fails_stops_the_restore(grid: FakeGrid, restored: Restored, call: str, code: int) -> None:
    """Where nothing can be written, at each first call: an error that names the path, no part of a file, no open descriptor."""
    # Nothing that an earlier test left is to be closed in between.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    snapshot = mixed(grid)
    restored.out.mkdir()
    restored.system.failures[call] = OSError(code, os.strerror(code))
    if call not in ("create", "write"):
        restored.system.failures["is_writable"] = restored.system.failures[call]
    with pytest.raises(DestinationError, match=f"out/.*: can't be written: {os.strerror(code)}"):
        restored(snapshot)
    assert len(os.listdir("/proc/self/fd")) == before
    for top, _, names in os.walk(restored.out):
        for name in names:
            assert name in {"first", "twin", "second", "large", "fifo", "link"}
            path = Path(top, name)
            if path.is_file() and not path.is_symlink():
                assert path.stat().st_size in {1, 300_000}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV])
@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("create", "write")])
def test_what_can_t_be_had_here_costs_nothing_else(grid: FakeGrid, restored: Restored, call: str, code: int) -> None:
    """A destination that has no FIFOs, links or owners is named for each, and all the rest comes back, whatever its words."""
    if call == "set_owner" and os.geteuid() != 0:
        pytest.skip("only root sets owners")
    restored.out.mkdir()
    restored.system.failures[call] = OSError(code, os.strerror(code))
    summary = restored(mixed(grid))
    lost = {"make_directory": {"sub"}, "make_node": {"fifo"}, "make_symlink": {"link"}}.get(call, set())
    assert set(os.listdir(restored.out)) == {"fifo", "first", "link", "sub", "twin"} - lost
    assert summary.failed == len(lost)
    assert restored.problems
    assert all(os.strerror(code) in problem.message for problem in restored.problems)
    if not lost:
        assert sorted(os.listdir(restored.out / "sub")) == ["large", "second"]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        (b"a:b", errno.EINVAL, "this file system has no such names (Invalid argument)"),
        (b"caf\xe9", errno.EOVERFLOW, "this file system has no such names (Value too large for defined data type)"),
        (b"what?", errno.ENOENT, "this file system has no such names (No such file or directory)"),
        (b"x" * 250, errno.EIO, "this file system has no such names (Input/output error)"),
        (b"plain", errno.EINVAL, "Invalid argument"),
        (b"plain", errno.EIO, "this file system can't hold it (Input/output error)"),
    ],
)
def test_names_that_can_t_be_here(grid: FakeGrid, restored: Restored, name: bytes, code: int, words: str) -> None:
    """A file system's own word for a name that it refuses is put into words; a plain name is not blamed."""
    restored.out.mkdir()
    real = restored.system.create

    def create(asked: bytes, directory: int) -> int:
        if asked == name:
            raise OSError(code, os.strerror(code))
        return real(asked, directory)

    restored.system.create = create  # type: ignore[method-assign, assignment]
    entries = [Entry(b"good", b"Lx", FILE), Entry(name, b"Ly", FILE)]
    restored(Entry.of(b"s", grid.put_directory(sorted(entries, key=lambda entry: entry.name)), DIRECTORY))
    assert restored.said == {name: words}
    assert os.listdir(restored.out) == ["good"]


@pytest.mark.parametrize("written", range(1, 8))
def test_a_disk_that_fills_up_leaves_only_whole_files(grid: FakeGrid, restored: Restored, written: int, no_space: OSError) -> None:
    """After any number of writes, some of them short."""
    restored.system.failures["write"] = no_space
    restored.system.fail_after = written
    with pytest.raises(DestinationError, match="No space left"):
        restored(mixed(grid))
    assert {path.stat().st_size for path in restored.out.rglob("*") if path.is_file()} <= {1}


@pytest.mark.parametrize("call", ["create", "make_node", "make_symlink", "make_directory"])
def test_one_path_that_can_not_be_made_does_not_stop_the_rest(grid: FakeGrid, restored: Restored, call: str) -> None:
    """A name that is too long here, or not allowed: reported, and the walk goes on to its end."""
    restored.system.failures[call] = OSError(errno.ENAMETOOLONG, "File name too long")
    restored.out.mkdir()
    summary = restored(mixed(grid))
    assert summary.failed >= 1
    assert {problem.message for problem in restored.problems} == {"the name is too long for this file system (File name too long)"}
    assert restored.out.stat().st_mtime_ns == 3_000_000_004


@pytest.mark.parametrize(
    ("call", "word"), [("set_owner", "owner"), ("set_mode", "mode"), ("set_xattr", "user.a"), ("set_time", "time")]
)
def test_what_can_not_be_set_is_reported_and_costs_nothing_else(grid: FakeGrid, restored: Restored, call: str, word: str) -> None:
    """The content is there, the exit status is not spoilt."""
    if call == "set_owner" and os.geteuid() != 0:
        pytest.skip("only root sets owners")
    linked = Metadata(mode=0o104755, uid=1, gid=1, mtime=(1, 2), xattrs=((b"user.a", b"1"),))
    restored.system.failures[call] = OSError(errno.EPERM, "Operation not permitted")
    summary = restored(Entry.of(b"s", grid.put_directory([Entry(b"file", b"Lx", linked)])))
    assert word in restored.said[b"file"]
    assert (summary.files, summary.is_complete) == (1, True)
    if call == "set_owner":
        assert (restored.out / "file").stat().st_mode & 0o7777 == 0o755, "no program may run with the rights of the wrong owner"


def test_a_full_inode_is_not_a_full_disk(grid: FakeGrid, restored: Restored, no_space: OSError) -> None:
    """ENOSPC from setxattr means that this attribute has no room: reported, not fatal."""
    restored.system.failures["set_xattr"] = no_space
    summary = restored(mixed(grid))
    assert "no room" in restored.said[b"first"]
    assert summary.files == 6


def test_a_file_system_without_hard_links_gets_copies(grid: FakeGrid, restored: Restored) -> None:
    """Reported, and the content is there."""
    restored.system.failures["make_link"] = OSError(errno.EPERM, "Operation not permitted")
    summary = restored(mixed(grid))
    assert (restored.out / "sub/second").read_bytes() == b"x"
    assert "copy" in restored.said[b"sub/second"]
    assert summary.is_complete


def test_an_interrupted_restore_removes_the_file_under_way(
    grid: FakeGrid, restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a file."""

    def interrupted(place: int, mtime_ns: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restored.system, "set_time", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restored(Entry.of(b"s", grid.put_directory([Entry(b"a", b"Lx", FILE)])))
    assert os.listdir(restored.out) == []


def test_the_order_of_calls_is_the_one_that_keeps_everything(grid: FakeGrid, restored: Restored) -> None:
    """Owner, mode, attributes, time, flags, and a directory's after its children's."""
    if os.geteuid() != 0:
        pytest.skip("only root sets owners")
    metadata = Metadata(mode=0o100644, uid=0, gid=0, mtime=(1, 2), xattrs=((b"user.a", b"1"),), flags=0x40)
    directory = Metadata(mode=0o40000, uid=0, gid=0, mtime=(1, 2))
    cap = grid.put_directory([Entry(b"file", b"Lx", metadata)])
    restored(Entry.of(b"s", grid.put_directory([Entry.of(b"sub", cap, directory)]), directory))
    set_all = ["set_owner", "set_mode"]
    file = ["create", "write", *set_all, "set_xattr", "set_time", "set_flags"]
    assert restored.system.calls == ["make_directory", "make_directory", *file, *set_all, "set_time", *set_all, "set_time"]


def _through_pickle(value: T) -> T:
    copy: T = pickle.loads(pickle.dumps(value))  # noqa: S301  # It was made in this line.
    return copy


class LateRunner:
    """Restores batches only when it is waited for, or when three are under way: what worker processes look like."""

    def __init__(self, grid: FakeGrid, root: int, settings: RestoreSettings) -> None:
        self._grid = grid
        self._root = root
        self._settings = settings
        self._waiting: list[bytes] = []
        self.most = 0

    def submit(self, batch: Batch, directory: int) -> None:
        self._waiting.append(pickle.dumps(batch))
        self.most = max(self.most, len(self._waiting))

    def results(self) -> list[BatchResult]:
        return [self._run(self._waiting.pop(0))] if len(self._waiting) > 3 else []

    def drain(self) -> list[BatchResult]:
        done = [self._run(pickled) for pickled in self._waiting]
        self._waiting.clear()
        return done

    def close(self) -> None:
        pass

    def _run(self, pickled: bytes) -> BatchResult:
        settings = _through_pickle(self._settings)
        batch: Batch = pickle.loads(pickled)  # noqa: S301  # It was made a few lines above.
        return _through_pickle(FileWriter(self._grid, settings, DESTINATION).write_beneath(self._root, batch))


def test_batches_may_be_done_later_and_elsewhere(grid: FakeGrid, tmp_path: Path) -> None:
    """Directories wait for the files of all that is below them: times and closed modes are right at the end."""
    cap: DirectoryReadCap = grid.put_directory([])
    for _ in range(5):
        files = [Entry.of(b"f%d" % number, grid.put(os.urandom(100)), FILE) for number in range(3)]
        cap = grid.put_directory([Entry.of(b"d", cap, Metadata(mode=0o40000, mtime=(9, 9))), *files])
    runners: list[LateRunner] = []

    def late(root: int, settings: RestoreSettings) -> BatchRunner:
        runners.append(LateRunner(grid, root, settings))
        return runners[0]

    summary = restore(grid, Entry.of(b"s", cap, Metadata(mode=0o40700, mtime=(9, 9))), tmp_path / "out", make_runner=late)
    assert runners[0].most > 1
    assert summary == RestoreSummary(files=15, directories=6, bytes=1_500)
    for path in (tmp_path / "out").rglob("*"):
        status = path.stat()
        assert status.st_mtime_ns == (9_000_000_009 if path.is_dir() else 1_000_000_002)
        assert status.st_mode & 0o777 == (0 if path.is_dir() else 0o644)


def test_a_batch_whose_directory_is_gone_is_reported(grid: FakeGrid, tmp_path: Path) -> None:
    """Each of its files, with its path; nothing is written through a link in its place."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "a").symlink_to("outside")
    root = os.open(tmp_path, os.O_RDONLY)
    writer = FileWriter(grid, RestoreSettings(), DestinationSystem())
    result = writer.write_beneath(root, Batch((b"a",), [Entry(b"f", b"Lx", FILE)]))
    os.close(root)
    assert [problem.path for problem in result.problems] == [b"a/f"]
    assert result.files == 0
    assert list((tmp_path / "outside").iterdir()) == []


def test_secrets_are_not_shown() -> None:
    """A batch holds caps, and its repr none."""
    assert "secret" not in repr(Batch((b"a",), [Entry(b"f", b"Lsecret", FILE)]))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems can set the permissions of a symbolic link")
def test_a_link_s_mode_is_never_its_target_s(tmp_path: Path) -> None:
    """What can't be given to a file that is not opened is an error of the system, and goes to nobody else."""
    target, folder = tmp_path / "target", os.open(tmp_path, os.O_RDONLY)
    target.touch(mode=0o640)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="can't do that") as raised:
        DestinationSystem().set_mode(PathAt(folder, b"link"), 0o777)
    os.close(folder)
    assert raised.value.errno == errno.ENOTSUP
    assert target.stat().st_mode & 0o777 == 0o640
