"""A connection to a machine with SFTP: made when it is needed, and made anew after it broke.

The library works with an event loop, which has a thread of its own here; callers wait for one operation each.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import logging
import os
import socket
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tallac.backends.sftp_answers import ANSWER_SECONDS
from tallac.errors import StoreError, StorePermissionError, StoreUnavailableError

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

    from tallac.backends.sftp_channel import Channel

CONNECT_TIMEOUT_SECONDS = 15.0
LOGIN_TIMEOUT_SECONDS = 30.0
KEEPALIVE_SECONDS = 15.0
FAREWELL_SECONDS = 2.0

FAST_CIPHERS = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"
"""With AES in the processor they take half as long as the one that SSH prefers."""

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


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message of the event loop tells more than that a connection has broken, which is found out and mended anyway."""
    return not record.getMessage().startswith("socket.send() raised")


def _has_aes() -> bool:
    """Whether the processor is known to have instructions for AES."""
    try:
        return " aes " in Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return sys.platform == "darwin"


def _slash(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


class _Link:
    """The connection that there is, if there is one."""

    def __init__(self) -> None:
        self.connection: SSHClientConnection | None = None
        self.channel: Channel | None = None
        self.ending: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """Break the connection off."""
        connection, self.connection, self.channel = self.connection, None, None
        if connection is not None:
            connection.abort()


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _end(loop: asyncio.AbstractEventLoop, link: _Link) -> None:
    """Break the connection off, wait until the library has noticed it, and end the loop."""
    connection = link.connection
    link.drop()

    async def stop() -> None:
        if connection is not None:
            with suppress(Exception):
                await asyncio.wait_for(connection.wait_closed(), FAREWELL_SECONDS)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # Sockets are closed by what the loop does next.
        loop.call_soon(lambda: loop.call_soon(loop.stop))

    link.ending = loop.create_task(stop())


class SftpSession:
    """One connection, which is shared by all threads of this process. Not to be used after a fork."""

    def __init__(self, settings: SftpSettings) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting: asyncio.Lock | None = None
        self._link = _Link()

    def run(self, operation: Callable[[Channel], Awaitable[T]], *, seconds: float | None = ANSWER_SECONDS) -> T:
        """Carry out one operation, and wait for it; with None for a time, it watches by itself that it goes on.

        Raises:
            OSError: The server refused it, or the connection broke; where the reason is not known, `SERVER_FAILED`.
            StoreError: There is no connection.
        """
        future = asyncio.run_coroutine_threadsafe(self._run(operation, seconds), self._started())
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise _broken() from None

    def connect_ahead(self) -> None:
        """Begin to connect, without waiting. What goes wrong shows when there is something to ask."""
        if self._loop is None:
            asyncio.run_coroutine_threadsafe(self._connected(), self._started())

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

    def begin(self, operation: Callable[[Channel], Awaitable[object]]) -> None:
        """Begin an operation whose end and outcome nobody waits for. What is not connected is left so.

        The interpreter may call this for what it throws away, in any thread, also in one that must not wait.
        """
        if self._loop is not None and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._begin(operation), self._loop)

    async def _begin(self, operation: Callable[[Channel], Awaitable[object]]) -> None:
        if self._link.channel is not None:
            with suppress(Exception):
                await operation(self._link.channel)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run_loop, args=(self._loop,), name="tallac-sftp", daemon=True).start()
                # Nobody closes a backend; its connection ends with it.
                weakref.finalize(self, self._loop.call_soon_threadsafe, _end, self._loop, self._link)
            return self._loop

    async def _run(self, operation: Callable[[Channel], Awaitable[T]], seconds: float | None) -> T:
        channel = await self._connected()
        try:
            return await asyncio.wait_for(operation(channel), seconds)
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
            raise

    def _drop(self, channel: Channel) -> None:
        if self._link.channel is channel:
            self._link.drop()

    async def _connected(self) -> Channel:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._link.channel is None:
                self._link.channel = await self._connect()
            return self._link.channel

    async def _connect(self) -> Channel:
        import asyncssh  # lazy import: it costs a start a tenth of a second, and only these locations need it

        from tallac.backends.sftp_channel import Channel  # lazy import: likewise

        asyncssh.set_log_level(logging.CRITICAL + 1)
        logging.getLogger("asyncio").addFilter(_is_news)
        settings = self._settings
        where, host = settings.where, settings.host
        given: dict[str, object] = {}
        if settings.user:
            given["username"] = settings.user
        if settings.port:
            given["port"] = settings.port
        if settings.identity:
            given["client_keys"] = [settings.identity]
        if settings.known_hosts:
            given["known_hosts"] = settings.known_hosts
        if settings.ssh_config:
            given["config"] = [settings.ssh_config]
        self._link.drop()
        try:
            options = await asyncssh.SSHClientConnectionOptions.construct(host=host, **given)
            if options.config.get("Ciphers") is None and _has_aes():
                given["encryption_algs"] = FAST_CIPHERS
            self._link.connection = await asyncssh.connect(
                host,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                login_timeout=LOGIN_TIMEOUT_SECONDS,
                keepalive_interval=KEEPALIVE_SECONDS,
                preferred_auth="publickey,gssapi-with-mic,hostbased",
                **given,
            )
            return await Channel.open(self._link.connection)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, asyncssh.ConfigParseError) as error:
            raise StoreError(f"{where}: can't use a key or a setting ({_first_line(error)}); mend it, or use an agent") from error
        except (asyncssh.Error, OSError) as error:
            raise _connect_error(error, settings) from error


def _connect_error(error: Exception, settings: SftpSettings) -> StoreError:
    """Return the error for a connection that could not be made."""
    import asyncssh  # lazy import: as above

    where, host, detail = settings.where, settings.host, _first_line(error)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return StorePermissionError(_key_message(error, settings))
    if isinstance(error, asyncssh.PermissionDenied):
        return StorePermissionError(
            f"{where}: {host} accepts none of your keys for this user; `ssh-copy-id` puts one there, `ssh-add` into the agent"
        )
    if isinstance(error, asyncssh.SFTPError | asyncssh.ChannelOpenError | asyncssh.ProcessError):
        return StoreError(f"{where}: {host} offers no SFTP ({detail}); have it turned on there")
    kinds: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
        ((ConnectionRefusedError,), f"nothing answers at {host} (connection refused); check host and port"),
        ((socket.gaierror,), f"there is no host {host}, or its name can't be looked up now"),
        ((TimeoutError, asyncssh.ConnectionLost), f"{host} does not answer, or breaks off; check the line and the machine"),
    )
    for types, message in kinds:
        if isinstance(error, types):
            return StoreUnavailableError(f"{where}: {message}")
    if isinstance(error, FileNotFoundError | PermissionError):
        return StoreError(f"{where}: can't read a key or a setting ({error.filename}); mend it, or use an agent")
    return StoreUnavailableError(f"{where}: can't connect to {host} ({detail}); try `ssh` to see more")


def _key_message(error: Exception, settings: SftpSettings) -> str:
    """Return the message for a machine that is not known yet, or for one that shows another key than before."""
    import asyncssh  # lazy import: as above

    host, where = settings.host, settings.where
    name = f"[{host}]:{settings.port}" if settings.port not in {0, 22} else host
    path = settings.known_hosts or os.path.expanduser("~/.ssh/known_hosts")
    try:
        known = asyncssh.match_known_hosts(path, host, "", settings.port or 22)[0]
    except (OSError, ValueError, asyncssh.Error):
        known = []
    if known:
        return (
            f"{where}: {host} shows another key than the known one: somebody may pretend to be it; "
            f"if it was set up anew, `ssh-keygen -R '{name}' -f {path}` forgets the old key"
        )
    return f"{where}: the key of {host} is not known; connect once with `ssh`, compare it, and accept it ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _broken() -> OSError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
