"""A line to a store on which requests and answers get lost, are refused, sent twice or cut off, as a plan says."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Fate(Enum):
    """What becomes of a request."""

    PASS = auto()
    LOST_REQUEST = auto()
    """The connection breaks before the store has it."""
    LOST_ANSWER = auto()
    """The store carries it out, and the connection breaks."""
    TWICE = auto()
    """The store gets it twice, and the second answer is given."""
    BUSY = auto()
    """503, without asking the store."""
    FAILED_AFTER = auto()
    """500, after the store has carried it out."""
    CUT = auto()
    """The answer's body ends in its middle."""
    NO_CONDITIONS = auto()
    """The store does not see the conditions of a put, as if it ignored them."""
    STALLED = auto()
    """Nothing more is heard."""


Plan = Callable[[str, str], Fate]
"""Says what becomes of a request with this method and path."""

BUSY_ANSWER = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
STALL_SECONDS = 20


class RoughLine:
    """A server in front of another. It records each request as `METHOD path`, in the order of their arrival.

    Attributes:
        most: How many requests the other server had to answer at a time, but for those about sessions.
        received: Bytes of content in all answers of the other server.
    """

    def __init__(self, target: str, plan: Plan) -> None:
        """Pass requests on to a URL."""
        parts = urlsplit(target)
        assert parts.hostname is not None
        self.plan = plan
        self.requests: list[str] = []
        self.is_over = threading.Event()
        self.most = 0
        self.received = 0
        self._counting = threading.Lock()
        self._under_way = 0
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                line.handle(self, parts.hostname or "", parts.port or 80)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the library's names.

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name.
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{parts.path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self.is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def handle(self, handler: BaseHTTPRequestHandler, host: str, port: int) -> None:
        """Carry out one request, as the plan says."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        self.requests.append(f"{handler.command} {handler.path}")
        fate = self.plan(handler.command, handler.path)
        handler.close_connection = fate is not Fate.PASS
        if fate is Fate.LOST_REQUEST:
            return
        if fate is Fate.STALLED:
            self.is_over.wait(STALL_SECONDS)
            return
        if fate is Fate.BUSY:
            self._answer(handler, 503, {}, BUSY_ANSWER)
            return
        if fate is Fate.NO_CONDITIONS:
            for name in ("If-None-Match", "If-Match"):
                del handler.headers[name]
        with self._counted(handler.path):
            status, headers, content = self._ask(handler, host, port, body)
            self.received += len(content) if handler.command == "GET" else 0
        if fate is Fate.TWICE:
            status, headers, content = self._ask(handler, host, port, body)
        if fate is Fate.LOST_ANSWER:
            return
        if fate is Fate.FAILED_AFTER:
            status, headers, content = 500, {}, b"<Error><Code>InternalError</Code></Error>"
        self._answer(handler, status, headers, content, is_cut=fate is Fate.CUT)

    @contextmanager
    def _counted(self, path: str) -> Iterator[None]:
        is_counted = "/sessions/" not in path
        with self._counting:
            self._under_way += is_counted
            self.most = max(self.most, self._under_way)
        yield
        with self._counting:
            self._under_way -= is_counted

    @staticmethod
    def _ask(handler: BaseHTTPRequestHandler, host: str, port: int, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            # The host is a part of what is signed, and stays.
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    @staticmethod
    def _answer(
        handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes, *, is_cut: bool = False
    ) -> None:
        with suppress(ConnectionError):
            handler.send_response(status)
            kept = {name: value for name, value in headers.items() if name.lower() not in {"transfer-encoding", "connection"}}
            if not any(name.lower() == "content-length" for name in kept):
                kept["Content-Length"] = str(len(content))
            if handler.close_connection:
                kept["Connection"] = "close"
            for name, value in kept.items():
                handler.send_header(name, value)
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(content[: len(content) // 2] if is_cut else content)


class Once:
    """Plan one fate, for the first requests with a method, so many of them; all others pass."""

    def __init__(self, fate: Fate, method: str, times: int = 1) -> None:
        self._fate = fate
        self._method = method
        self._left = times
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str) -> Fate:
        """Say what becomes of a request."""
        with self._lock:
            if method != self._method or self._left == 0:
                return Fate.PASS
            self._left -= 1
            return self._fate


@contextmanager
def rough_line(target: str, plan: Plan) -> Iterator[RoughLine]:
    """Give such a line for the length of the block."""
    line = RoughLine(target, plan)
    line.start()
    try:
        yield line
    finally:
        line.stop()


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    assert is_so()
