"""A channel for SFTP: requests are carried out by the server in the order in which they are sent, and many can be on their way.

The library's own client waits for what it learns of a server when it begins, and lists a folder by one request after another; so
this stands on the part of it that speaks the protocol. A request is sent when its coroutine begins: those that `asyncio.gather` is
given begin in their order.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import asyncssh
from asyncssh.sftp import SFTPClientHandler
from asyncssh.stream import SSHClientStreamSession

from tallac.backends.sftp_answers import SERVER_FAILED, UNSUPPORTED, WINDOW_SIZE, raise_first, together
from tallac.backends.silence import LOOK_SECONDS, Hearing, give_up
from tallac.backends.traffic import STEP_SIZE, Pace, Traffic
from tallac.file_calls import FILE_MODE, FOLDER_MODE, Found

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPVFSAttrs, SSHClientConnection

_VERSION = 3
_LISTINGS_FIRST = 2
_LISTINGS_MAX = 32
"""So many parts of a folder's listing, of a hundred names each, are asked for at a time."""

P = ParamSpec("P")
T = TypeVar("T")


def _with_os_errors(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Raise an OSError for each of the library's."""

    @wraps(method)
    async def wrapper(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return await method(*arguments, **named)
        except asyncssh.Error as error:
            raise _os_error(error) from None

    return wrapper


def _os_error(error: asyncssh.Error) -> OSError:
    """Return the library's error as the operating system would have it."""
    if isinstance(error, asyncssh.SFTPNoSuchFile):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if isinstance(error, asyncssh.SFTPPermissionDenied):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if isinstance(error, asyncssh.SFTPOpUnsupported):
        return OSError(UNSUPPORTED, "the server does not support this operation")
    if isinstance(error, asyncssh.SFTPNoSpaceOnFilesystem):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    # A handle is unknown where it was given over a connection that has broken since.
    lost = (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.SFTPInvalidHandle)
    if isinstance(error, asyncssh.SFTPError) and not isinstance(error, lost):
        return OSError(SERVER_FAILED, f"the server says: {error.reason}")
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


class _HeardSession(SSHClientStreamSession[bytes]):
    """The receiver of a channel's bytes. What is heard of the connection beside that does not count."""

    def __init__(self, hearing: Hearing) -> None:
        super().__init__()
        self._hearing = hearing

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._hearing.note()
        super().data_received(data, datatype)


class Channel:
    """An open channel. Its methods, and those of its files, raise OSError; where the reason is not known, `SERVER_FAILED`.

    Attributes:
        connection: Its connection.
        hearing: When something of it was heard last.
        pace: What the line is held to; None for nothing.
        traffic: What is read of files is added to it as it comes: who waits sees that a slow line is no silent server.
    """

    def __init__(self, connection: SSHClientConnection, handler: SFTPClientHandler, hearing: Hearing) -> None:
        self.connection = connection
        self.hearing = hearing
        self.pace: Pace | None = None
        self.traffic: Traffic | None = None
        self._handler = handler
        self._unwaited: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, connection: SSHClientConnection) -> Channel:
        """Open a channel over a connection.

        What the user's configuration says of shells is not for it: a command would run in place of the server's SFTP, and a
        terminal would change bytes.
        """
        hearing = Hearing()
        session = _HeardSession(hearing)
        stream, _ = await connection.create_session(
            lambda: session, command=None, subsystem="sftp", request_pty=False, x11_forwarding=False, encoding=None
        )
        # The server allows more as soon as it has taken some, a hundred kilobytes at a time; answers come less often.
        hearing.watch_unsent(lambda: stream.get_write_buffer_size() - stream._send_window)  # noqa: SLF001 - it tells nowhere else.
        reader, writer = asyncssh.SSHReader(session, stream), asyncssh.SSHWriter(session, stream)
        handler = SFTPClientHandler(asyncio.get_running_loop(), "strict", reader, writer, _VERSION)
        await handler.start()
        connection.create_task(handler.recv_packets(), handler.logger)
        channel = cls(connection, handler, hearing)
        # Until the answer is there, less is asked for at a time.
        channel.leave(handler.request_limits())
        return channel

    def leave(self, request: Coroutine[Any, Any, None]) -> None:
        """Send a request whose answer nobody waits for."""
        task = asyncio.ensure_future(_quietly(request))
        self._unwaited.add(task)
        task.add_done_callback(self._unwaited.discard)
        # One that ends with the loop before it could begin is closed: the interpreter would miss its being waited for.
        task.add_done_callback(lambda _: request.close())

    def step(self, size_max: int) -> int:
        """Return how many bytes to send or to ask for at a time, where the server takes so many."""
        return size_max if self.pace is None else min(size_max, STEP_SIZE)

    async def wait_for_turn(self, seconds: float) -> None:
        """Wait on purpose, which is no silence of the server's."""
        while seconds > 0:
            self.hearing.note()
            pause = min(seconds, self.hearing.seconds / 2, LOOK_SECONDS)
            await asyncio.sleep(pause)
            seconds -= pause
        self.hearing.note()

    # Files

    @_with_os_errors
    async def open_to_read(self, path: str) -> RemoteFile:
        """Open a file that is there."""
        return RemoteFile(self, self._handler, await self._handler.open(_bytes(path), asyncssh.FXF_READ, asyncssh.SFTPAttrs()))

    @_with_os_errors
    async def create(self, path: str) -> RemoteFile:
        """Create a file, for its owner alone, and open it."""
        mode = asyncssh.FXF_READ | asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
        return RemoteFile(
            self, self._handler, await self._handler.open(_bytes(path), mode, asyncssh.SFTPAttrs(permissions=FILE_MODE))
        )

    @_with_os_errors
    async def link(self, source: str, destination: str) -> None:
        """Add a second name to a file, unless something has that name."""
        await self._handler.link(_bytes(source), _bytes(destination))

    @_with_os_errors
    async def rename(self, source: str, destination: str) -> None:
        """Rename a file, replacing what has the new name."""
        await self._handler.posix_rename(_bytes(source), _bytes(destination))

    @_with_os_errors
    async def remove(self, path: str) -> None:
        """Remove a file."""
        await self._handler.remove(_bytes(path))

    # Folders

    @_with_os_errors
    async def make_folder(self, path: str) -> None:
        """Make a folder, for its owner alone."""
        await self._handler.mkdir(_bytes(path), asyncssh.SFTPAttrs(permissions=FOLDER_MODE))

    @_with_os_errors
    async def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        await self._handler.rmdir(_bytes(path))

    @_with_os_errors
    async def look(self, path: str) -> os.stat_result:
        """Look at a path, without following a symbolic link."""
        return _status(await self._handler.lstat(_bytes(path), 0))

    @_with_os_errors
    async def file_system(self, path: str) -> SFTPVFSAttrs:
        """Look at the file system that a path lies on."""
        return await self._handler.statvfs(_bytes(path))

    @_with_os_errors
    async def names_in(self, folder: str) -> list[Found]:
        """List the files and folders in a folder."""
        handle = await self._handler.opendir(_bytes(folder))
        found: list[Found] = []
        count = _LISTINGS_FIRST
        try:
            while True:
                for answer in await together(*(self._handler.readdir(handle) for _ in range(count))):
                    if isinstance(answer, asyncssh.SFTPEOFError):
                        return found
                    if isinstance(answer, BaseException):
                        raise answer
                    found += _found(answer[0])
                count = min(2 * count, _LISTINGS_MAX)
        finally:
            self.leave(self._handler.close(handle))

    @property
    def write_size_max(self) -> int:
        """How many bytes the server takes in one request."""
        return self._handler.limits.max_write_len

    @property
    def read_size_max(self) -> int:
        """How many bytes the server gives in one answer."""
        return self._handler.limits.max_read_len


class RemoteFile:
    """An open file. It ends with its channel.

    Attributes:
        channel: That channel.
        size: How long a file is that was opened to be read; None as long as nobody has looked.
    """

    def __init__(self, channel: Channel, handler: SFTPClientHandler, handle: bytes) -> None:
        self.channel = channel
        self.size: int | None = None
        self._handler = handler
        self._handle = handle

    @_with_os_errors
    async def read(self, start: int, stop: int) -> bytes:
        """Read the bytes [start, stop) in one answer, which may have fewer; b"" behind the end."""
        try:
            part = (await self._handler.read(self._handle, start, stop - start))[0]
        except asyncssh.SFTPEOFError:
            return b""
        if self.channel.traffic is not None:
            self.channel.traffic.add(requests=0, received=len(part))
        return part

    async def read_all(self, start: int, stop: int) -> bytes:
        """Read the bytes [start, stop), fewer at the end, with as many requests on their way as the window takes."""
        step, pace, is_first = self.channel.step(self.channel.read_size_max), self.channel.pace, True
        waiting: deque[tuple[int, int, asyncio.Task[bytes]]] = deque()
        parts: list[bytes] = []
        try:
            while waiting or start < stop:
                while start < stop and len(waiting) * step < WINDOW_SIZE:
                    if pace is not None and self.size is not None and start >= self.size:
                        # What lies behind the end takes no turn.
                        stop = start
                        break
                    end = min(start + step, stop)
                    if pace is not None:
                        seconds = pace.receiving(end - start)
                        await self.channel.wait_for_turn(0.0 if is_first else seconds)
                        is_first = False
                    waiting.append((start, end, asyncio.ensure_future(self.read(start, end))))
                    start = end
                begin, end, task = waiting.popleft()
                part = await task
                while part:
                    parts.append(part)
                    begin += len(part)
                    # Who looks meanwhile asks first, and knows by now.
                    end = end if self.size is None else min(end, self.size)
                    part = await self.read(begin, end) if begin < end else b""
                if begin < end:
                    break
        finally:
            await give_up(task for _, _, task in waiting)
        return b"".join(parts)

    async def read_whole(self) -> bytes:
        """Read all of the file, and close it without waiting."""
        step, pace = self.channel.step(self.channel.read_size_max), self.channel.pace
        try:
            # The beginning is all of most files.
            found, head = await together(self.look(), self.read(0, step))
            raise_first([found, head])
            if pace is not None:
                pace.receiving(len(head))
            size: int = found.st_size
            return bytes(head) + (await self.read_all(len(head), size) if head and len(head) < size else b"")
        finally:
            self.channel.leave(self.close())

    async def has_name(self, path: str) -> bool:
        """Whether a path leads to this very file, which is written to: a time that it is given shows there.

        Version 3 of the protocol tells neither inodes nor how many names a file has. A server may say that it could not name a
        file, though it has: one on a network file system that was asked twice.
        """
        mark = secrets.randbits(31)
        times = asyncssh.SFTPAttrs(atime=mark, mtime=int(time.time()))
        marking, found = await together(self._handler.fsetstat(self._handle, times), self._handler.lstat(_bytes(path), 0))
        return not isinstance(marking, BaseException) and not isinstance(found, BaseException) and found.atime == mark

    @_with_os_errors
    async def write(self, content: bytes, offset: int) -> None:
        """Write bytes at a place."""
        await self._handler.write(self._handle, offset, content)

    @_with_os_errors
    async def sync(self) -> None:
        """Make the file durable, with all of its names."""
        await self._handler.fsync(self._handle)

    @_with_os_errors
    async def look(self) -> os.stat_result:
        """Look at the file, which is not written to."""
        status = _status(await self._handler.fstat(self._handle, 0))
        self.size = status.st_size
        return status

    @_with_os_errors
    async def close(self) -> None:
        """Close the file."""
        await self._handler.close(self._handle)


async def _quietly(request: Coroutine[Any, Any, None]) -> None:
    try:
        await request
    except (asyncssh.Error, OSError):
        return  # Whoever needs the connection learns what the matter with it is.


def _bytes(path: str) -> bytes:
    """Return a path as the server takes it; one below `/~` is below the user's home there."""
    if os.name == "nt":
        path = path.partition(":")[2].replace("\\", "/") if ":" in path else path.replace("\\", "/")
    if path in {"/~", "/~/"}:
        return b"."
    return os.fsencode(path.removeprefix("/~/"))


def _found(names: Iterable[asyncssh.SFTPName]) -> list[Found]:
    found: list[Found] = []
    for entry in names:
        attributes = entry.attrs
        kind = stat.S_IFMT(attributes.permissions or 0)
        name = os.fsdecode(entry.filename)
        if kind in {stat.S_IFREG, stat.S_IFDIR} and name not in {".", ".."}:
            found.append(Found(name, kind == stat.S_IFDIR, attributes.size or 0, int(attributes.mtime or 0) * 1_000_000_000))
    return found


def _status(attributes: SFTPAttrs) -> os.stat_result:
    mode = attributes.permissions or 0
    if attributes.type == 2 and not stat.S_IFMT(mode):
        mode |= stat.S_IFDIR
    elif not stat.S_IFMT(mode):
        mode |= stat.S_IFREG
    mtime = int(attributes.mtime or 0)
    # Version 3 of the protocol, which OpenSSH speaks, tells no number of names.
    return os.stat_result((mode, 0, 0, 1, attributes.uid or 0, attributes.gid or 0, attributes.size or 0, mtime, mtime, mtime))
