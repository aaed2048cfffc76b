"""Open files: reading them, and keeping them for the next ranged read, so that reading a pack chunk by chunk opens it once."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock

import msgspec

from tallac.backends.swapping import read_to_end
from tallac.errors import StoreError
from tallac.file_calls import READ_FLAGS, FileCalls

# On Windows a file that is open can be neither removed nor replaced, and threads can't share a descriptor.
KEPT_OPEN_MAX = 0 if sys.platform == "win32" else 32

AHEAD_SIZE = 1 << 18
"""Of parts that are read, the system is told once, in multiples of so many bytes: what lies beside them is mostly read next."""


class OpenFile(msgspec.Struct, eq=False):
    """A file that is open for reading.

    Attributes:
        descriptor: Reads it.
        readers: How many are reading from it.
        is_kept: Whether it stays open when they are done.
        announced: Of which stretches of `AHEAD_SIZE` bytes the system knows that they are soon read.
    """

    descriptor: int
    readers: int = 0
    is_kept: bool = True
    announced: set[int] = msgspec.field(default_factory=set)


class DescriptorCache:
    """The files read last, open. Thread-safe: a descriptor is closed when nobody keeps it and nobody reads from it."""

    def __init__(self, files: FileCalls, kept_max: int = KEPT_OPEN_MAX) -> None:
        self._files = files
        self._kept_max = kept_max
        self._lock = Lock()
        self._kept: OrderedDict[str, OpenFile] = OrderedDict()

    @contextmanager
    def borrow(self, path: str) -> Iterator[int]:
        """Open the file that has this path now, and yield its descriptor for the length of the block. Raises as `borrow_file`."""
        with self.borrow_file(path) as file:
            yield file.descriptor

    @contextmanager
    def borrow_file(self, path: str) -> Iterator[OpenFile]:
        """Open the file that has this path now, and yield it for the length of the block.

        Raises:
            OSError: The file can't be opened.
        """
        opened = self._take(path) or self._open(path)
        try:
            yield opened
        finally:
            self._give_back(opened)

    def drop(self, path: str) -> None:
        """Forget a file."""
        with self._lock:
            opened = self._kept.pop(path, None)
            descriptor = self._release(opened) if opened else None
        self._close(descriptor)

    def close(self) -> None:
        """Forget all files. The cache can still be used."""
        for path in list(self._kept):
            self.drop(path)

    def __del__(self) -> None:
        # Nobody closes a backend; descriptors are plain numbers and would stay open.
        with suppress(OSError, MemoryError):
            self.close()

    def _take(self, path: str) -> OpenFile | None:
        with self._lock:
            opened = self._kept.get(path)
            if opened is None:
                return None
            self._kept.move_to_end(path)
            opened.readers += 1
        if self._is_current(opened):
            return opened
        self.drop(path)
        self._give_back(opened)
        return None

    def _is_current(self, opened: OpenFile) -> bool:
        # A file without a name has been deleted or replaced, by whatever process.
        try:
            return self._files.stat(opened.descriptor).st_nlink > 0
        except OSError:
            # ESTALE on a network file system says the same. Opening the file anew shows what is wrong otherwise.
            return False

    def _open(self, path: str) -> OpenFile:
        opened = OpenFile(self._files.open(path, READ_FLAGS), readers=1, is_kept=self._kept_max > 0)
        surplus: list[int | None] = []
        with self._lock:
            if self._kept_max > 0:
                previous = self._kept.pop(path, None)
                if previous is not None:
                    surplus.append(self._release(previous))
                self._kept[path] = opened
            if len(self._kept) > self._kept_max:
                surplus.append(self._release(self._kept.popitem(last=False)[1]))
        for descriptor in surplus:
            self._close(descriptor)
        return opened

    def _give_back(self, opened: OpenFile) -> None:
        with self._lock:
            opened.readers -= 1
            is_done = opened.readers == 0 and not opened.is_kept
        if is_done:
            self._close(opened.descriptor)

    def _release(self, opened: OpenFile) -> int | None:
        """Keep a file no longer; give its descriptor if it is to be closed. Call under the lock."""
        opened.is_kept = False
        return opened.descriptor if opened.readers == 0 else None

    def _close(self, descriptor: int | None) -> None:
        if descriptor is not None:
            self._files.close(descriptor)


class FileReads:
    """Reads files. Every method raises OSError, as the calls do. Thread-safe."""

    def __init__(self, files: FileCalls, folder: str, place: str) -> None:
        """Read below a folder, which messages show as `place`."""
        self._files = files
        self._folder = folder
        self._place = place

    def whole(self, path: str) -> bytes:
        """Read a file that nobody keeps open.

        Raises:
            StoreError: It ends before its own size.
        """
        descriptor = self._files.open(path, READ_FLAGS)
        try:
            return self.part(descriptor, 0, None)
        finally:
            self._files.close(descriptor)

    def part(self, descriptor: int, start: int, stop: int | None) -> bytes:
        """Read the bytes [start, stop) of an open file, fewer at its end; None for all that are left. Raises as `whole` does."""
        size = self._files.stat(descriptor).st_size
        content = read_to_end(self._files, descriptor, start) if stop is None else self._up_to(descriptor, start, stop)
        is_short = start + len(content) < (size if stop is None else min(stop, size))
        # Over a network it may be the size that the file had before; whether its bytes are all there, their seal says.
        if is_short and self._files.locks_reach_all(self._folder):
            raise StoreError(f"a file in {self._place} ends before its own size: check the disk, and run this again")
        return content

    def parts(self, file: OpenFile, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read many parts of an open file, each as `part` does. The system is told of all of them before the first is read."""
        files, descriptor = self._files, file.descriptor
        stretches = {start // AHEAD_SIZE for start, _ in ranges} | {(stop - 1) // AHEAD_SIZE for _, stop in ranges}
        for number in sorted(stretches - file.announced):
            file.announced.add(number)
            files.read_ahead(descriptor, number * AHEAD_SIZE, (number + 1) * AHEAD_SIZE)
        read_at = files.read_at
        contents = [read_at(descriptor, stop - start, start) for start, stop in ranges]
        return [
            # What is short may be so for one call only.
            content if len(content) == stop - start else self.part(descriptor, start, stop)
            for content, (start, stop) in zip(contents, ranges, strict=True)
        ]

    def _up_to(self, descriptor: int, start: int, stop: int) -> bytes:
        parts: list[bytes] = []
        while start < stop and (part := self._files.read_at(descriptor, stop - start, start)):
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
