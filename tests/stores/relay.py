"""A server in front of another one of this machine, in a thread of its own: what lines of tests and of the bench are made of."""

from __future__ import annotations

import asyncio
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager


class Relay(ABC):
    """A port of loopback behind which something is done with each connection.

    Attributes:
        port: Where clients connect.
    """

    def __init__(self, read_size: int, buffer_size: int | None = None) -> None:
        """Take no connection yet.

        Args:
            read_size: What is taken of a connection at a time, in bytes.
            buffer_size: What the system takes of one before it makes the sender wait; None for its own choice.
        """
        self.read_size = read_size
        self.loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Connections take it over. The loop asks for it by itself only where a socket names its protocol, as this one does not.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer_size is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),), daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Take connections for the length of the block; at its end all are broken off."""
        self._thread.start()
        try:
            yield
        finally:
            self.loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self.loop.close()

    @abstractmethod
    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is broken off afterwards; where it ends with an OSError, that is all."""

    async def _serve(self) -> None:
        running: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self.loop.create_task(self._connect(reader, writer))
            running.add(task)
            task.add_done_callback(running.discard)

        server = await asyncio.start_server(begin, sock=self._listener, limit=self.read_size)
        await self._stopping.wait()
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        # Sockets are closed by what the loop does next; one that is left open is complained of while some later test runs.
        for _ in range(3):
            await asyncio.sleep(0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.connect(reader, writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()
