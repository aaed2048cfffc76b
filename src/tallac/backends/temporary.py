"""Files in the making, and what killed runs left of theirs.

A temporary file has a name that no object can have, and is locked by its writer for as long as it lives. So whoever can lock
one knows that its writer is dead, where locks reach everybody. Over a network they may not, and a file that another machine is
writing looks like a leftover: there only one that nobody has written to for a day is taken for one.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from tallac.file_calls import READ_FLAGS, FileCalls, Found
from tallac.interfaces import Buffer

PREFIX = ".tmp-"
_NAME = re.compile(r"\.tmp-(?:[0-9a-f]{32}|probe-[0-9a-f]{16})")

LEFTOVER_AGE_SECONDS = 24 * 3600
"""From this age on a file is a leftover where locks prove nothing. No writer pauses for so long in the middle of a file."""


class TemporaryFile:
    """A new, locked file without an object's name. Not thread-safe. All methods raise OSError."""

    def __init__(self, folder: str, files: FileCalls) -> None:
        self._files = files
        self._descriptor: int | None = None
        self._path: str | None = None
        while not self._create(os.path.join(folder, PREFIX + secrets.token_hex(16))):
            pass

    def _create(self, path: str) -> bool:
        """Create and lock a file; say no where somebody took it for a leftover before it was locked."""
        self._descriptor = self._files.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._path = path
        try:
            self._files.share(self._descriptor, os.path.dirname(path))
            is_mine = self._files.try_lock(self._descriptor, shared=False) and self._files.stat(self._descriptor).st_nlink > 0
        except OSError:
            self.discard()
            raise
        if not is_mine:
            self.discard()
        return is_mine

    def write(self, data: Buffer) -> None:
        """Append all of data."""
        left = memoryview(data).cast("B")
        while left:
            left = left[self._files.write(self._open_descriptor(), left) :]

    def sync(self) -> None:
        """Make the bytes durable."""
        self._files.fdatasync(self._open_descriptor())

    def rename_to(self, path: str, *, has_one_name: bool = False) -> None:
        """Rename the file to its final name, replacing what has that name; this ends the temporary file.

        Where files have one name, as on FAT, a name leads to a place on the disk. Should a lost power bring the former name back,
        two files have one place, and who repairs the disk empties the second; so that name goes for good first. Where the power
        fails right then, no name leads to the new bytes, which nobody relies on yet.
        """
        if sys.platform == "win32":
            self._close()  # An open file can't be renamed there.
        former = self._named()
        self._files.rename(former, path)
        self._path = None
        if has_one_name and os.path.dirname(former) != os.path.dirname(path):
            self._files.sync_folder(os.path.dirname(former))
        self.sync_named()
        self._close()

    def sync_named(self) -> None:
        """Make the file durable under its new name.

        On FAT a file's size is part of its name's record, and a renamed one says 0 until the file is synced again. Elsewhere this
        costs nothing, since the folder is synced afterwards and finds nothing left to do.
        """
        if self._descriptor is not None:
            self._files.fsync(self._descriptor)

    def is_lock_seen(self) -> bool:
        """Whether somebody else who opens the file finds it locked; a file system may take locks and keep none."""
        descriptor = self._files.open(self._named(), READ_FLAGS)
        try:
            return not self._files.try_lock(descriptor, shared=True)
        finally:
            self._files.unlock(descriptor)

    def link_to(self, path: str) -> None:
        """Link the file to its final name unless something has that name. The temporary name stays, until `remove`.

        Raises:
            FileExistsError: Something has that name.
        """
        self._files.link(self._named(), path)

    def remove(self) -> None:
        """Remove the temporary name and close the file."""
        if self._path is not None:
            path, self._path = self._path, None
            if sys.platform == "win32":
                self._close()
            self._files.unlink(path)
        self._close()

    def discard(self) -> None:
        """Remove what is left of the file after an error. Does nothing where it has been removed or renamed."""
        # The error that led here is the one to report. What can't be removed is found as a leftover.
        try:
            with suppress(OSError):
                self.remove()
        finally:
            with suppress(OSError):
                self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._files.unlock(descriptor)

    def _open_descriptor(self) -> int:
        assert self._descriptor is not None, "the temporary file is closed"
        return self._descriptor

    def _named(self) -> str:
        assert self._path is not None, "the temporary file has been renamed or removed"
        return self._path


class Leftover(msgspec.Struct, frozen=True):
    """A temporary file whose writer is dead.

    Attributes:
        name: The file's name in its folder.
        size: Its length in bytes.
        mtime_ns: When it was last written to.
    """

    name: str
    size: int
    mtime_ns: int


def find_leftovers(folder: str, files: FileCalls) -> list[Leftover]:
    """List the temporary files in a folder that nobody is writing. Works on a read-only file system too."""
    leftovers: list[Leftover] = []
    for found in files.list_folder(folder):
        if found.name.startswith(PREFIX):
            with _locked_leftover(os.path.join(folder, found.name), found.mtime_ns, files) as is_leftover:
                if is_leftover:
                    leftovers.append(Leftover(found.name, found.size, found.mtime_ns))
    return leftovers


def remove_leftovers(folder: str, files: FileCalls) -> None:
    """Remove the temporary files in a folder that nobody is writing, as far as that is allowed."""
    for found in files.list_folder(folder):
        if found.name.startswith(PREFIX):
            path = os.path.join(folder, found.name)
            # Removed under the lock, so that a writer that has just created it notices.
            with _locked_leftover(path, found.mtime_ns, files) as is_leftover:
                if is_leftover:
                    _unlink_if_allowed(path, files)


def _unlink_if_allowed(path: str, files: FileCalls) -> None:
    # It may be somebody else's file, or somebody else was faster. It costs space and nothing more.
    with suppress(OSError):
        files.unlink(path)


@contextmanager
def _locked_leftover(path: str, mtime_ns: int, files: FileCalls) -> Iterator[bool]:
    """Try to lock a temporary file for the length of the block; say whether it is a leftover."""
    try:
        descriptor = files.open(path, READ_FLAGS)
    except OSError:
        # It is gone, or it is another user's: nothing can be said about it.
        yield False
        return
    try:
        # A shared lock needs no right to write.
        is_leftover = files.try_lock(descriptor, shared=True) and (_is_old(mtime_ns) or _is_lock_a_proof(path, files))
    except OSError:
        is_leftover = False
    try:
        yield is_leftover
    finally:
        files.unlock(descriptor)


def is_leftover(found: Found, now_ns: int | None = None) -> bool:
    """Whether a file in a folder is a leftover where locks prove nothing, at a time; None for that of this machine's clock."""
    return found.name.startswith(PREFIX) and _is_old(found.mtime_ns, now_ns)


def is_nothing(found: Found) -> bool:
    """Whether what lies in a folder is nobody's data: the file system's own folder, or a file in the making."""
    is_being_made = not found.is_folder and _NAME.fullmatch(found.name) is not None
    return is_being_made or (found.is_folder and found.name == "lost+found")


def _is_old(mtime_ns: int, now_ns: int | None = None) -> bool:
    return (time.time_ns() if now_ns is None else now_ns) - mtime_ns > LEFTOVER_AGE_SECONDS * 1_000_000_000


def _is_lock_a_proof(path: str, files: FileCalls) -> bool:
    """Whether a file that this process has locked shows that nobody else had: locks reach everybody, and are kept at all."""
    if not files.locks_reach_all(os.path.dirname(path)):
        return False
    second = files.open(path, READ_FLAGS)
    try:
        return not files.try_lock(second, shared=False)
    finally:
        files.unlock(second)
