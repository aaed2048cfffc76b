"""Open files that are kept for the next ranged read, so that reading a pack chunk by chunk opens it once."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import msgspec

from tallac.file_calls import READ_FLAGS, FileCalls

# On Windows a file that is open can be neither removed nor replaced, and threads can't share a descriptor.
KEPT_OPEN_MAX = 0 if sys.platform == "win32" else 32


class _OpenFile(msgspec.Struct, eq=False):
    descriptor: int
    readers: int = 0
    is_kept: bool = True


class DescriptorCache:
    """The files read last, open. Thread-safe: a descriptor is closed when nobody keeps it and nobody reads from it."""

    def __init__(self, files: FileCalls, kept_max: int = KEPT_OPEN_MAX) -> None:
        self._files = files
        self._kept_max = kept_max
        self._lock = Lock()
        self._kept: OrderedDict[str, _OpenFile] = OrderedDict()

    @contextmanager
    def borrow(self, path: str) -> Iterator[int]:
        """Open the file that has this path now, and yield its descriptor for the length of the block.

        Raises:
            OSError: The file can't be opened.
        """
        opened = self._take(path) or self._open(path)
        try:
            yield opened.descriptor
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

    def _take(self, path: str) -> _OpenFile | None:
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

    def _is_current(self, opened: _OpenFile) -> bool:
        # A file without a name has been deleted or replaced, by whatever process.
        try:
            return self._files.stat(opened.descriptor).st_nlink > 0
        except OSError:
            # ESTALE on a network file system says the same. Opening the file anew shows what is wrong otherwise.
            return False

    def _open(self, path: str) -> _OpenFile:
        opened = _OpenFile(self._files.open(path, READ_FLAGS), readers=1, is_kept=self._kept_max > 0)
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

    def _give_back(self, opened: _OpenFile) -> None:
        with self._lock:
            opened.readers -= 1
            is_done = opened.readers == 0 and not opened.is_kept
        if is_done:
            self._close(opened.descriptor)

    def _release(self, opened: _OpenFile) -> int | None:
        """Keep a file no longer; give its descriptor if it is to be closed. Call under the lock."""
        opened.is_kept = False
        return opened.descriptor if opened.readers == 0 else None

    def _close(self, descriptor: int | None) -> None:
        if descriptor is not None:
            self._files.close(descriptor)
