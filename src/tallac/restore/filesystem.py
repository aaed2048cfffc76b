"""The calls that write to the destination, so that a test can count them and make each of them fail."""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tallac.restore.safe_names import temporary_name
from tallac.source import FileSystem, compiled

if TYPE_CHECKING:
    from tallac.native.writing import WriteMany

if sys.platform != "win32":
    import fcntl

# _IOW('f', 2, long); the kernel reads an int (linux/fs.h).
_SET_FLAGS_REQUEST = 1 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 2
_SET_FLAGS_FORMAT = f"I{struct.calcsize('l') - struct.calcsize('I')}x"

_WRITE_FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# A FIFO that somebody has put in a file's place must not stop the restore.
_WRITE_AGAIN_FLAGS = _WRITE_FLAGS | getattr(os, "O_NONBLOCK", 0)
# A file that exists under the name is never opened, let alone followed.
_CREATE_FLAGS = os.O_CREAT | os.O_EXCL | _WRITE_FLAGS

_NO_ALLOCATION = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS, errno.ENODEV})

_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# Some file systems say these where the disk is well, for all that they don't have: EIO for a FIFO (CIFS, exFAT through FUSE), a
# link (rclone) or a long name (davfs2), ENOSPC for one more name in a folder (FAT).
_MAYBE_FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO})
_PROOF_SIZE = 4096
_PROOF_SECONDS = 1.0


class ContentError(OSError):
    """The content of a file could not be written, though the file could be made."""


def is_fatal(error: OSError, system: DestinationSystem, root: int) -> bool:
    """Whether the destination as a whole fails, so that going on makes no sense.

    Where content could not be written, it does. What else failed may be something that can't be had here: then a small file is made
    in the destination's root, an open directory, and removed again.
    """
    if error.errno in _OUT_OF_RESOURCES:
        return True
    return error.errno in _MAYBE_FATAL and (isinstance(error, ContentError) or not system.is_writable(root))


class FileIdentity(NamedTuple):
    """Which file it is, whatever its name is by now."""

    device: int
    inode: int


def identity_of(status: os.stat_result) -> FileIdentity:
    """Return which file it is that was looked at."""
    return FileIdentity(status.st_dev, status.st_ino)


class PathAt(NamedTuple):
    """A file that must not be opened, by its name in an open directory. A symbolic link is meant itself."""

    directory: int
    name: bytes

    @property
    def path(self) -> bytes:
        """A path for those calls that Linux has no form relative to a descriptor of."""
        return b"/proc/self/fd/%d/%b" % self


Place = int | PathAt
"""An open file or directory, or what can't be opened."""


class DestinationSystem(FileSystem):
    """The real file system, writing side. Every method raises OSError as the system call does.

    Names are single components, relative to a directory's descriptor; no symbolic link is followed.
    """

    _proved_at: float | None = None

    def is_writable(self, root: int) -> bool:
        """Whether a small file can be made in an open directory, as was seen a second ago or is tried."""
        now = time.monotonic()
        if self._proved_at is not None and now - self._proved_at < _PROOF_SECONDS:
            return True
        name = temporary_name()
        try:
            descriptor = self.create(name, root)
            try:
                left = _PROOF_SIZE
                while left > 0:
                    left -= self.write(descriptor, bytes(left))
            finally:
                self.close(descriptor)
                self.remove(name, root)
        except OSError:
            return False
        self._proved_at = now
        return True

    def make_directory(self, name: bytes, directory: int, mode: int = 0o700) -> None:
        """Make a directory, for the user alone until its metadata is set."""
        os.mkdir(name, mode, dir_fd=directory)

    def create(self, name: bytes, directory: int) -> int:
        """Make a regular file, for the user alone until its metadata is set, and open it for writing."""
        return os.open(name, _CREATE_FLAGS, 0o600, dir_fd=directory)

    def writer_of_many(self) -> WriteMany | None:
        """Return what makes many files in one call, see `tallac.native.writing`; None where that can't be done."""
        return None

    def open_to_write(self, name: bytes, directory: int) -> int:
        """Open a regular file that has been made before; a symbolic link is not followed, and a FIFO not waited for."""
        return os.open(name, _WRITE_AGAIN_FLAGS, dir_fd=directory)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write at the file's position; perhaps not all."""
        return os.write(descriptor, data)

    def seek_to(self, descriptor: int, offset: int) -> None:
        """Move a file's position."""
        os.lseek(descriptor, offset, os.SEEK_SET)

    def truncate(self, descriptor: int, size: int) -> None:
        """Set a file's size; what was not written is a hole."""
        os.ftruncate(descriptor, size)

    def allocate(self, descriptor: int, size: int) -> None:
        """Reserve room for a new file, whose size it becomes; where this file system can't, do nothing."""
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NO_ALLOCATION:
                raise

    def read(self, descriptor: int, size: int) -> bytes:
        """Read at the file's position; perhaps less, and nothing at the end."""
        return os.read(descriptor, size)

    def sync(self) -> None:
        """Write to disk all that is still in the system's memory."""
        if hasattr(os, "sync"):
            os.sync()

    def drop_cached(self, descriptor: int) -> None:
        """Drop an open file from the system's memory, so that it is read from the disk."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def rename(self, old: bytes, new: bytes, directory: int) -> None:
        """Rename something in its directory, in place of what has the new name."""
        os.replace(old, new, src_dir_fd=directory, dst_dir_fd=directory)

    def remove(self, name: bytes, directory: int) -> None:
        """Remove what is no directory."""
        os.unlink(name, dir_fd=directory)

    def remove_directory(self, name: bytes, directory: int) -> None:
        """Remove an empty directory."""
        os.rmdir(name, dir_fd=directory)

    def grant_owner_access(self, name: bytes, directory: int) -> None:
        """Grant a directory's owner all rights to it; needed before a normal user can enter it."""
        if not hasattr(os, "O_PATH"):
            raise OSError(errno.ENOTSUP, "this system can't do that to a directory that is not opened")
        descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.chmod(b"/proc/self/fd/%d" % descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | stat.S_IRWXU)
        finally:
            os.close(descriptor)

    def make_symlink(self, target: bytes, name: bytes, directory: int) -> None:
        """Make a symbolic link."""
        os.symlink(target, name, dir_fd=directory)

    def make_node(self, name: bytes, directory: int, mode: int, device: int) -> None:
        """Make a FIFO, socket or device, for the user alone until its metadata is set."""
        os.mknod(name, mode | 0o600, device, dir_fd=directory)

    def make_link(self, old: PathAt, new: PathAt) -> None:
        """Make a hard link."""
        os.link(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory, follow_symlinks=False)

    def set_owner(self, place: Place, uid: int, gid: int) -> None:
        """Set the owner; -1 leaves one as it is."""
        if isinstance(place, int):
            os.fchown(place, uid, gid)
        else:
            os.chown(place.name, uid, gid, dir_fd=place.directory, follow_symlinks=False)

    def set_mode(self, place: Place, mode: int) -> None:
        """Set the permission bits."""
        if isinstance(place, int):
            os.fchmod(place, mode)
            return
        try:
            os.chmod(place.name, mode, dir_fd=place.directory, follow_symlinks=False)
        except (NotImplementedError, ValueError) as error:
            # Which of them says so depends on the system: the second one where the C library can't.
            raise OSError(errno.ENOTSUP, "this system can't do that to a file that is not opened") from error

    def set_time(self, place: Place, mtime_ns: int) -> None:
        """Set the time of the last change, and of the last access."""
        if isinstance(place, int):
            os.utime(place, ns=(mtime_ns, mtime_ns))
        else:
            os.utime(place.name, ns=(mtime_ns, mtime_ns), dir_fd=place.directory, follow_symlinks=False)

    def get_time(self, place: Place) -> int:
        """Read the time of the last change, in nanoseconds."""
        return self.look(place).st_mtime_ns

    def look(self, place: Place) -> os.stat_result:
        """Look at what is there; a symbolic link is meant itself."""
        if isinstance(place, int):
            return os.fstat(place)
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)

    def set_xattr(self, place: Place, name: bytes, value: bytes) -> None:
        """Set an extended attribute."""
        if sys.platform != "linux":
            raise OSError(errno.ENOTSUP, "this system has other extended attributes")
        if isinstance(place, int):
            os.setxattr(place, name, value)
        else:
            os.setxattr(place.path, name, value, follow_symlinks=False)

    def remove_xattr(self, place: Place, name: bytes) -> None:
        """Remove an extended attribute."""
        if sys.platform != "linux":
            raise OSError(errno.ENOTSUP, "this system has other extended attributes")
        if isinstance(place, int):
            os.removexattr(place, name)
        else:
            os.removexattr(place.path, name, follow_symlinks=False)

    def set_flags(self, descriptor: int, flags: int) -> None:
        """Set Linux inode flags (FS_IOC_SETFLAGS)."""
        if sys.platform != "linux":
            raise OSError(errno.ENOTSUP, "this system has no inode flags")
        fcntl.ioctl(descriptor, _SET_FLAGS_REQUEST, struct.pack(_SET_FLAGS_FORMAT, flags))


class FastDestinationSystem(DestinationSystem):
    """The real file system, with those calls together that can be made together."""

    def writer_of_many(self) -> WriteMany | None:
        library = compiled()
        if library is None:
            return None
        from tallac.native.writing import FilesToWrite  # lazy import: ctypes takes two milliseconds, and few commands write files

        return partial(FilesToWrite, library)


DESTINATION: DestinationSystem = FastDestinationSystem()
