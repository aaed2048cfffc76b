"""Files over SFTP, as the calls that a backend over a folder makes.

What they build on is OpenSSH's: a file is created exclusively, gets a second name exclusively (`hardlink`), replaces another by
`posix-rename`, and is made durable by `fsync`. Others are refused, see `SftpBackend.examine`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import stat
import threading
from typing import TYPE_CHECKING

from tallac.backends.sftp_session import SERVER_FAILED, SftpSession
from tallac.backends.traffic import Traffic
from tallac.file_calls import FILE_MODE, FOLDER_MODE, Buffer, Found

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

WRITE_STEP_SIZE = 1 << 20
HEAD_SIZE = 16 << 10
"""So much of a file is read together with its length: all of most registers, slots and sessions."""

FULL_BELOW = 1 << 20
"""With less room than this, in bytes, a failure without a reason is taken for a full disk."""


LINK_TRIES = 5


class _Open:
    """An open file, or a lock on a folder.

    Attributes:
        path: Its path there.
        file: The library's.
        status: What it was when it was opened for reading, or made: named files never change.
        head: How it begins, as it was read when it was opened.
        size: How much was written so far.
        lock: The lock that this stands for, in place of a file.
    """

    def __init__(self, path: str, file: SFTPClientFile | None = None, lock: threading.Lock | None = None) -> None:
        self.path = path
        self.file = file
        self.lock = lock
        self.size = 0
        self.status: os.stat_result | None = None
        self.head = b""

    def held(self, size: int, offset: int) -> bytes | None:
        """Return what a read would, where it is in the head, or behind the end; None where the server has to be asked."""
        if self.status is None or self.size:
            return None
        stop = min(offset + size, self.status.st_size)
        return self.head[offset:stop] if stop <= len(self.head) or stop <= offset else None


class SftpFileCalls:
    """The `FileCalls` protocol on another machine. Thread-safe. Locks hold off threads of this process, and nobody else."""

    def __init__(self, session: SftpSession, traffic: Traffic) -> None:
        """Use a connection, and count what is asked."""
        self._session = session
        self._traffic = traffic
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}
        self._next = 1
        self._folder_locks: dict[str, threading.Lock] = {}
        self._linked: dict[str, set[int]] = {}

    def open(self, path: str, flags: int) -> int:
        import asyncssh  # lazy import: only these locations need it

        remote = _remote(path)
        is_new = bool(flags & os.O_EXCL)
        mode = asyncssh.FXF_READ if not flags & (os.O_WRONLY | os.O_RDWR) else asyncssh.FXF_READ | asyncssh.FXF_WRITE
        if flags & os.O_CREAT:
            mode |= asyncssh.FXF_CREAT
        if is_new:
            mode |= asyncssh.FXF_EXCL
        attributes = asyncssh.SFTPAttrs(permissions=FILE_MODE) if flags & os.O_CREAT else asyncssh.SFTPAttrs()

        is_read = mode == asyncssh.FXF_READ

        async def made(client: SFTPClient) -> tuple[SFTPClientFile, SFTPAttrs, bytes]:
            file = await client.open(remote, mode, attributes, encoding=None)
            if not is_read:
                return file, asyncssh.SFTPAttrs(), b""
            # Two at once: the way there and back takes longer than either.
            found, read = await asyncio.gather(file.stat(), file.read(HEAD_SIZE, 0), return_exceptions=True)
            if isinstance(found, BaseException):
                await file.close()
                raise found
            # What is no file has no beginning. What can't be read says so again to whoever reads it.
            head: object = read  # The library's types know text alone.
            return file, found, head if isinstance(head, bytes) and len(head) == min(HEAD_SIZE, found.size or 0) else b""

        self._traffic.add(requests=3 if is_read else 1)
        try:
            file, found, head = self._session.run(made)
        except OSError as error:
            raise self._explained(error, path if is_new else "") from None
        self._traffic.add(requests=0, received=len(head))
        opened = _Open(path, file)
        if is_read or is_new:
            opened.status, opened.head = _status(found), head
        return self._add(opened)

    def close(self, descriptor: int) -> None:
        opened = self._take(descriptor)
        if opened.file is not None:
            file = opened.file

            async def closed(_client: SFTPClient) -> None:
                await file.close()

            self._traffic.add()
            self._session.begin(closed)

    def write(self, descriptor: int, data: Buffer) -> int:
        opened = self._get(descriptor)
        file = opened.file
        assert file is not None
        part = bytes(memoryview(data)[:WRITE_STEP_SIZE])
        offset = opened.size

        async def written(_client: SFTPClient) -> None:
            await file.write(part, offset)

        self._traffic.add(sent=len(part))
        try:
            self._session.run(written)
        except OSError as error:
            raise self._explained(error, "") from None
        opened.size += len(part)
        return len(part)

    def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
        opened = self._get(descriptor)
        if (held := opened.held(size, offset)) is not None:
            return held
        file = opened.file
        assert file is not None

        async def read(_client: SFTPClient) -> bytes:
            return bytes(await file.read(size, offset))  # type: ignore[arg-type]  # It was opened without an encoding.

        content = self._session.run(read)
        self._traffic.add(received=len(content))
        return content

    def stat(self, file: str | int) -> os.stat_result:
        if isinstance(file, str):
            remote = _remote(file)

            async def looked(client: SFTPClient) -> SFTPAttrs:
                return await client.lstat(remote)

            self._traffic.add()
            return _status(self._session.run(looked))
        opened = self._get(file)
        if opened.status is None or opened.size:
            library_file = opened.file
            assert library_file is not None

            async def looked_at_open(_client: SFTPClient) -> SFTPAttrs:
                return await library_file.stat()

            self._traffic.add()
            return _status(self._session.run(looked_at_open))
        return opened.status

    def fsync(self, descriptor: int) -> None:
        file = self._get(descriptor).file
        assert file is not None

        async def synced(_client: SFTPClient) -> None:
            await file.fsync()

        with self._lock:
            for linked in self._linked.values():
                linked.discard(descriptor)
        self._traffic.add()
        try:
            self._session.run(synced)
        except OSError as error:
            raise self._explained(error, "") from None

    def fdatasync(self, descriptor: int) -> None:
        self.fsync(descriptor)

    def sync_folder(self, folder: str) -> None:
        """Make the names in a folder durable that were given to files which are still open here.

        A folder can't be synced over SFTP. A file can, with all of its names, as ext4, XFS and btrfs do it.
        """
        with self._lock:
            linked = [each for each in self._linked.get(folder, ()) if each in self._open]
        for descriptor in linked:
            self.fsync(descriptor)

    def rename(self, source: str, destination: str) -> None:
        self._do(lambda client: client.posix_rename(_remote(source), _remote(destination)))

    def link(self, source: str, destination: str) -> None:
        for tries_left in reversed(range(LINK_TRIES)):
            try:
                self._do(lambda client: client.link(_remote(source), _remote(destination)))
            except OSError as error:
                explained = self._explained(error, destination)
                # Somebody may have had the name, and given it up before it could be looked at.
                if explained is not error or error.errno != SERVER_FAILED or not tries_left:
                    raise explained from None
            else:
                break
        with self._lock:
            found = [number for number, opened in self._open.items() if opened.path == source and opened.file is not None]
            self._linked.setdefault(posixpath.dirname(destination), set()).update(found)

    def unlink(self, path: str) -> None:
        self._do(lambda client: client.remove(_remote(path)))

    def mkdir(self, folder: str) -> None:
        import asyncssh  # lazy import: as above

        attributes = asyncssh.SFTPAttrs(permissions=FOLDER_MODE)
        try:
            self._do(lambda client: client.mkdir(_remote(folder), attributes))
        except OSError as error:
            raise self._explained(error, folder) from None

    def share(self, file: str | int, folder: str) -> None:
        """Do nothing: the server's umask and the folder's own bits say what others may."""

    def lock_folder(self, folder: str, *, shared: bool) -> int:
        with self._lock:
            lock = self._folder_locks.setdefault(folder, threading.Lock())
        lock.acquire()
        return self._add(_Open(folder, lock=lock))

    def try_lock(self, descriptor: int, *, shared: bool) -> bool:
        return True

    def unlock(self, descriptor: int) -> None:
        lock = self._get(descriptor).lock
        if lock is None:
            self.close(descriptor)
        else:
            self._take(descriptor)
            lock.release()

    def list_folder(self, folder: str) -> list[Found]:
        async def listed(client: SFTPClient) -> list[Found]:
            found: list[Found] = []
            async for entry in client.scandir(_remote(folder)):
                attributes = entry.attrs
                kind = stat.S_IFMT(attributes.permissions or 0)
                if kind in {stat.S_IFREG, stat.S_IFDIR}:
                    name = os.fsdecode(entry.filename)
                    is_folder = kind == stat.S_IFDIR
                    found.append(Found(name, is_folder, attributes.size or 0, int(attributes.mtime or 0) * 1_000_000_000))
            return [each for each in found if each.name not in {".", ".."}]

        self._traffic.add()
        return self._session.run(listed)

    def locks_reach_all(self, folder: str) -> bool:
        return False

    def room(self, folder: str) -> int:
        async def asked(client: SFTPClient) -> int:
            status = await client.statvfs(_remote(folder))
            return int((status.bavail or 0) * (status.frsize or 0))

        self._traffic.add()
        return self._session.run(asked)

    def rename_plainly(self, source: str, destination: str) -> None:
        """Rename a file by the protocol's own request, which is not to replace anything."""
        self._do(lambda client: client.rename(_remote(source), _remote(destination)))

    def _do(self, operation: object) -> None:
        self._traffic.add()
        self._session.run(operation)  # type: ignore[arg-type]  # Each returns what awaits nothing.

    def _explained(self, error: OSError, new_name: str) -> OSError:
        """Find the reason for a failure that came without one: the new name is taken, or there is no room."""
        if error.errno != SERVER_FAILED:
            return error
        if new_name:
            try:
                self.stat(new_name)
            except OSError:
                pass
            else:
                return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        try:
            is_full = self.room("/~") < FULL_BELOW if not new_name else self.room(posixpath.dirname(new_name)) < FULL_BELOW
        except OSError:
            return error
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if is_full else error

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
            for linked in self._linked.values():
                linked.discard(descriptor)
            return self._open.pop(descriptor)


def _remote(path: str) -> bytes:
    """Return a path as the server takes it; one below `/~` is below the user's home there."""
    if os.name == "nt":
        path = path.partition(":")[2].replace("\\", "/") if ":" in path else path.replace("\\", "/")
    if path in {"/~", "/~/"}:
        return b"."
    return os.fsencode(path.removeprefix("/~/"))


def _status(attributes: SFTPAttrs) -> os.stat_result:
    mode = attributes.permissions or 0
    if attributes.type == 2 and not stat.S_IFMT(mode):
        mode |= stat.S_IFDIR
    elif not stat.S_IFMT(mode):
        mode |= stat.S_IFREG
    mtime = int(attributes.mtime or 0)
    # Version 3 of the protocol, which OpenSSH speaks, tells no number of names.
    return os.stat_result((mode, 0, 0, 1, attributes.uid or 0, attributes.gid or 0, attributes.size or 0, mtime, mtime, mtime))
