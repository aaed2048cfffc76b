"""Fakes of the operating system's calls under `LocalBackend`: they record the order of calls, or let one fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

from tallac.file_calls import REAL, FileCalls, Found
from tallac.interfaces import Buffer

CHANGES = frozenset({"create", "write", "fsync", "fdatasync", "sync_folder", "rename", "link", "unlink", "mkdir"})
"""The calls that change what a disk holds."""


NEEDS_SPACE = CHANGES - {"unlink", "sync_folder"}
"""The calls that fail on a full disk."""


class FileCall(NamedTuple):
    """A call to the operating system.

    Attributes:
        name: As in `FileCalls`, and create for an open that creates.
        path: The path of the call; for a descriptor, the path that was opened, or that the file was renamed to since.
        destination: The new name of a rename or a link.
    """

    name: str
    path: str
    destination: str = ""


class WatchedFileCalls:
    """Other file calls, with hooks before and after each. Thread-safe."""

    def __init__(self, inner: FileCalls = REAL) -> None:
        self._inner = inner
        self._lock = Lock()
        self._paths: dict[int, str] = {}

    def before(self, call: FileCall) -> None:
        """Observe a call before it is made; an exception raised here takes its place."""

    def after(self, call: FileCall, data: bytes = b"") -> None:
        """Observe a call that was made, with the bytes that it wrote."""

    def path_of(self, descriptor: int) -> str:
        """Return the path that a descriptor was opened with."""
        with self._lock:
            return self._paths.get(descriptor, "")

    @contextmanager
    def _watched(self, call: FileCall) -> Iterator[None]:
        self.before(call)
        yield
        self.after(call)

    def open(self, path: str, flags: int) -> int:
        with self._watched(FileCall("create" if flags & os.O_CREAT else "open", path)):
            return self._remember(self._inner.open(path, flags), path)

    def close(self, descriptor: int) -> None:
        # A descriptor is closed even if close fails.
        self._inner.close(descriptor)
        with self._watched(FileCall("close", self.path_of(descriptor))):
            pass

    def write(self, descriptor: int, data: Buffer) -> int:
        call = FileCall("write", self.path_of(descriptor))
        self.before(call)
        count = self._inner.write(descriptor, data)
        self.after(call, bytes(memoryview(data)[:count]))
        return count

    def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
        with self._watched(FileCall("read_at", self.path_of(descriptor))):
            return self._inner.read_at(descriptor, size, offset)

    def read_ahead(self, descriptor: int, start: int, stop: int) -> None:
        # It gives nothing, and never fails.
        self._inner.read_ahead(descriptor, start, stop)

    def stat(self, file: str | int) -> os.stat_result:
        with self._watched(FileCall("stat", file if isinstance(file, str) else self.path_of(file))):
            return self._inner.stat(file)

    def fsync(self, descriptor: int) -> None:
        with self._watched(FileCall("fsync", self.path_of(descriptor))):
            self._inner.fsync(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        with self._watched(FileCall("fdatasync", self.path_of(descriptor))):
            self._inner.fdatasync(descriptor)

    def sync_folder(self, folder: str) -> None:
        with self._watched(FileCall("sync_folder", folder)):
            self._inner.sync_folder(folder)

    def rename(self, source: str, destination: str) -> None:
        with self._watched(FileCall("rename", source, destination)):
            self._inner.rename(source, destination)
            self._follow(source, destination)

    def link(self, source: str, destination: str) -> None:
        with self._watched(FileCall("link", source, destination)):
            self._inner.link(source, destination)

    def unlink(self, path: str) -> None:
        with self._watched(FileCall("unlink", path)):
            self._inner.unlink(path)

    def mkdir(self, folder: str) -> None:
        with self._watched(FileCall("mkdir", folder)):
            self._inner.mkdir(folder)

    def share(self, file: str | int, folder: str) -> None:
        # It changes no bytes and no names, which is what tests fail or lose.
        self._inner.share(file, folder)

    def lock_folder(self, folder: str, *, shared: bool) -> int:
        with self._watched(FileCall("lock_folder", folder)):
            return self._remember(self._inner.lock_folder(folder, shared=shared), folder)

    def try_lock(self, descriptor: int, *, shared: bool) -> bool:
        with self._watched(FileCall("try_lock", self.path_of(descriptor))):
            return self._inner.try_lock(descriptor, shared=shared)

    def unlock(self, descriptor: int) -> None:
        self._inner.unlock(descriptor)
        with self._watched(FileCall("unlock", self.path_of(descriptor))):
            pass

    def list_folder(self, folder: str) -> list[Found]:
        with self._watched(FileCall("list_folder", folder)):
            return self._inner.list_folder(folder)

    def locks_reach_all(self, folder: str) -> bool:
        return self._inner.locks_reach_all(folder)

    def room(self, folder: str) -> int:
        with self._watched(FileCall("room", folder)):
            return self._inner.room(folder)

    def _follow(self, source: str, destination: str) -> None:
        """Note the path that an open file has now."""
        with self._lock:
            for descriptor, path in self._paths.items():
                if path == source:
                    self._paths[descriptor] = destination

    def _remember(self, descriptor: int, path: str) -> int:
        with self._lock:
            self._paths[descriptor] = path
        return descriptor


class RecordingFileCalls(WatchedFileCalls):
    """Other file calls, and a list of those that have succeeded."""

    def __init__(self, inner: FileCalls = REAL) -> None:
        super().__init__(inner)
        self.calls: list[FileCall] = []

    def after(self, call: FileCall, data: bytes = b"") -> None:
        del data
        with self._lock:
            self.calls.append(call)

    @property
    def changes(self) -> list[FileCall]:
        """The calls that changed the disk."""
        with self._lock:
            return [call for call in self.calls if call.name in CHANGES]


class FaultyFileCalls(WatchedFileCalls):
    """Other file calls, of which one fails."""

    def __init__(
        self, fail_at: int | None = None, code: int | None = errno.EIO, *, stays_full: bool = False, inner: FileCalls = REAL
    ) -> None:
        """Choose what fails.

        Args:
            fail_at: The number of the call, counted from 0; None for no call. `count` is the number of calls so far.
            code: The errno that it fails with; None for a `MemoryError`.
            stays_full: Whether all later calls that need space fail as well.
            inner: The file calls that are wrapped.
        """
        super().__init__(inner)
        self._fail_at = fail_at
        self._code = code
        self._stays_full = stays_full
        self.count = 0
        self.failed: list[FileCall] = []

    def before(self, call: FileCall) -> None:
        with self._lock:
            is_due = self._is_due(call)
            self.count += 1
            if is_due:
                self.failed.append(call)
        if is_due and self._code is None:
            raise MemoryError
        if is_due:
            assert self._code is not None
            raise OSError(self._code, os.strerror(self._code), call.path)

    def _is_due(self, call: FileCall) -> bool:
        if self._fail_at is None or self.count < self._fail_at:
            return False
        return self.count == self._fail_at or (self._stays_full and call.name in NEEDS_SPACE)
