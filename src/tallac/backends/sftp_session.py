"""A connection to a machine with SFTP: made when it is needed, and made anew after it broke.

The library works with an event loop, which has a thread of its own here; callers wait for one operation each.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import errno
import os
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tallac.backends.silence import while_heard

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

    from tallac.backends.sftp_channel import Channel
    from tallac.backends.traffic import Pace, Traffic

_LOADING = threading.Lock()
_LIBRARIES = {
    "nettle": tuple(f"libnettle.so.{version}" for version in (8, 9, 7, 6)),
    "oqs": tuple(f"liboqs.so.{version}" for version in (9, 8, 7, 6, 5)),
}

FAREWELL_SECONDS = 2.0
SETTLING_STEPS = 4

T = TypeVar("T")


class SftpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A place on a machine with SFTP. Holds no secret.

    Attributes:
        host: Its name, or one of the user's `ssh_config`.
        user: "" for what `ssh_config` says, or this user's own name.
        port: 0 for what `ssh_config` says, or 22.
        path: Where on it; beginning with `~/`, below the user's home there.
        identity: A file with a private key, besides the agent's and the usual ones; "" for none.
        known_hosts: A file with the keys of known machines; "" for the user's own.
        ssh_config: A file to read in place of `~/.ssh/config`; "" for that one.
    """

    host: str
    path: str
    user: str = ""
    port: int = 0
    identity: str = ""
    known_hosts: str = ""
    ssh_config: str = ""

    @property
    def where(self) -> str:
        """The place as messages show it."""
        return f"sftp://{self.user + '@' if self.user else ''}{self.host}{f':{self.port}' if self.port else ''}{_slash(self.path)}"


def _slash(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


class _Link:
    """The connection that there is, if there is one.

    Attributes:
        begun: Operations that nobody waits for; the loop itself remembers no task.
        is_ending: Whether nothing is begun any more.
    """

    def __init__(self) -> None:
        self.connection: SSHClientConnection | None = None
        self.channel: Channel | None = None
        self.begun: set[asyncio.Task[None]] = set()
        self.ending: asyncio.Task[None] | None = None
        self.is_ending = False

    def drop(self) -> None:
        """Break the connection off."""
        connection, self.connection, self.channel = self.connection, None, None
        if connection is not None:
            connection.abort()


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(_settle())
    loop.close()


async def _settle() -> None:
    """End all that is left, what was begun in the last moment as well. Sockets are closed by what the loop does next."""
    for _ in range(SETTLING_STEPS):
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=FAREWELL_SECONDS / SETTLING_STEPS)
        await asyncio.sleep(0)


def _end(loop: asyncio.AbstractEventLoop, link: _Link) -> None:
    """Break the connection off, wait until the library has noticed it, and end the loop."""
    connection = link.connection
    link.drop()

    async def stop() -> None:
        if connection is not None:
            with suppress(Exception):
                await asyncio.wait_for(connection.wait_closed(), FAREWELL_SECONDS)
        loop.stop()

    link.is_ending = True
    link.ending = loop.create_task(stop())


_SESSIONS: weakref.WeakSet[SftpSession] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End all loops before the interpreter ends: it would stop their threads in the middle of what they do."""
    for session in list(_SESSIONS):
        session.end()


class SftpSession:
    """One connection, which is shared by all threads of this process. Not to be used after a fork."""

    def __init__(self, settings: SftpSettings) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ends: weakref.finalize[..., SftpSession] | None = None
        self._connecting: asyncio.Lock | None = None
        self._ahead: asyncio.Task[Channel] | None = None
        self._link = _Link()
        self.pace: Pace | None = None
        self.traffic: Traffic | None = None

    def run(self, operation: Callable[[Channel], Coroutine[Any, Any, T]]) -> T:
        """Carry out one operation, and wait for it as long as something is heard of the server.

        Raises:
            OSError: The server refused it, or the connection broke; where the reason is not known, `SERVER_FAILED`.
            StoreError: There is no connection.
        """
        try:
            return self.start(operation).result()
        except concurrent.futures.CancelledError:
            raise _broken() from None

    def start(self, operation: Callable[[Channel], Coroutine[Any, Any, T]]) -> concurrent.futures.Future[T]:
        """Begin what `run` carries out; the future raises as that does, or CancelledError where the connection was ended."""
        return asyncio.run_coroutine_threadsafe(self._run(operation), self._started())

    def connect_ahead(self) -> None:
        """Begin to connect, without waiting. What goes wrong, the first operation says, which waits for this attempt."""
        if self._loop is None:
            # Not in the thread of the loop: what the caller imports meanwhile may belong to the same packages.
            load_library()
            self._started().call_soon_threadsafe(self._begin_to_connect)

    def _begin_to_connect(self) -> None:
        if self._ahead is None and self._link.channel is None:
            self._ahead = asyncio.ensure_future(self._connected_anew())
            # The error is somebody's who asks for something; it is none of the loop's where nobody does.
            self._ahead.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._link.channel is not None

    def is_current(self, channel: Channel) -> bool:
        """Whether a channel is the one that operations are given, as far as is known."""
        return channel is self._link.channel

    def require_current(self, channel: Channel) -> None:
        """Refuse what was opened over a connection that broke.

        Raises:
            ConnectionResetError: It was.
        """
        if not self.is_current(channel):
            raise _broken()

    def begin(self, operation: Callable[[Channel], Coroutine[Any, Any, object]]) -> None:
        """Begin an operation whose end and outcome nobody waits for. What is not connected is left so.

        The interpreter may call this for what it throws away, in any thread, also in one that must not wait.
        """
        if self._loop is not None:
            # Once the loop is closed, so is all that was open.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._begin, operation)

    def _begin(self, operation: Callable[[Channel], Coroutine[Any, Any, object]]) -> None:
        if self._link.channel is not None and not self._link.is_ending:
            request = operation(self._link.channel)
            task = asyncio.ensure_future(self._quietly(request))
            self._link.begun.add(task)
            task.add_done_callback(self._link.begun.discard)
            task.add_done_callback(lambda _: request.close())  # See `Channel.leave`.

    async def _quietly(self, operation: Coroutine[Any, Any, object]) -> None:
        # This session is held until then: its end would break the connection off.
        with suppress(Exception):
            await operation

    def end(self) -> None:
        """Break the connection off, at the end of the process; there will be no other one."""
        if self._loop is not None and self._thread is not None and self._ends is not None and self._ends.detach() is not None:
            self._loop.call_soon_threadsafe(_end, self._loop, self._link)
            self._thread.join(FAREWELL_SECONDS)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name="tallac-sftp", daemon=True)
                self._thread.start()
                # Nobody closes a backend; its connection ends with it.
                self._ends = weakref.finalize(self, self._loop.call_soon_threadsafe, _end, self._loop, self._link)
                self._ends.atexit = False
                _SESSIONS.add(self)
            return self._loop

    async def _run(self, operation: Callable[[Channel], Coroutine[Any, Any, T]]) -> T:
        with self._asking():
            channel = await self._connected()
            return await self._while_heard(operation, channel)

    async def _while_heard(self, operation: Callable[[Channel], Coroutine[Any, Any, T]], channel: Channel) -> T:
        try:
            return await while_heard(operation(channel), channel.hearing)
        except TimeoutError:
            self._drop(channel)
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
        except ConnectionError:
            self._drop(channel)
            raise _broken() from None
        except OSError:
            # What was opened on a connection that broke is unknown on the next one.
            if channel is not self._link.channel:
                raise _broken() from None
            if self.traffic is not None:
                # The server has said no, as it also answers the question whether something is there.
                self.traffic.hear(is_answer=True)
            raise

    def _asking(self) -> AbstractContextManager[None]:
        return nullcontext() if self.traffic is None else self.traffic.asking()

    def _drop(self, channel: Channel) -> None:
        if self._link.channel is channel:
            self._link.drop()

    async def _connected(self) -> Channel:
        if (ahead := self._ahead) is not None:
            try:
                await asyncio.shield(ahead)
            finally:
                self._ahead = None
        return await self._connected_anew()

    async def _connected_anew(self) -> Channel:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._link.channel is None:
                self._link.channel = await self._connect()
                self._link.channel.pace, self._link.channel.traffic = self.pace, self.traffic
                if self.traffic is not None:
                    self._link.channel.hearing.on_note = self.traffic.hear
            return self._link.channel

    async def _connect(self) -> Channel:
        load_library()
        from tallac.backends.sftp_login import log_in  # lazy import: it costs a start a tenth of a second, only SFTP needs it

        self._link.drop()
        self._link.connection, channel = await log_in(self._settings)
        return channel


def load_library() -> None:
    """Load `asyncssh`, without its search for libraries of the system.

    It looks for two (liboqs and nettle) while it is loaded, and has `ldconfig`, the C compiler and the linker run for that, a third
    of the time. Here they are asked for by the names that they are installed under; what is there brings one more way to exchange
    keys and four more checksums, which few servers insist on: `findings/asyncssh-an-import-that-runs-a-compiler.sh`.
    """
    with _LOADING:
        if "asyncssh" in sys.modules:
            return
        import ctypes.util  # lazy import: only SFTP needs it

        search, loading = ctypes.util.find_library, {threading.get_ident()}

        def find(name: str) -> str | None:
            # What another thread loads meanwhile finds what is there, and may keep this function.
            return _find_by_name(name) if threading.get_ident() in loading else search(name)

        ctypes.util.find_library = find
        try:
            from tallac.backends import sftp_login  # noqa: F401  # lazy import: a tenth of a second, and only SFTP needs it
        finally:
            ctypes.util.find_library = search
            loading.clear()


def _find_by_name(library: str) -> str | None:
    import ctypes  # lazy import: only SFTP needs it

    for name in _LIBRARIES.get(library, ()):
        with suppress(OSError):
            ctypes.CDLL(name)
            return name
    return None


def _broken() -> OSError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
