"""Parts of packs that were fetched over a line, kept in files that the processes of one command share.

A file holds one pack: which parts of it are there, a checksum of each block of them, and behind that the parts, each in its place.
Whoever fetches parts holds the file's lock meanwhile; who waits for it finds them there afterwards. What lies here is as it lies in
the store, sealed, and is verified where it is used. Blocks that this machine's disk has damaged are fetched once more, so that what
does not verify then is damaged in the store. The files go with the command; those of one that was killed go with the next one.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tallac.crypto.hashing import hash_file_bytes
from tallac.file_calls import REAL
from tallac.local_files import wait_for_lock

PART_SIZE = 256 << 10
"""A request takes as long as a quarter of a megabyte on a line of 50 Mbit/s and 40 ms; to begin with, no more is fetched."""

FETCH_SIZE_MAX = 4 << 20
"""As much is fetched at a time as was fetched before, up to this: whoever has read much will read more."""

BULK_SIZE = 2 << 20
"""Whoever has read so much is given the next part before asking for it."""

KEPT_SIZE_MAX = 256 << 20
HEADER_SIZE = 8 << 10
_SIZE_BYTES = 8

BLOCK_SIZE = 16 << 10
CHECKSUM_SIZE = 8
_BLOCKS = PART_SIZE // BLOCK_SIZE
PACK_SIZE_MAX = (HEADER_SIZE - _SIZE_BYTES) * PART_SIZE

CONTENT_START = HEADER_SIZE + PACK_SIZE_MAX // BLOCK_SIZE * CHECKSUM_SIZE
"""There the parts begin; a file has holes where nothing was written."""

_PREFIX = "parts-"
_LOCK = "lock"
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

Fetch = Callable[[int, int], bytes]
"""Returns the bytes [start, stop) of a pack from the store, fewer at its end."""


class PackParts:
    """The parts that one command has fetched. Thread-safe, and shared with the processes to which this is sent."""

    def __init__(self, parent: Path, folder: Path | None = None, fetched: int = 0, *, kept_size_max: int = KEPT_SIZE_MAX) -> None:
        """Make nothing yet.

        Args:
            parent: Where the folder is made.
            folder: One that another process has made, and removes.
            fetched: How many bytes that process has fetched.
            kept_size_max: From so many bytes on, what was written to least lately goes.
        """
        self._parent = parent
        self._folder = folder
        self._kept_size_max = kept_size_max
        self._removal: weakref.finalize[[Path, int], PackParts] | None = None
        self._fetched = fetched
        self._is_removed = False
        self._making = threading.Lock()

    def __reduce__(self) -> tuple[object, ...]:
        """Return what lets another process use the same parts; where there can be none, it does without as well."""
        with suppress(OSError):
            self._made()
        return PackParts, (self._parent, self._folder, self._fetched)

    def read(self, pack: str, start: int, stop: int, fetch: Fetch) -> tuple[bytes, int | None]:
        """Read the bytes [start, stop) of a pack, fewer at its end; what is not there is fetched, with what lies around it.

        Returns:
            The bytes; and where the next part begins that is likely to be wanted, where something was fetched.

        Raises:
            OSError: Nothing can be kept here.
            What `fetch` raises.
        """
        if stop > PACK_SIZE_MAX:
            return fetch(start, stop), None
        with self._opened(pack) as file:
            if file.has(start, stop) and (content := file.read(start, stop)) is not None:
                return content, None
            wait_for_lock(file.descriptor)
            file.load()
            end = self._fetch_missing(file, start, stop, fetch)
            is_bulk = self._fetched >= BULK_SIZE and end + 1 <= PACK_SIZE_MAX and not file.has(end, end + 1)
            content = file.read(start, stop)
            if content is None:
                # The disk has damaged it, since it was fetched or at once; what the store says counts.
                file.drop(start, stop)
                self._fetch_missing(file, start, stop, fetch)
                content = file.read(start, stop)
            return fetch(start, stop) if content is None else content, end if is_bulk else None

    def fetch(self, pack: str, start: int, stop: int, fetch: Fetch) -> None:
        """Fetch what is missing of the bytes [start, stop) of a pack, and no more than the parts in which they lie.

        Raises:
            As `read` does.
        """
        with self._opened(pack) as file:
            wait_for_lock(file.descriptor)
            file.load()
            while (first := file.first_missing(start, min(stop, PACK_SIZE_MAX))) is not None:
                first, last = file.missing_around(first, first, -(-stop // PART_SIZE))
                file.write(first, last, fetch(first * PART_SIZE, last * PART_SIZE))
            self._make_room()

    def forget(self, pack: str) -> None:
        """Forget a pack that was deleted."""
        if self._folder is not None:
            with suppress(FileNotFoundError):
                self._path(self._folder, pack).unlink()

    def remove(self) -> None:
        """Remove the folder, if this object has made one; that happens as well when nobody uses this object any more."""
        with self._making:
            self._is_removed = True
            if self._removal is not None:
                self._removal()
                self._removal = self._folder = None

    def _fetch_missing(self, file: _PackFile, start: int, stop: int, fetch: Fetch) -> int:
        """Fetch what is missing of a range; return where the last window that was fetched has ended."""
        end = 0
        while (first := file.first_missing(start, stop)) is not None:
            count = max(min(self._fetched, FETCH_SIZE_MAX) // PART_SIZE, 1)
            wanted = -(-stop // PART_SIZE) - first
            # Windows of one size lie side by side, so that reads in whatever order fetch nothing twice.
            first, last = file.missing_around(first, first // count * count, max(first // count * count + count, first + wanted))
            begin = first * PART_SIZE
            content = fetch(begin, last * PART_SIZE)
            self._fetched += len(content)
            file.write(first, last, content)
            end = last * PART_SIZE
        self._make_room()
        return end

    def _make_room(self) -> None:
        """Remove the files that were written to least lately, while all of them take too much."""
        assert self._folder is not None
        found: list[tuple[int, int, Path]] = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime_ns, getattr(status, "st_blocks", status.st_size // 512) * 512, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found)[:-1]:
            if total <= self._kept_size_max:
                return
            if path.name != _LOCK:
                with suppress(OSError):
                    path.unlink()
                    total -= size

    @contextmanager
    def _opened(self, pack: str) -> Iterator[_PackFile]:
        descriptor = os.open(self._path(self._made(), pack), _FLAGS, 0o600)
        try:
            file = _PackFile(descriptor)
            file.load()
            yield file
        finally:
            os.close(descriptor)

    @staticmethod
    def _path(folder: Path, pack: str) -> Path:
        return folder / pack.replace("/", "-")

    def _made(self) -> Path:
        with self._making:
            if self._is_removed:
                raise FileNotFoundError(errno.ENOENT, "the parts of this command were removed")
            if self._folder is None:
                self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _remove_left_ones(self._parent)
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
                # As long as this process lives, nobody takes the folder for a killed one's.
                lock = os.open(folder / _LOCK, _FLAGS, 0o600)
                wait_for_lock(lock)
                self._removal = weakref.finalize(self, _remove, folder, lock)
                self._folder = folder
            return self._folder


def _remove(folder: Path, lock: int) -> None:
    # Windows removes no file that is open.
    os.close(lock)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_left_ones(parent: Path) -> None:
    """Remove the folders of commands that were killed: nobody holds their lock."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(folder / _LOCK, os.O_RDWR)
            try:
                if REAL.try_lock(descriptor, shared=False):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


class _PackFile:
    """One pack's file, open. Its header has the pack's size plus one, or 0, and then a byte for each part: 1 where it is there."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._size: int | None = None
        self._parts = b""

    def load(self) -> None:
        """Read the header; a new file has none."""
        header = self._read_at(HEADER_SIZE, 0).ljust(HEADER_SIZE, b"\0")
        size = int.from_bytes(header[:_SIZE_BYTES], "little")
        self._size = size - 1 if size else None
        self._parts = header[_SIZE_BYTES:]

    def has(self, start: int, stop: int) -> bool:
        """Whether all of a range is there."""
        return self.first_missing(start, stop) is None

    def first_missing(self, start: int, stop: int) -> int | None:
        """Return the first part of a range that is not there."""
        if self._size is not None:
            stop = min(stop, self._size)
        if start >= stop:
            return None
        found = self._parts.find(b"\0", start // PART_SIZE, (stop - 1) // PART_SIZE + 1)
        return None if found < 0 else found

    def missing_around(self, part: int, first: int, last: int) -> tuple[int, int]:
        """Return the range of parts around a missing one, within a larger range, in which none is there."""
        before = self._parts.rfind(b"\1", first, part)
        behind = self._parts.find(b"\1", part, last)
        last = last if behind < 0 else behind
        if self._size is not None:
            last = min(last, -(-self._size // PART_SIZE))
        return first if before < 0 else before + 1, min(last, len(self._parts))

    def write(self, first: int, last: int, content: bytes) -> None:
        """Keep parts [first, last) of the pack, which ends with them where they are shorter than that."""
        start = first * PART_SIZE
        self._write_at(content, CONTENT_START + start)
        self._write_at(_checksums(content), _checksum_place(start))
        if len(content) < (last - first) * PART_SIZE:
            self._size = start + len(content)
            self._write_at((self._size + 1).to_bytes(_SIZE_BYTES, "little"), 0)
        # Only now are they there, whoever looks.
        self._write_at(b"\1" * (last - first), _SIZE_BYTES + first)
        self.load()

    def read(self, start: int, stop: int) -> bytes | None:
        """Read a range that is there; None where it is not any more what was written."""
        if self._size is not None:
            stop = min(stop, self._size)
        if start >= stop:
            return b""
        first = start // BLOCK_SIZE * BLOCK_SIZE
        last = min(-(-stop // BLOCK_SIZE) * BLOCK_SIZE, PACK_SIZE_MAX if self._size is None else self._size)
        content = self._read_at(last - first, CONTENT_START + first)
        expected = self._read_at(-(-(last - first) // BLOCK_SIZE) * CHECKSUM_SIZE, _checksum_place(first))
        if len(content) < last - first or _checksums(content) != expected:
            return None
        return content[start - first : stop - first]

    def drop(self, start: int, stop: int) -> None:
        """Drop the parts in which a range lies; whoever looks for them fetches them."""
        first, last = start // PART_SIZE, min(-(-stop // PART_SIZE), len(self._parts))
        self._write_at(bytes(last - first), _SIZE_BYTES + first)
        self.load()

    def _read_at(self, size: int, offset: int) -> bytes:
        # Windows has no `pread`, and nobody else has this descriptor.
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        return os.read(self.descriptor, size)

    def _write_at(self, content: bytes, offset: int) -> None:
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        left = memoryview(content)
        while left:
            left = left[os.write(self.descriptor, left) :]


def _checksum_place(start: int) -> int:
    return HEADER_SIZE + start // BLOCK_SIZE * CHECKSUM_SIZE


def _checksums(content: bytes) -> bytes:
    """Return the checksums of the blocks of some content, one after the other."""
    view = memoryview(content)
    return b"".join(hash_file_bytes(view[at : at + BLOCK_SIZE])[:CHECKSUM_SIZE] for at in range(0, len(content), BLOCK_SIZE))
