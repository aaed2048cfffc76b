"""Run a gateway until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tallac.errors import UsageError
from tallac.gateway.application import Gateway
from tallac.gateway.grid_pool import GridPool
from tallac.gateway.guard import Guard, allowed_hosts
from tallac.gateway.metrics import Metrics
from tallac.gateway.settings import GatewaySettings
from tallac.interfaces import Grid

_logger = logging.getLogger("tallac.gateway")

HEAD_SIZE_MAX = 64 << 10
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 32\r\nRetry-After: 1\r\n"
    b"Connection: close\r\n\r\ntoo many connections; try again\n"
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    open_grid: Callable[[], Grid],
    settings: GatewaySettings,
    on_ready: Callable[[str], None],
    *,
    metrics: Callable[[], str] | None = None,
) -> None:
    """Answer requests until SIGINT or SIGTERM; then finish those in progress, and close all grids.

    Args:
        open_grid: Opens one more grid; called from several threads.
        settings: The address, TLS files and limits.
        on_ready: Called with the gateway's URL once it answers.
        metrics: Returns what is answered at /metrics; called from another thread. None for nothing there.

    Raises:
        UsageError: The gateway can't listen at this address, or the settings are unsafe.
    """
    settings.require_safe()
    listening = _listen(settings)
    with listening:
        port = int(listening.getsockname()[1])
        pool = GridPool(open_grid)
        gateway = Gateway(pool, metrics=None if metrics is None else Metrics(metrics))
        try:
            hosts = allowed_hosts(settings.host, port, settings.host_names)
            server = _Server(_configuration(Guard(gateway, hosts), settings), lambda: on_ready(_url(settings, port)))
            asyncio.run(_run(server, gateway, listening))
        finally:
            pool.close()


async def _run(server: _Server, gateway: Gateway, listening: socket.socket) -> None:
    asyncio.get_running_loop().set_exception_handler(_report)
    # Its other messages are about single connections that broke off.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        await server.serve(sockets=[listening])
    finally:
        gateway.close()
        # Cancelled tasks get their turn to clean up.
        await asyncio.sleep(0)


def _report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error outside of any request in one line: a trace could hold a cap, and clients can cause as many as they like."""
    error = context.get("exception")
    if error is None or isinstance(error, ConnectionError | TimeoutError | ssl.SSLError):
        return
    _logger.debug("unexpected error", exc_info=error)
    _logger.error("unexpected %s outside of a request", type(error).__name__)


def _listen(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=settings.requests_max)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"can't listen on {settings.host} port {settings.port}: {reason}; choose another with --port") from None


def _url(settings: GatewaySettings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'http' if settings.certificate is None else 'https'}://{host}:{port}/"


def _configuration(application: Guard, settings: GatewaySettings) -> uvicorn.Config:
    configuration = uvicorn.Config(
        application,
        http=_protocol(settings.header_seconds, settings.requests_max),
        ws="none",
        loop="asyncio",
        lifespan="off",
        # A log of requests would be a log of caps.
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        # The protocol turns away further ones itself, and sooner.
        limit_concurrency=settings.requests_max + 1,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        h11_max_incomplete_event_size=HEAD_SIZE_MAX,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    try:
        configuration.load()
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{settings.certificate}, {settings.key}: not a usable certificate and key ({error})") from None
    return configuration


class _Server(uvicorn.Server):
    """A server that reports when it is ready, and ends without an error at a signal."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and report it."""
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal, and at once at the second."""
        before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, *_signal: object) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def _protocol(header_seconds: float, connections_max: int) -> type[H11Protocol]:
    """Return a protocol class that disconnects clients which take too long to send the head of a request, or are too many."""

    class Protocol(H11Protocol):
        """HTTP/1.1, with a limit on how long a head may take, and one on how many connections there are."""

        _head_timer: asyncio.TimerHandle | None = None
        _is_turned_away = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if len(self.connections) >= connections_max:
                # An answer only after a request would leave the connection, and its descriptor, to whoever never sends one.
                self._is_turned_away = True
                transport.write(_TOO_MANY)
                transport.close()
                return
            super().connection_made(transport)
            self._watch_head()

        def data_received(self, data: bytes) -> None:
            if not self._is_turned_away:
                super().data_received(data)
                self._watch_head()

        def connection_lost(self, exc: Exception | None) -> None:
            if not self._is_turned_away:
                self._stop_watching()
                super().connection_lost(exc)

        def _watch_head(self) -> None:
            # h11 leaves this state once the client has sent a complete head.
            if repr(self.conn.their_state) != "IDLE":
                self._stop_watching()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(header_seconds, self.transport.close)

        def _stop_watching(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return Protocol
