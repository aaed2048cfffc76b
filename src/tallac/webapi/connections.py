"""Persistent connections to one gateway.

The HTTP client of the standard library is used: at each start of the command it costs a tenth of a second less than larger ones,
and half the time of an unchanged backup is that start.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

from tallac.errors import StoreBusyError, StoreError, StoreUnavailableError

CONNECT_SECONDS_MAX = 20.0
ANSWER_SECONDS_MAX = 600.0
"""How long an answer may take: a grid may be slow to place the last share, and the gateway sends nothing meanwhile."""

IN_FLIGHT_MAX = 16
READ_SIZE = 1 << 16

Content = bytes | Iterable[bytes]


class Answer(NamedTuple):
    """A complete answer."""

    status: int
    body: bytes


class Connections:
    """Sends requests to a gateway. Thread-safe: up to `IN_FLIGHT_MAX` are in flight at a time, further ones wait.

    All methods raise StoreUnavailableError where nothing listens or the connection breaks; its cause tells which.
    """

    def __init__(self, url: str) -> None:
        """Use the gateway at a URL, which ends with a slash; nothing is sent yet."""
        self._url = url
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(IN_FLIGHT_MAX)

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def ask(self, method: str, path: str, query: Mapping[str, str] | None, content: Content | None) -> Answer:
        """Send a request and read the whole answer. The path is percent-encoded and has no leading slash."""
        with self.stream(method, path, query, content, {}) as response, broken_off(self._url):
            return Answer(response.status, response.read())

    @contextmanager
    def stream(
        self, method: str, path: str, query: Mapping[str, str] | None, content: Content | None, headers: Mapping[str, str]
    ) -> Iterator[HTTPResponse]:
        """Send a request and yield the answer, to be read in the block; wrap reading in `broken_off`."""
        address = self._address()
        target = address.path + path + ("?" + urlencode(query) if query else "")
        with self._slots:
            connection = self._take(address)
            is_reusable = False
            try:
                with broken_off(self._url):
                    connection.request(method, target, content, {"Accept-Encoding": "identity", **headers})
                    _acknowledge_at_once(connection)
                    response = connection.getresponse()
                with response:
                    yield response
                    is_reusable = response.isclosed() and not response.will_close
            finally:
                if is_reusable:
                    with self._lock:
                        self._idle.append(connection)
                else:
                    connection.close()

    def _address(self) -> SplitResult:
        no_url = StoreError(f"{self._url}: this is no URL of a Tahoe-LAFS node; it looks like http://127.0.0.1:3456/")
        try:
            address = urlsplit(self._url)
            is_usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except ValueError as error:
            raise no_url from error
        if not is_usable:
            raise no_url
        return address

    def _take(self, address: SplitResult) -> HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect(address)
            if _is_open(connection):
                return connection
            connection.close()

    def _connect(self, address: SplitResult) -> HTTPConnection:
        assert address.hostname is not None
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        connection = kind(address.hostname, address.port, timeout=CONNECT_SECONDS_MAX)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise StoreUnavailableError(
                f"{self._url}: no Tahoe-LAFS node answers there; start it with `tahoe run`, or say with --node-url where it is"
            ) from error
        connection.sock.settimeout(ANSWER_SECONDS_MAX)
        return connection


@contextmanager
def broken_off(url: str) -> Iterator[None]:
    """Convert errors of a connection that the block uses to StoreUnavailableError."""
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailableError(f"{url}: the Tahoe-LAFS node does not answer; see whether it and its servers run") from error
    except (OSError, HTTPException) as error:
        raise StoreUnavailableError(
            f"{url}: the connection to the Tahoe-LAFS node broke off; see whether it still runs, and try again"
        ) from error


def may_be_retried(error: StoreUnavailableError) -> bool:
    """Whether to retry: the store was busy or a connection broke. A node that refuses connections is not running."""
    broken = ConnectionResetError | BrokenPipeError | ConnectionAbortedError | HTTPException
    return isinstance(error, StoreBusyError) or isinstance(error.__cause__, broken)


def _acknowledge_at_once(connection: HTTPConnection) -> None:
    """Acknowledge packets at once: a gateway sends the body only after its head is acknowledged, which else takes 40 ms."""
    if sys.platform == "linux":
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _is_open(connection: HTTPConnection) -> bool:
    """Whether an idle connection can be used: one with something to read has been closed by the gateway."""
    try:
        return connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]
    except (OSError, ValueError):
        return False
