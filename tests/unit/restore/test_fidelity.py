from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tallac.dag import Entry, Metadata
from tallac.restore import ProblemKind
from tallac.source import DirectoryStack, open_root

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make this")
MIB = 1 << 20


def chattr(flags: str, *paths: Path) -> None:
    """Set inode flags, or skip the test where there are none."""
    if subprocess.run(["chattr", flags, *paths], check=False, capture_output=True).returncode != 0:
        pytest.skip("no chattr, or a file system without flags")


def setfacl(option: str, rules: str, path: Path) -> None:
    """Set an ACL, or skip the test where there are none."""
    options = [option] if option else []
    if subprocess.run(["setfacl", *options, "-m", rules, path], check=False).returncode != 0:
        pytest.skip("no setfacl, or a file system without ACLs")


def make_deep(top: Path, depth: int) -> list[bytes]:
    """Make directories deeper than a path can name, with a file at the bottom."""
    names = [b"d" * 200] * depth
    root = open_root(top)
    with DirectoryStack(root) as stack:
        for name in names:
            os.mkdir(name, dir_fd=stack.descriptor)
            stack.enter(name)
        descriptor = os.open(b"file", os.O_CREAT | os.O_WRONLY, dir_fd=stack.descriptor)
        os.write(descriptor, b"deep")
        os.close(descriptor)
    os.close(root)
    return names


@pytest.fixture
def unprotected(tmp_path: Path) -> Iterator[None]:
    """Take flags off at the end, so that the test's folder can be removed."""
    yield
    subprocess.run(["chattr", "-R", "-iad", tmp_path], check=False, capture_output=True)


def test_files_and_directories_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """Contents of all sizes, modes, and times in nanoseconds, also of directories."""
    for number, size in enumerate((0, 1, 55, 56, 100_000, 3 * MIB)):
        path = tree / f"sub{number % 2}" / f"file{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(size))
        path.chmod(0o400 + number)
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + number))
    (tree / "empty").mkdir(mode=0o500)
    for path in (tree / "sub0", tree / "sub1", tree / "empty", tree):
        os.utime(path, ns=(0, 1_500_000_000_000_000_001))
    snapshot = grid.snapshot(tree)
    summary = restored(snapshot)
    restored.assert_same(snapshot)
    assert restored.problems == []
    assert (summary.files, summary.directories) == (6, 4)
    assert summary.bytes == 0 + 1 + 55 + 56 + 100_000 + 3 * MIB
    assert restored.progress[-1] == (summary.files, summary.directories, summary.bytes)
    assert summary.is_complete
    assert grid.files_opened == 3, "what is in its cap is not read"


def test_names_of_any_bytes_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """Not UTF-8, control characters, twins by case and by normal form."""
    for name in (b"\xff\xfe", b"new\nline", b"a", b"A", "\u00e4".encode(), "a\u0308".encode(), b"n" * 255):
        Path(os.fsdecode(os.fsencode(tree) + b"/" + name)).write_bytes(name)
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)


def test_links_fifos_and_sockets_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """As themselves, with modes and times; a symbolic link dangling and of any bytes."""
    os.symlink(b"../\xff nowhere", os.fsencode(tree / "dangling"))
    (tree / "absolute").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree / "socket"))
    (tree / "socket").chmod(0o711)
    for path in tree.iterdir():
        os.utime(path, ns=(0, 1_234_567_890_987_654_321), follow_symlinks=False)
    snapshot = grid.snapshot(tree)
    assert restored(snapshot).files == 4
    restored.assert_same(snapshot)
    assert restored.problems == []


@needs_root
def test_devices_owners_and_setuid_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """As root: device numbers, owners of links too, and the bits that chown clears."""
    os.mknod(tree / "character", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(tree / "block", stat.S_IFBLK | 0o600, os.makedev(259, 70_000))
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("sticky", 0o1644)):
        (tree / name).write_bytes(b"x")
        os.chown(tree / name, 12_345, 54_321)
        (tree / name).chmod(mode)
    (tree / "shared").mkdir()
    os.chown(tree / "shared", 1, 2)
    (tree / "shared").chmod(0o3777)
    (tree / "link").symlink_to("setuid")
    os.chown(tree / "link", 7, 8, follow_symlinks=False)
    snapshot = grid.snapshot(tree)
    summary = restored(snapshot)
    restored.assert_same(snapshot)
    assert restored.problems == []
    assert summary.notes == ()


@needs_root
def test_owners_go_by_name_unless_told_otherwise(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """A name that this machine knows under another number wins; an unknown name leaves the number."""
    entries = [
        Entry(b"known", b"L", Metadata(mode=0o100644, uid=4242, gid=4343, user="root", group="root")),
        Entry(b"unknown", b"L", Metadata(mode=0o100644, uid=4242, gid=4343, user="no such user", group="no such group")),
    ]
    restored(Entry.of(b"s", grid.put_directory(entries)))
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in restored.out.iterdir()}
    assert owners == {"known": (0, 0), "unknown": (4242, 4343)}


def test_extended_attributes_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """With names of any bytes, on files that nobody may write, and on directories."""
    (tree / "file").write_bytes(b"x")
    (tree / "directory").mkdir()
    for path in (tree / "file", tree / "directory", tree):
        os.setxattr(path, b"user.\xff", b"\0value")
        os.setxattr(path, b"user.empty", b"")
        path.chmod(0o400 if path.is_file() else 0o500)
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)
    assert restored.problems == []


@needs_root
def test_attributes_that_need_root_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """Of symbolic links and FIFOs, and the capability that chown clears."""
    (tree / "program").write_bytes(b"x")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(tree / "program", b"security.capability", capability)
    (tree / "link").symlink_to("program")
    os.mkfifo(tree / "fifo")
    for name in ("link", "fifo"):
        os.setxattr(tree / name, b"trusted.\xff", b"1", follow_symlinks=False)
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)
    assert os.getxattr(restored.out / "program", b"security.capability") == capability
    assert restored.problems == []


def test_acls_come_back_and_do_not_leak(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """A directory's default ACL neither reaches restored children that had none nor gets lost."""
    (tree / "directory").mkdir()
    (tree / "directory/file").write_bytes(b"x")
    (tree / "directory/below").mkdir()
    (tree / "directory/with").write_bytes(b"x")
    setfacl("-d", "u:1:rwx", tree / "directory")
    setfacl("", "u:2:r--,g:3:rw-", tree / "directory/with")
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)
    assert restored.problems == []


def test_what_the_destination_would_pass_on_is_kept_off(tree: Path, grid: FakeGrid, restored: Restored, unprotected: None) -> None:
    """A default ACL and flags of an existing folder do not reach what is restored into it."""
    (tree / "directory").mkdir()
    (tree / "directory/file").write_bytes(b"x")
    os.mkfifo(tree / "directory/fifo")
    restored.out.mkdir()
    setfacl("-d", "u:1:rwx", restored.out)
    chattr("+d", restored.out)
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)
    assert restored.problems == []


def test_a_single_file_is_kept_free_of_the_folders_acl(
    tree: Path, grid: FakeGrid, restored: Restored, unprotected: None, tmp_path: Path
) -> None:
    """A file restored beside others gets its own metadata; the folder keeps its ACL, flags and time."""
    (tree / "file").write_bytes(b"x")
    snapshot = grid.snapshot(tree)
    entry = next(entry for entry in grid.read_directory(snapshot.cap) if entry.name == b"file")  # type: ignore[arg-type]
    restored.out.mkdir()
    (restored.out / "other").touch()
    setfacl("-d", "u:1:rwx", restored.out)
    chattr("+d", restored.out)
    restored(entry)
    now = {child.name: child for child in grid.read_directory(grid.snapshot(restored.out).cap)}  # type: ignore[arg-type]
    assert now[b"file"].encoded == entry.encoded
    assert (now[b"file"].metadata.xattrs, now[b"file"].metadata.flags) == ((), 0)
    assert now[b"file"].metadata.mode == entry.metadata.mode
    assert os.listxattr(restored.out) == ["system.posix_acl_default"]


@needs_root
def test_flags_come_back(tree: Path, grid: FakeGrid, restored: Restored, unprotected: None) -> None:
    """Also those that forbid everything else: of directories with children, and of hard links."""
    (tree / "sealed").mkdir()
    (tree / "sealed/file").write_bytes(b"x")
    (tree / "first").write_bytes(b"linked")
    os.link(tree / "first", tree / "sealed/second")
    (tree / "log").write_bytes(b"x")
    chattr("+d", tree / "sealed/file")
    chattr("+a", tree / "log")
    chattr("+i", tree / "first", tree / "sealed")
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)
    assert restored.problems == []


def test_hard_links_of_each_kind_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """Across directories: regular files, small and large, FIFOs and symbolic links."""
    for name in ("a", "b/c"):
        (tree / name).mkdir(parents=True)
    (tree / "a/small").write_bytes(b"x")
    (tree / "a/large").write_bytes(os.urandom(100_000))
    os.mkfifo(tree / "a/fifo")
    (tree / "a/link").symlink_to("small")
    for name in ("small", "large", "fifo", "link"):
        os.link(tree / "a" / name, tree / "b/c" / name, follow_symlinks=False)
        os.link(tree / "a" / name, tree / f"{name}-third", follow_symlinks=False)
    snapshot = grid.snapshot(tree)
    summary = restored(snapshot)
    restored.assert_same(snapshot)
    assert (restored.out / "small-third").stat().st_nlink == 3
    assert (summary.files, summary.bytes) == (12, 3 * (1 + 100_000))


def test_links_outside_the_snapshot_make_no_links(tree: Path, grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """A file whose other link was not backed up comes back alone."""
    (tree / "inside").write_bytes(b"x")
    os.link(tree / "inside", tmp_path / "outside")
    restored(grid.snapshot(tree))
    assert (restored.out / "inside").stat().st_nlink == 1


def test_one_inode_with_two_contents_makes_two_files(grid: FakeGrid, restored: Restored) -> None:
    """A file that changed between two looks at it was stored twice, and neither content is lost."""
    metadata = Metadata(mode=0o100644, inode=1, device=1, links=2)
    entries = [Entry(b"a", b"Lold", metadata), Entry(b"b", b"Lnew", metadata)]
    restored(Entry.of(b"s", grid.put_directory(entries)))
    assert [(restored.out / name).read_bytes() for name in "ab"] == [b"old", b"new"]


def test_holes_come_back(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """Where they were, with zeros elsewhere as they were written; a file of nothing but a hole, too."""
    with (tree / "sparse").open("wb") as file:
        file.truncate(6 * MIB + 5)
        file.seek(MIB)
        file.write(b"x" * 4096)
        file.seek(2 * MIB)
        file.write(bytes(MIB))
    for name, size in (("hole", 5 * MIB), ("small", 30)):
        with (tree / name).open("wb") as file:
            file.truncate(size)
    snapshot = grid.snapshot(tree)
    assert all(entry.metadata.holes for entry in grid.read_directory(snapshot.cap))  # type: ignore[arg-type]
    restored(snapshot)
    restored.assert_same(snapshot)
    assert (restored.out / "hole").stat().st_blocks == 0


def test_content_counts_more_than_holes(grid: FakeGrid, restored: Restored) -> None:
    """Where recorded holes hold data, or make no sense, the content comes back all the same."""
    content = os.urandom(300_000)
    holes = ((0, 4096), (2048, 9), (-5, 3), (8192, 250_000), (299_000, 1 << 40), (1 << 50, 1))
    entry = Entry.of(b"file", grid.put(content), Metadata(mode=0o100644, holes=holes))
    assert restored(entry).is_complete
    assert (restored.out / "file").read_bytes() == content


@pytest.mark.parametrize("seconds", [-1, -(2**31), 2**31, 2**32, 13_569_465_600])
def test_times_far_away_come_back(grid: FakeGrid, restored: Restored, seconds: int) -> None:
    """Before 1970, after 2038 and in 2400, of files, links and directories."""
    time = (seconds, 999_999_999 if seconds > -(2**31) else 0)
    entries = [
        Entry.of(b"directory", grid.put_directory([]), Metadata(mode=0o40755, mtime=time)),
        Entry(b"file", b"L", Metadata(mode=0o100644, mtime=time)),
        Entry(b"link", b"L", Metadata(mode=0o120777, mtime=time, target=b"x")),
    ]
    restored(Entry.of(b"s", grid.put_directory(entries)))
    if restored.problems:
        pytest.skip("a file system that does not know such times")
    wanted = time[0] * 10**9 + time[1]
    assert {path.lstat().st_mtime_ns for path in restored.out.iterdir()} == {wanted}


def test_times_that_can_not_be_are_reported(grid: FakeGrid, restored: Restored) -> None:
    """The file is there; its time is said not to be."""
    entries = [Entry(b"file", b"L", Metadata(mode=0o100644, mtime=(1 << 63, 0)))]
    summary = restored(Entry.of(b"s", grid.put_directory(entries)))
    assert "time" in restored.said[b"file"]
    assert (summary.files, summary.unset, summary.is_complete) == (1, 1, True)


def test_paths_of_any_length_come_back(tree: Path, grid: FakeGrid, restored: Restored, cleared: None) -> None:
    """Over 4,096 bytes in the snapshot."""
    make_deep(tree, 40)
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)


def test_a_long_destination_is_no_hindrance(tree: Path, grid: FakeGrid, restored: Restored, tmp_path: Path, cleared: None) -> None:
    """A destination that is itself over 4,096 bytes is made and used."""
    make_deep(tree, 3)
    destination = b"/".join([os.fsencode(tmp_path), *[b"e" * 250] * 20])
    assert len(destination) > 4096
    snapshot = grid.snapshot(tree)
    restored(snapshot, destination)
    restored.assert_same(snapshot, destination)
    assert restored.problems == []


def test_a_walk_of_great_depth_works(grid: FakeGrid, restored: Restored, cleared: None) -> None:
    """1,100 levels, more than may be open and more than Python recurses."""
    cap = grid.put_directory([Entry(b"file", b"Ldeep", Metadata(mode=0o100644))])
    for _ in range(1_100):
        cap = grid.put_directory([Entry.of(b"d", cap, Metadata(mode=0o40500, mtime=(5, 5)))])
    summary = restored(Entry.of(b"s", cap, Metadata(mode=0o40700)))
    assert (summary.directories, summary.files) == (1_101, 1)
    assert restored.problems == []


def test_modes_are_right_under_any_umask(grid: FakeGrid, restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is open to others before its mode is set, and then it is the recorded one."""
    seen: list[int] = []
    original = restored.system.set_mode

    def watching(place: int, mode: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(place).st_mode))
        original(place, mode)

    monkeypatch.setattr(restored.system, "set_mode", watching)
    entries = [
        Entry.of(b"directory", grid.put_directory([]), Metadata(mode=0o40755)),
        Entry(b"file", b"Lx", Metadata(mode=0o100666)),
        Entry(b"plain", b"Lx"),
    ]
    before = os.umask(0)
    try:
        restored(Entry.of(b"s", grid.put_directory(entries), Metadata(mode=0o40755)))
    finally:
        os.umask(before)
    assert all(mode & 0o077 == 0 for mode in seen)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in restored.out.iterdir()}
    assert modes == {"directory": 0o755, "file": 0o666, "plain": 0o666}


def test_what_has_no_metadata_gets_what_the_umask_says(grid: FakeGrid, restored: Restored) -> None:
    """A cap alone tells no mode."""
    before = os.umask(0o027)
    try:
        restored(Entry.of(b"s", grid.put_directory([Entry(b"file", b"Lx"), Entry.of(b"sub", grid.put_directory([]))])))
    finally:
        os.umask(before)
    paths = (restored.out, restored.out / "sub", restored.out / "file")
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o750, 0o750, 0o640]


def test_an_existing_folder_gets_the_roots_metadata(tree: Path, grid: FakeGrid, restored: Restored) -> None:
    """An empty folder that exists is used as it is."""
    tree.chmod(0o711)
    os.utime(tree, ns=(0, 77))
    restored.out.mkdir(mode=0o700)
    snapshot = grid.snapshot(tree)
    restored(snapshot)
    restored.assert_same(snapshot)
    restored(msgspec.structs.replace(snapshot, metadata=Metadata()))
    assert stat.S_IMODE(restored.out.stat().st_mode) == 0o711, "without metadata, the folder keeps its own"


@pytest.mark.slow
def test_many_files_in_one_directory_come_back(grid: FakeGrid, restored: Restored) -> None:
    """More than one batch, in the order they come."""
    entries = [Entry(b"%06d" % number, b"L%d" % number, Metadata(mode=0o100644)) for number in range(1_000)]
    summary = restored(Entry.of(b"s", grid.put_directory(entries)))
    assert summary.files == len(list(restored.out.iterdir())) == 1_000
    assert (restored.out / "000999").read_bytes() == b"999"
    assert [files for files, _, _ in restored.progress] == [200, 400, 600, 800, 1_000, 1_000, 1_000]


@needs_root
def test_a_normal_user_gets_everything_but_owners(tree: Path, grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """Owners are left out and said once, setuid bits go with them, devices are reported; the rest comes back."""
    (tree / "file").write_bytes(b"x")
    os.setxattr(tree / "file", b"user.a", b"1")
    (tree / "file").chmod(0o4444)
    (tree / "locked").mkdir(mode=0o700)
    (tree / "locked/inside").write_bytes(b"y")
    (tree / "locked").chmod(0)
    os.mknod(tree / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    snapshot = grid.snapshot(tree)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o011)
        if path.name.startswith("pytest-of"):
            break
    restored.out.mkdir()
    os.chown(restored.out, 4242, 4242)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(4242)
    os.seteuid(4242)
    try:
        summary = restored(snapshot)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    assert summary.notes == ("owners were not set: not root",)
    assert stat.S_IMODE((restored.out / "file").stat().st_mode) == 0o444
    assert os.getxattr(restored.out / "file", "user.a") == b"1"
    assert (restored.out / "locked/inside").read_bytes() == b"y"
    assert stat.S_IMODE((restored.out / "locked").stat().st_mode) == 0
    assert not (restored.out / "device").exists()
    assert restored.said.keys() == {b"file", b"device"}
    assert {problem.kind for problem in restored.problems} == {ProblemKind.UNSET}
    assert summary.is_complete
