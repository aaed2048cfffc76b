"""A backend over SFTP: the very files that a vault in a folder has, on a machine that is reached by SSH.

So such a vault can be opened on that machine as a folder too, also at the same time. Of several writers one wins by links and
renames, see `swapping.py`; locks are not needed for it, and there are none.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from tallac.backends.local import LocalBackend
from tallac.backends.object_store import SPOOLED_IN_MEMORY_MAX
from tallac.backends.os_errors import store_errors
from tallac.backends.sftp_files import SftpFileCalls
from tallac.backends.sftp_session import SftpSession, SftpSettings
from tallac.backends.spooled_upload import SpooledUpload, spooled_parts
from tallac.backends.temporary import PREFIX, TemporaryFile
from tallac.backends.traffic import Traffic
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import UnsafeStoreError, VaultNotFoundError
from tallac.interfaces import Version


class SftpBackend(LocalBackend):
    """The `Backend` protocol over a folder on another machine. Thread-safe; can be sent to other processes, which connect anew.

    Nothing is tried again here: see `RetryingBackend`.
    """

    def __init__(self, settings: SftpSettings, traffic: Traffic | None = None) -> None:
        """Use a folder there; nothing is connected yet."""
        self._settings = settings
        self._traffic = traffic or Traffic()
        self._calls = SftpFileCalls(SftpSession(settings), self._traffic)
        self._root = settings.path if settings.path.startswith("/") else f"/{settings.path}"
        super().__init__(Path(self._root), files=self._calls)

    def __reduce__(self) -> tuple[object, ...]:
        return SftpBackend, (self._settings, self._traffic)

    def location(self) -> str:
        return self._settings.where

    def is_empty(self) -> bool:
        """Whether there is nothing at all, or no such folder."""
        with self._errors(writing=False):
            try:
                return all(found.name == "lost+found" for found in self._calls.list_folder(self._root))
            except FileNotFoundError:
                return True

    def examine(self) -> None:
        """Find out whether the server does what this backend builds on, by trying it in the folder, which exists.

        Raises:
            UnsafeStoreError: It does not; the reason is told.
        """
        with self._errors(writing=True):
            names = [posixpath.join(self._root, f"{PREFIX}probe-{os.urandom(8).hex()}") for _ in range(3)]
            try:
                self._examine(*names)
            finally:
                for name in names:
                    with suppress(OSError):
                        self._calls.unlink(name)

    def _examine(self, first: str, second: str, third: str) -> None:
        self._refuse_where_it_fails(lambda: self._make(first, b"first"), "files can't be created and made durable (fsync)")
        with suppress(FileExistsError):
            self._make(first, b"")
            raise self._unsafe("it opens a file that exists as if it were new")
        if self._content(first) != b"first":
            raise self._unsafe("it empties a file that was to be opened only if it did not exist")
        self._make(second, b"second")
        with suppress(FileExistsError):
            self._refuse_where_it_fails(lambda: self._calls.link(second, first), "files can't have second names (hardlink)")
            raise self._unsafe("it gives a file a name that another one has")
        self._refuse_where_it_fails(lambda: self._calls.link(second, third), "files can't have second names (hardlink)")
        self._refuse_where_it_fails(lambda: self._calls.rename(third, first), "files can't replace others (posix-rename)")
        if self._content(first) != b"second" or self._content(second) != b"second":
            raise self._unsafe("a renamed file has not replaced the one that had its name")

    def _refuse_where_it_fails(self, try_it: Callable[[], object], reason: str) -> None:
        try:
            try_it()
        except FileExistsError:
            raise
        except (ConnectionError, TimeoutError, PermissionError, FileNotFoundError):
            raise
        except OSError as error:
            raise self._unsafe(f"{reason}: {error.strerror}") from error

    def _unsafe(self, reason: str) -> UnsafeStoreError:
        return UnsafeStoreError(
            f"{self.location()}: a vault would not be safe on this SFTP server: {reason}; use OpenSSH's, or mount the folder"
        )

    def _make(self, path: str, content: bytes) -> None:
        descriptor = self._calls.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            if content:
                self._calls.write(descriptor, content)
            self._calls.fsync(descriptor)
        finally:
            self._calls.close(descriptor)

    def _content(self, path: str) -> bytes:
        descriptor = self._calls.open(path, os.O_RDONLY)
        try:
            return self._calls.read_at(descriptor, 100, 0)
        finally:
            self._calls.close(descriptor)

    def upload(self) -> SpooledUpload:  # type: ignore[override]  # Both are uploads.
        return SpooledUpload(self.location(), self.add, SPOOLED_IN_MEMORY_MAX)

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """See `WholeObjectBackend`."""
        self._path(name)
        with self._errors(writing=True):
            made = self._begin()
            try:
                # A step at a time: each process of a command holds a pack here.
                for part in spooled_parts(file, size):
                    made.write(part)
                self.add_file(made, name)
            finally:
                made.discard()

    def get_again(self, name: str, unlike: bytes) -> tuple[bytes, Version] | None:
        """See `RereadingBackend`: the server remembers nothing."""
        found = self.get_versioned(name)
        return None if found is None or found[0] == unlike else (found[0], hash_file_bytes(found[0]))

    def _make_folders(self, folder: str) -> None:
        # One that was there may be gone by now; then no file can be begun, and `_begin` finds out why.
        if folder == self._root or folder not in self._durable_folders:
            super()._make_folders(folder)

    def _begin(self) -> TemporaryFile:
        try:
            return super()._begin()
        except FileNotFoundError:
            self._require_folder()
            raise

    def _require_folder(self) -> None:
        if not self._exists(self._root):
            raise VaultNotFoundError(
                f"{self.location()}: there is no folder {PurePosixPath(self._settings.path)} on that machine; "
                "attach its disk, or create a vault there first"
            )

    @contextmanager
    def _errors(self, *, writing: bool) -> Iterator[None]:
        with store_errors(self.location(), writing=writing):
            yield
