"""Files over SFTP, as the calls that a backend over a folder makes, one at a time.

What they build on is OpenSSH's: a file is created exclusively, gets a second name exclusively (`hardlink`), replaces another by
`posix-rename`, and is made durable by `fsync`. Others are refused, see `SftpBackend.examine`.
"""

from __future__ import annotations

import errno
import os
import posixpath
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tallac.backends.sftp_answers import SERVER_FAILED, raise_first, together
from tallac.backends.sftp_session import SftpSession
from tallac.backends.shared_lock import SharedLock
from tallac.backends.traffic import Traffic
from tallac.file_calls import Buffer, Found

if TYPE_CHECKING:
    from asyncssh import SFTPVFSAttrs

    from tallac.backends.sftp_channel import Channel, RemoteFile

FULL_BELOW = 1 << 20
"""With less room than this, in bytes, a failure without a reason is taken for a full disk."""

_READ_ONLY = 1
"""The flag of a file system that nobody can write to, as `statvfs@openssh.com` has it."""

T = TypeVar("T")


class _Open:
    """An open file, or a lock on a folder.

    Attributes:
        path: Its path there.
        file: The file there.
        size: How much was written so far.
        status: What it was when it was looked at; what is read never changes.
        unlock: Gives back the lock that this stands for, in place of a file.
    """

    def __init__(self, path: str, file: RemoteFile | None = None, unlock: Callable[[], None] | None = None) -> None:
        self.path = path
        self.file = file
        self.unlock = unlock
        self.size = 0
        self.status: os.stat_result | None = None


class SftpFileCalls:
    """The `FileCalls` protocol on another machine. Thread-safe. Locks hold off threads of this process, and nobody else."""

    def __init__(self, session: SftpSession, traffic: Traffic) -> None:
        """Use a connection, and count what is asked."""
        self._session = session
        self._traffic = traffic
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}
        self._next = 1
        self._folder_locks: dict[str, SharedLock] = {}

    def open(self, path: str, flags: int) -> int:
        """See `FileCalls`; a file is opened for reading, or created where there is none."""
        is_new = bool(flags & os.O_EXCL)

        async def opened(channel: Channel) -> RemoteFile:
            return await (channel.create(path) if is_new else channel.open_to_read(path))

        return self._add(_Open(path, self.ask(opened, path, is_new=is_new)))

    def close(self, descriptor: int) -> None:
        opened = self._take(descriptor)
        if opened.file is not None:
            file = opened.file

            async def closed(_channel: Channel) -> None:
                await file.close()

            self._traffic.add()
            self._session.begin(closed)

    def write(self, descriptor: int, data: Buffer) -> int:
        opened = self._get(descriptor)
        view, file = memoryview(data), self._current(opened)

        async def written(channel: Channel) -> int:
            part = bytes(view[: channel.write_size_max])
            await file.write(part, opened.size)
            return len(part)

        size = self.ask(written, opened.path)
        self._traffic.add(requests=0, sent=size)
        opened.size += size
        return size

    def read_ahead(self, descriptor: int, start: int, stop: int) -> None:
        """Do nothing: a server can't be told."""

    def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
        """Read all that is asked for, fewer bytes only at the end."""
        opened = self._get(descriptor)
        file = self._current(opened)

        async def read(_channel: Channel) -> bytes:
            if opened.status is None:
                found, content = await together(file.look(), file.read_all(offset, offset + size))
                raise_first((found, content))
                opened.status = found
                return bytes(content)
            return await file.read_all(offset, min(offset + size, opened.status.st_size))

        return self._ask(read)

    def stat(self, file: str | int) -> os.stat_result:
        if isinstance(file, str):
            path = file
            return self._ask(lambda channel: channel.look(path))
        opened = self._get(file)
        current = self._current(opened)
        if opened.status is None:
            opened.status = self._ask(lambda _channel: current.look())
        return opened.status

    def fsync(self, descriptor: int) -> None:
        opened = self._get(descriptor)
        file = self._current(opened)
        self.ask(lambda _channel: file.sync(), opened.path)

    def fdatasync(self, descriptor: int) -> None:
        self.fsync(descriptor)

    def sync_folder(self, folder: str) -> None:
        """Do nothing: a folder can't be synced over SFTP. A file can, with all of its names, as ext4, XFS and btrfs do it."""

    def rename(self, source: str, destination: str) -> None:
        self._ask(lambda channel: channel.rename(source, destination))

    def link(self, source: str, destination: str) -> None:
        self.ask(lambda channel: channel.link(source, destination), destination, is_new=True)

    def unlink(self, path: str) -> None:
        self._ask(lambda channel: channel.remove(path))

    def mkdir(self, folder: str) -> None:
        self.ask(lambda channel: channel.make_folder(folder), folder, is_new=True)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder. Raises OSError where it is not empty."""
        self._ask(lambda channel: channel.remove_folder(folder))

    def share(self, file: str | int, folder: str) -> None:
        """Do nothing: the server's umask and the folder's own bits say what others may."""

    def lock_folder(self, folder: str, *, shared: bool) -> int:
        with self._lock:
            lock = self._folder_locks.setdefault(folder, SharedLock())
        lock.acquire(shared=shared)
        return self._add(_Open(folder, unlock=partial(lock.release, shared=shared)))

    def try_lock(self, descriptor: int, *, shared: bool) -> bool:
        return True

    def unlock(self, descriptor: int) -> None:
        unlock = self._get(descriptor).unlock
        if unlock is None:
            self.close(descriptor)
        else:
            self._take(descriptor)
            unlock()

    def list_folder(self, folder: str) -> list[Found]:
        return self._ask(lambda channel: channel.names_in(folder))

    def locks_reach_all(self, folder: str) -> bool:
        return False

    def room(self, folder: str) -> int:
        return _room(self._ask(lambda channel: channel.file_system(folder)))

    def explained(self, error: OSError, path: str, *, is_new: bool = False) -> OSError:
        """Find the reason for a failure that came without one: a new name is taken, nobody may write there, or there is no room."""
        if error.errno != SERVER_FAILED:
            return error
        folder = posixpath.dirname(path)
        try:
            if is_new and self.is_there(path):
                return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            found = self._ask(lambda channel: channel.file_system(folder))
        except (ConnectionError, TimeoutError) as broken:
            return broken
        except OSError:
            return error
        if (found.flags or 0) & _READ_ONLY:
            return OSError(errno.EROFS, os.strerror(errno.EROFS))
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if _room(found) < FULL_BELOW else error

    def is_there(self, path: str) -> bool:
        """Whether something has a name there. Raises as `SftpSession.run` does."""
        try:
            self._ask(lambda channel: channel.look(path))
        except FileNotFoundError:
            return False
        return True

    def ask(
        self,
        operation: Callable[[Channel], Coroutine[Any, Any, T]],
        path: str = "",
        *,
        requests: int = 1,
        is_new: bool = False,
    ) -> T:
        """Carry out what sends so many requests; with a path, find out why it failed. Raises as `SftpSession.run` does."""
        try:
            return self._ask(operation, requests)
        except OSError as error:
            if not path:
                raise
            raise self.explained(error, path, is_new=is_new) from None

    def _ask(self, operation: Callable[[Channel], Coroutine[Any, Any, T]], requests: int = 1) -> T:
        self._traffic.add(requests=requests)
        return self._session.run(operation)

    def _current(self, opened: _Open) -> RemoteFile:
        """Return an open file. One of a connection that broke is gone, and asking for it would break the present one too."""
        assert opened.file is not None
        self._session.require_current(opened.file.channel)
        return opened.file

    def _add(self, opened: _Open) -> int:
        with self._lock:
            descriptor, self._next = self._next, self._next + 1
            self._open[descriptor] = opened
        return descriptor

    def _get(self, descriptor: int) -> _Open:
        with self._lock:
            return self._open[descriptor]

    def _take(self, descriptor: int) -> _Open:
        with self._lock:
            return self._open.pop(descriptor)


def _room(found: SFTPVFSAttrs) -> int:
    return int((found.bavail or 0) * (found.frsize or 0))
