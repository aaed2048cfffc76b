"""The trial of an SFTP server: whether it does what a vault builds on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress

from tallac.backends.sftp_files import SftpFileCalls
from tallac.errors import UnsafeStoreError


def examine(calls: SftpFileCalls, where: str, names: tuple[str, str, str]) -> None:
    """Try it with three new files, which the caller removes.

    Args:
        calls: The server's.
        where: The place for messages.
        names: The files' paths.

    Raises:
        UnsafeStoreError: It does not; the reason is told.
        OSError: It refuses files at all, or can't be reached.
    """
    _Trial(calls, where).run(*names)


class _Trial:
    def __init__(self, calls: SftpFileCalls, where: str) -> None:
        self._calls = calls
        self._where = where

    def run(self, first: str, second: str, third: str) -> None:
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
            if error.errno in {errno.ENOSPC, errno.EROFS}:  # That is the disk, and not the server.
                raise
            raise self._unsafe(f"{reason}: {error.strerror}") from error

    def _unsafe(self, reason: str) -> UnsafeStoreError:
        return UnsafeStoreError(
            f"{self._where}: a vault would not be safe on this SFTP server: {reason}; use OpenSSH's, or mount the folder"
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
