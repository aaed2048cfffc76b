"""A grid of a few dicts, a tree's snapshot in it, and a destination that fails on request."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.on_disk import folder_on_disk

from tallac.caps import DirectoryReadCap, FileReadCap, ImmutableDirectory, ImmutableFile, LiteralFile
from tallac.dag import Entry, Metadata, encode_table
from tallac.errors import CorruptObjectError, MissingObjectError
from tallac.interfaces import BinaryReader, Directory
from tallac.restore import DestinationSystem, Problem, RestoreObserver, RestoreOptions, RestoreSummary, restore
from tallac.restore.filesystem import PathAt, Place
from tallac.source import (
    DirectoryStack,
    SourceEntry,
    metadata_of,
    open_regular,
    open_root,
    read_flags,
    read_holes,
    read_link,
    read_xattrs,
    read_xattrs_beneath,
    scan,
)

LITERAL_SIZE_MAX = 55


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Make a folder on a disk, where users restore to."""
    with folder_on_disk() as folder:
        yield folder


class FakeDirectory:
    """A directory as a list."""

    def __init__(self, entries: list[Entry], damage_after: int | None) -> None:
        self._entries = entries
        self._damage_after = damage_after

    def __iter__(self) -> Iterator[Entry]:
        for number, entry in enumerate(self._entries):
            if number == self._damage_after:
                raise CorruptObjectError("a chunk of the directory is damaged")
            yield entry

    def get(self, name: bytes) -> Entry | None:
        return next((entry for entry in self._entries if entry.name == name), None)


class FakeReader(io.BytesIO):
    """A file whose bytes fail their verification from an offset on."""

    def __init__(self, content: bytes, damage_at: int | None) -> None:
        super().__init__(content)
        self._damage_at = damage_at

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(1000 if size is None or size < 0 else min(size, 100_000))
        if self._damage_at is not None and self.tell() > self._damage_at:
            raise CorruptObjectError("a chunk is damaged")
        return block


class FakeGrid:
    """Contents by cap."""

    def __init__(self) -> None:
        self._files: dict[FileReadCap, bytes] = {}
        self._directories: dict[DirectoryReadCap, list[Entry]] = {}
        self.damaged_files: dict[FileReadCap, int] = {}
        self.damaged_directories: dict[DirectoryReadCap, int] = {}
        self.files_opened = 0

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        if isinstance(cap, LiteralFile):
            return FakeReader(cap.data, None)
        self.files_opened += 1
        if cap not in self._files:
            raise MissingObjectError("a chunk is missing")
        return FakeReader(self._files[cap], self.damaged_files.get(cap))

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        """Leave all that is not in its cap to open_file, whose readers can be damaged."""
        return [cap[1:] if cap[:1] == b"L" else None for cap in encoded]

    def reader_recipe(self) -> None:
        """Have no worker processes read: memory is one process's own."""

    def read_directory(self, cap: DirectoryReadCap) -> Directory:
        if cap not in self._directories:
            raise MissingObjectError("the directory is missing")
        return FakeDirectory(self._directories[cap], self.damaged_directories.get(cap))

    def put(self, content: bytes) -> FileReadCap:
        """Store a file."""
        if len(content) <= LITERAL_SIZE_MAX:
            return LiteralFile(content)
        cap = ImmutableFile(hashlib.sha256(content).digest()[:16], hashlib.sha256(content).digest(), 1, 1, len(content))
        self._files[cap] = content
        return cap

    def put_directory(self, entries: Iterable[Entry]) -> DirectoryReadCap:
        """Store a directory, however hostile its names."""
        listed = list(entries)
        digest = hashlib.sha256(encode_table(listed)).digest()
        cap = ImmutableDirectory(digest[:16], digest, 1, 1, len(listed))
        self._directories[cap] = listed
        return cap

    def forget(self, cap: FileReadCap) -> None:
        """Lose a file."""
        del self._files[cap]

    def forget_directory(self, cap: DirectoryReadCap) -> None:
        """Lose a directory."""
        del self._directories[cap]

    def cut(self, cap: FileReadCap, size: int) -> None:
        """Lose a file's end, unnoticed by the reader."""
        self._files[cap] = self._files[cap][:size]

    def put_at(self, cap: DirectoryReadCap, entries: list[Entry]) -> None:
        """Let any directory cap lead to these entries."""
        self._directories[cap] = entries

    def snapshot(self, path: Path | bytes, *, name: bytes = b"snapshot") -> Entry:
        """Store a tree of any depth as a backup would."""
        root = open_root(path)
        try:
            metadata = self._metadata(SourceEntry.of(name, os.fstat(root)), root)
            with DirectoryStack(root) as stack:
                return Entry.of(name, self._snapshot(stack), metadata)
        finally:
            os.close(root)

    def _snapshot(self, stack: DirectoryStack) -> DirectoryReadCap:
        # Children first, without recursion: the tree may be deeper than Python's stack.
        waiting: list[tuple[Iterator[SourceEntry], list[Entry], SourceEntry | None]] = [(iter(scan(stack.descriptor)), [], None)]
        while True:
            listing, entries, own = waiting[-1]
            found = next(listing, None)
            if found is not None and found.is_directory:
                stack.enter(found.name)
                waiting.append((iter(scan(stack.descriptor)), [], found))
            elif found is not None:
                entries.append(self._child(found, stack.descriptor))
            else:
                waiting.pop()
                cap = self.put_directory(entries)
                if own is None:
                    return cap
                metadata = self._metadata(own, stack.descriptor)
                stack.leave()
                waiting[-1][1].append(Entry.of(own.name, cap, metadata))

    def _child(self, found: SourceEntry, directory: int) -> Entry:
        if found.is_regular:
            descriptor, now = open_regular(directory, found.name)
            try:
                content = os.pread(descriptor, now.size, 0) if now.size else b""
                return Entry.of(found.name, self.put(content), self._metadata(now, descriptor))
            finally:
                os.close(descriptor)
        target = read_link(directory, found.name) if found.is_symlink else None
        metadata = metadata_of(found, xattrs=read_xattrs_beneath(directory, found.name), target=target)
        return Entry.of(found.name, LiteralFile(target or b""), metadata)

    def _metadata(self, entry: SourceEntry, descriptor: int) -> Metadata:
        holes = read_holes(descriptor, entry.size) if entry.may_have_holes else ()
        return metadata_of(entry, xattrs=read_xattrs(descriptor), flags=read_flags(descriptor), holes=holes)


def described(grid: FakeGrid, root: Entry) -> dict[bytes, tuple[Metadata, bytes, bytes]]:
    """Tell everything about a stored tree that must come back: metadata, content, and the first path of the same file."""
    told: dict[bytes, tuple[Metadata, bytes, bytes]] = {}
    firsts: dict[tuple[int | None, int | None], bytes] = {}
    waiting = [(b"", root)]
    while waiting:
        path, entry = waiting.pop()
        if isinstance(entry.cap, DirectoryReadCap):
            below = ((path + b"/" + child.name, child) for child in grid.read_directory(entry.cap))
            waiting += sorted(below, key=lambda pair: pair[0], reverse=True)
        first = firsts.setdefault((entry.metadata.device, entry.metadata.inode), path)
        metadata = msgspec.structs.replace(entry.metadata, ctime=None, inode=None, device=None)
        told[path] = (metadata, b"" if entry.is_directory else entry.encoded, first)
    return told


class BentSystem(DestinationSystem):
    """Records what is done, and fails where it is told to: {call: (name or place, error)}.

    Attributes:
        life: After so many calls the process is dead, and none does anything any more.
        is_folding: Names that differ in case are the same one.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, OSError] = {}
        self.fail_after = 0
        self.life: int | None = None
        self.is_folding = False
        self.at_sync: Callable[[], None] = lambda: None
        self.before_enter: Callable[[bytes], None] | None = None

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.life is not None:
            self.life -= 1
            if self.life < 0:
                raise KeyboardInterrupt
        if call in self.failures:
            if self.fail_after:
                self.fail_after -= 1
            else:
                raise self.failures[call]

    def is_writable(self, root: int) -> bool:
        return "is_writable" not in self.failures and super().is_writable(root)

    def lstat(self, name: bytes, directory: int) -> os.stat_result:
        if self.is_folding:
            with self.scandir(directory) as listing:
                name = next((os.fsencode(one.name) for one in listing if os.fsencode(one.name).lower() == name.lower()), name)
        return super().lstat(name, directory)

    def make_directory(self, name: bytes, directory: int, mode: int = 0o700) -> None:
        self._note("make_directory")
        super().make_directory(name, directory, mode)
        if self.before_enter is not None:
            self.before_enter(name)

    def create(self, name: bytes, directory: int) -> int:
        self._note("create")
        return super().create(name, directory)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._note("write")
        return super().write(descriptor, data[: max(1, len(data) // 2)])

    def remove(self, name: bytes, directory: int) -> None:
        self._note("remove")
        super().remove(name, directory)

    def sync(self) -> None:
        self.at_sync()

    def remove_directory(self, name: bytes, directory: int) -> None:
        self._note("remove_directory")
        super().remove_directory(name, directory)

    def rename(self, old: bytes, new: bytes, directory: int) -> None:
        self._note("rename")
        super().rename(old, new, directory)

    def make_link(self, old: PathAt, new: PathAt) -> None:
        self._note("make_link")
        super().make_link(old, new)

    def make_node(self, name: bytes, directory: int, mode: int, device: int) -> None:
        self._note("make_node")
        super().make_node(name, directory, mode, device)

    def make_symlink(self, target: bytes, name: bytes, directory: int) -> None:
        self._note("make_symlink")
        super().make_symlink(target, name, directory)

    def set_owner(self, place: Place, uid: int, gid: int) -> None:
        self._note("set_owner")
        super().set_owner(place, uid, gid)

    def set_mode(self, place: Place, mode: int) -> None:
        self._note("set_mode")
        super().set_mode(place, mode)

    def set_xattr(self, place: Place, name: bytes, value: bytes) -> None:
        self._note("set_xattr")
        super().set_xattr(place, name, value)

    def remove_xattr(self, place: Place, name: bytes) -> None:
        self._note("remove_xattr")
        super().remove_xattr(place, name)

    def set_time(self, place: Place, mtime_ns: int) -> None:
        self._note("set_time")
        super().set_time(place, mtime_ns)

    def set_flags(self, descriptor: int, flags: int) -> None:
        self._note("set_flags")
        super().set_flags(descriptor, flags)


class Restored:
    """A restore with all that it said."""

    def __init__(self, grid: FakeGrid, out: Path) -> None:
        self.grid = grid
        self.out = out
        self.problems: list[Problem] = []
        self.protected: list[bytes] = []
        self.system = BentSystem()
        self.progress: list[tuple[int, int, int]] = []
        self.changes: list[tuple[str, bytes]] = []
        self.options = RestoreOptions()

    def __call__(self, message: Entry, destination: Path | bytes | None = None) -> RestoreSummary:
        return restore(
            self.grid,
            message,
            self.out if destination is None else destination,
            options=self.options,
            observer=RestoreObserver(
                problem=self.problems.append,
                protected=lambda path, _: self.protected.append(path),
                change=lambda change, path: self.changes.append((change.value, path)),
                progress=lambda summary: self.progress.append((summary.files, summary.directories, summary.bytes)),
            ),
            system=self.system,
        )

    def assert_same(self, snapshot: Entry, destination: Path | bytes | None = None) -> None:
        """Compare a snapshot with what was restored."""
        wanted = described(self.grid, snapshot)
        got = described(self.grid, self.grid.snapshot(self.out if destination is None else destination))
        assert got.keys() == wanted.keys()
        for path, told in wanted.items():
            assert got[path] == told, path

    @property
    def said(self) -> dict[bytes, str]:
        """What was reported, by path."""
        return {problem.path: problem.message for problem in self.problems}


@pytest.fixture
def grid() -> FakeGrid:
    """An empty grid."""
    return FakeGrid()


@pytest.fixture
def restored(grid: FakeGrid, tmp_path: Path) -> Restored:
    """Restores into `out`, which does not exist yet."""
    return Restored(grid, tmp_path / "out")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty folder to make a source in."""
    path = tmp_path / "tree"
    path.mkdir()
    return path


@pytest.fixture
def cleared(tmp_path: Path) -> Iterator[None]:
    """Remove what is too deep for pytest's own removal, which recurses."""
    yield
    # Only root removes something from a directory that its owner may not write.
    subprocess.run(["chmod", "-R", "u+rwx", *tmp_path.iterdir()], check=True)
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


@pytest.fixture
def no_space() -> OSError:
    """A full disk."""
    return OSError(errno.ENOSPC, "No space left on device")
