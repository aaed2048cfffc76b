"""Logging in to a machine with SFTP, and what the matter is where that fails."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path

import asyncssh

from tallac.backends.sftp_channel import Channel
from tallac.backends.sftp_first_key import may_sign_at_once, sign_at_once
from tallac.backends.sftp_session import SftpSettings
from tallac.backends.silence import Hearing, while_heard
from tallac.errors import SilentStoreError, StoreError, StorePermissionError, StoreUnavailableError

CONNECT_TIMEOUT_SECONDS = 15.0
"""So long a machine may take to answer at all. From then on it is its silence that is limited, see `Hearing`."""

KEEPALIVE_SECONDS = 15.0
KEEPALIVES_MAX = 1 << 30
"""The library counts those that were not answered in time also where they wait behind a body on a slow line. Silence shows more."""

FAST_CIPHERS = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"
"""With AES in the processor they take half as long as the one that SSH prefers."""


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message of the event loop tells more than that a connection has broken, which is found out and mended anyway."""
    return not record.getMessage().startswith("socket.send() raised")


def _has_aes() -> bool:
    """Whether the processor is known to have instructions for AES."""
    try:
        return " aes " in Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return sys.platform == "darwin"


class _Client(asyncssh.SSHClient):
    """The receiver of what the library tells of a connection; here, that something comes in while it is made."""

    def __init__(self, hearing: Hearing, answer_seconds: float, *, signs_at_once: bool) -> None:
        self._hearing = hearing
        self._answer_seconds = answer_seconds
        self._signs_at_once = signs_at_once

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        hearing, received = self._hearing, conn.data_received

        def heard(data: bytes, datatype: int | None = None) -> None:
            hearing.note()
            received(data, datatype)

        conn.data_received = heard  # type: ignore[method-assign]  # A connection is asyncio's protocol, and tells nobody else.
        hearing.seconds = self._answer_seconds
        hearing.note()
        if self._signs_at_once:
            sign_at_once(conn)


async def log_in(settings: SftpSettings) -> tuple[asyncssh.SSHClientConnection, Channel]:
    """Connect, log in, and open a channel.

    Raises:
        StoreError: That is not possible; a `StoreUnavailableError` where it may be later.
    """
    asyncssh.set_log_level(logging.CRITICAL + 1)
    logging.getLogger("asyncio").addFilter(_is_news)
    where = settings.where
    try:
        connection = await _connect(settings)
        try:
            return connection, await asyncio.wait_for(Channel.open(connection), Hearing().seconds)
        except BaseException:
            connection.abort()
            raise
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, asyncssh.ConfigParseError) as error:
        raise StoreError(f"{where}: can't use a key or a setting ({_first_line(error)}); mend it, or use an agent") from error
    except (asyncssh.Error, OSError) as error:
        raise _connect_error(error, settings) from error


async def _connect(settings: SftpSettings) -> asyncssh.SSHClientConnection:
    # Nothing there is to use this user's keys, whatever the configuration says of shells.
    given: dict[str, object] = {"agent_forwarding": False}
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
    options = await asyncssh.SSHClientConnectionOptions.construct(host=settings.host, **given)
    if options.config.get("Ciphers") is None and _has_aes():
        given["encryption_algs"] = FAST_CIPHERS
    hearing = Hearing()
    answer_seconds = hearing.seconds
    if options.tunnel is None and options.proxy_command is None:
        hearing.seconds = min(CONNECT_TIMEOUT_SECONDS, answer_seconds)

    async def connect() -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            settings.host,
            client_factory=lambda: _Client(hearing, answer_seconds, signs_at_once=may_sign_at_once(options)),
            # Of the library's own limits, none is on silence.
            connect_timeout=None,
            login_timeout=0,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=KEEPALIVES_MAX,
            preferred_auth="publickey,gssapi-with-mic,hostbased",
            **given,
        )

    connection = await while_heard(connect(), hearing)
    del connection.data_received
    return connection


def _connect_error(error: Exception, settings: SftpSettings) -> StoreError:
    """Return the error for a connection that could not be made."""
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
            kind = SilentStoreError if isinstance(error, TimeoutError) else StoreUnavailableError
            return kind(f"{where}: {message}")
    if isinstance(error, FileNotFoundError | PermissionError):
        return StoreError(f"{where}: can't read a key or a setting ({error.filename}); mend it, or use an agent")
    return StoreUnavailableError(f"{where}: can't connect to {host} ({detail}); try `ssh` to see more")


def _key_message(error: Exception, settings: SftpSettings) -> str:
    """Return the message for a machine that is not known yet, or for one that shows another key than before."""
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
