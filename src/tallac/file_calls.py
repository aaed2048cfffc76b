"""The calls of the operating system that store files: the seam where tests inject errors and record order."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from contextlib import suppress
from typing import NamedTuple, Protocol

from tallac.mounts import is_of_this_machine

Buffer = bytes | bytearray | memoryview

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FOLDER_MODE = 0o700
FILE_MODE = 0o600
LOCK_FILE = ".lock"
# A FIFO that somebody put in an object's place must not make a reader wait.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)

_BINARY = getattr(os, "O_BINARY", 0)
_HELD_BY_ANOTHER = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK})
_NO_LOCKS_HERE = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
# Windows locks bytes, and nobody can read a locked byte: this one lies behind the end of any object.
_LOCKED_BYTE = 1 << 62


class Found(NamedTuple):
    """One name in a folder.

    Attributes:
        name: The name alone, without the folder.
        is_folder: Whether it is a folder; otherwise it is a regular file.
        size: A file's length in bytes.
        mtime_ns: When it was last written to.
    """

    name: str
    is_folder: bool
    size: int
    mtime_ns: int


class FileCalls(Protocol):
    """The operating system, as far as files are stored. All methods raise OSError, and are safe to call from many threads."""

    def open(self, path: str, flags: int) -> int:
        """Open a file, or create it with mode 0600, and return its descriptor."""
        ...

    def close(self, descriptor: int) -> None: ...

    def write(self, descriptor: int, data: Buffer) -> int:
        """Write at the end; return how many bytes were taken."""
        ...

    def read_at(self, descriptor: int, size: int, offset: int) -> bytes: ...

    def read_ahead(self, descriptor: int, start: int, stop: int) -> None:
        """Begin to read the bytes [start, stop) into the system's memory, without waiting; where that can't be told, do nothing."""
        ...

    def stat(self, file: str | int) -> os.stat_result:
        """Look at a path, without following a symbolic link, or at an open file."""
        ...

    def fsync(self, descriptor: int) -> None:
        """Make a file's bytes and attributes durable."""
        ...

    def fdatasync(self, descriptor: int) -> None:
        """Make a file's bytes durable, with what is needed to read them again."""
        ...

    def sync_folder(self, folder: str) -> None:
        """Make the names in a folder durable."""
        ...

    def rename(self, source: str, destination: str) -> None:
        """Rename a file, replacing what has the new name."""
        ...

    def link(self, source: str, destination: str) -> None:
        """Add a second name to a file, unless something has that name."""
        ...

    def unlink(self, path: str) -> None: ...

    def mkdir(self, folder: str) -> None:
        """Create a folder with mode 0700."""
        ...

    def share(self, file: str | int, folder: str) -> None:
        """Set on a new file or folder the group of a folder, and the rights that this has there, if the group may write there.

        Nothing changes where it may not, where this user can't give files to that group, or where there are no groups.
        """
        ...

    def lock_folder(self, folder: str, *, shared: bool) -> int:
        """Wait for the lock of a folder; return a descriptor for `unlock`. Threads exclude each other, as processes do."""
        ...

    def try_lock(self, descriptor: int, *, shared: bool) -> bool:
        """Lock an open file, or report that somebody else has locked it."""
        ...

    def unlock(self, descriptor: int) -> None:
        """Release a lock and close the descriptor."""
        ...

    def list_folder(self, folder: str) -> list[Found]:
        """List the files and folders in a folder, all of them or none. What vanishes meanwhile may be left out."""
        ...

    def locks_reach_all(self, folder: str) -> bool:
        """Whether a lock of a file in a folder is seen by all who use it, on other machines too; say no where nobody knows."""
        ...

    def room(self, folder: str) -> int:
        """Return how many bytes this user may still write into a folder's file system."""
        ...


class RealFileCalls:
    """The operating system itself."""

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags | _BINARY, FILE_MODE)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def write(self, descriptor: int, data: Buffer) -> int:
        return os.write(descriptor, data)

    if sys.platform == "win32":

        def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
            # Windows has no pread. Nobody shares a descriptor there, see `DescriptorCache`.
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, size)
    else:

        def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
            return os.pread(descriptor, size, offset)

    if sys.platform == "linux":

        def read_ahead(self, descriptor: int, start: int, stop: int) -> None:
            with suppress(OSError):  # It is advice.
                os.posix_fadvise(descriptor, start, stop - start, os.POSIX_FADV_WILLNEED)
    else:

        def read_ahead(self, descriptor: int, start: int, stop: int) -> None:
            """Do nothing."""

    def stat(self, file: str | int) -> os.stat_result:
        return os.stat(file) if isinstance(file, int) else os.lstat(file)

    def fsync(self, descriptor: int) -> None:
        _flush(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        if sys.platform == "linux":
            os.fdatasync(descriptor)
        else:
            _flush(descriptor)

    def sync_folder(self, folder: str) -> None:
        if sys.platform == "win32":
            return  # Windows can't open a folder; NTFS keeps names in its journal.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: str, destination: str) -> None:
        os.replace(source, destination)

    def link(self, source: str, destination: str) -> None:
        os.link(source, destination)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def mkdir(self, folder: str) -> None:
        os.mkdir(folder, FOLDER_MODE)

    if sys.platform == "win32":

        def share(self, file: str | int, folder: str) -> None:
            """Do nothing: there, what is new has the rights of its folder."""
    else:

        def share(self, file: str | int, folder: str) -> None:
            shared, own = os.stat(folder), os.stat(file)
            if not shared.st_mode & stat.S_IWGRP:
                return
            bits = shared.st_mode & stat.S_IRWXG
            bits = bits | shared.st_mode & stat.S_ISGID if stat.S_ISDIR(own.st_mode) else bits & ~stat.S_IXGRP
            try:
                if own.st_gid != shared.st_gid:
                    os.chown(file, -1, shared.st_gid)
                os.chmod(file, stat.S_IMODE(own.st_mode) | bits)
            except PermissionError:
                return  # Not a member of that group, or a file system without groups: it stays this user's alone.

    if sys.platform == "win32":

        def lock_folder(self, folder: str, *, shared: bool) -> int:
            # Every lock is exclusive there.
            descriptor = self.open(os.path.join(folder, LOCK_FILE), os.O_RDWR | os.O_CREAT)
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            while True:
                try:
                    msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                except OSError as error:
                    # LK_LOCK gives up after ten seconds.
                    if error.errno == errno.EDEADLOCK:
                        continue
                    os.close(descriptor)
                    raise
                return descriptor

        def try_lock(self, descriptor: int, *, shared: bool) -> bool:
            # Every lock is exclusive there.
            position = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if error.errno in _HELD_BY_ANOTHER:
                    return False
                raise
            finally:
                os.lseek(descriptor, position, os.SEEK_SET)
            return True

        def unlock(self, descriptor: int) -> None:
            os.close(descriptor)
    else:

        def lock_folder(self, folder: str, *, shared: bool) -> int:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            except OSError as error:
                if shared and error.errno in _NO_LOCKS_HERE:
                    # Reading works where nobody can lock: writers are refused there.
                    return descriptor
                os.close(descriptor)
                if error.errno == errno.EBADF:
                    # NFS locks only what is open for writing, and a folder never is.
                    return self._lock_by_file(folder)
                raise
            return descriptor

        def _lock_by_file(self, folder: str) -> int:
            descriptor = self.open(os.path.join(folder, LOCK_FILE), os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor

        def try_lock(self, descriptor: int, *, shared: bool) -> bool:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _HELD_BY_ANOTHER:
                    return False
                raise
            return True

        def unlock(self, descriptor: int) -> None:
            try:
                # A child that was forked meanwhile has the descriptor too, and would keep the lock.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                os.close(descriptor)

    def list_folder(self, folder: str) -> list[Found]:
        found: list[Found] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    # Deleted since the scan came by: it is absent now. But a link to a disk that is not attached is no absence.
                    if entry.is_symlink():
                        raise
                    continue
                if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                    found.append(Found(entry.name, stat.S_ISDIR(status.st_mode), status.st_size, status.st_mtime_ns))
        return found

    def locks_reach_all(self, folder: str) -> bool:
        return is_of_this_machine(folder)

    def room(self, folder: str) -> int:
        return shutil.disk_usage(folder).free


def _flush(descriptor: int) -> None:
    """Flush a file to the medium: on macOS fsync leaves the bytes in the drive's own cache."""
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
        else:
            return
    os.fsync(descriptor)


REAL: FileCalls = RealFileCalls()
