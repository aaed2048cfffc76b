"""A line to a server of this machine that takes so many bytes a second, and that may go silent."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PART_SIZE = 4096
BUFFER_SIZE = 16 << 10
"""What the line takes before it makes the sender wait, in bytes."""


class NarrowLine:
    """A port of loopback in front of another one. The bytes of all connections share the width, each way for itself.

    Attributes:
        port: Where clients connect.
        passed: Bytes that went to the server.
    """

    def __init__(self, port: int, bytes_per_second: float) -> None:
        """Pass bytes on to a server."""
        self.passed = 0
        self._seconds_per_byte = 1 / bytes_per_second
        self._target = port
        self._free_at = {True: 0.0, False: 0.0}
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_SIZE)
        self.port = self._listener.getsockname()[1]
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()

    def go_silent(self) -> None:
        """Pass nothing on from now on, as a line does whose other end is gone. No connection is closed."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Pass everything on again."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def break_off(self) -> None:
        """Break all connections off."""
        self._loop.call_soon_threadsafe(self._abort)

    def stop(self) -> None:
        """Break all connections off, and take none any more."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        running: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._connect(reader, writer))
            running.add(task)
            task.add_done_callback(running.discard)

        server = await asyncio.start_server(begin, sock=self._listener, limit=PART_SIZE)
        await self._stopping.wait()
        server.close()
        self._abort()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        # Sockets are closed by what the loop does next; one that is left open is complained of while some later test runs.
        for _ in range(3):
            await asyncio.sleep(0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = {writer}
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=PART_SIZE)
            writers.add(far_writer)
            self._writers |= writers
            there, back = (reader, far_writer), (far_reader, writer)
            await asyncio.gather(self._pass_on(*there, is_there=True), self._pass_on(*back, is_there=False))
        except ConnectionError:
            pass
        finally:
            self._writers -= writers
            for each in writers:
                each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_there: bool) -> None:
        while part := await reader.read(PART_SIZE):
            now = self._loop.time()
            self._free_at[is_there] = max(self._free_at[is_there], now) + len(part) * self._seconds_per_byte
            # The line is taken for so long.
            await asyncio.sleep(self._free_at[is_there] - now)
            await self._flowing.wait()
            writer.write(part)
            await writer.drain()
            self.passed += len(part) if is_there else 0
        raise ConnectionResetError


@contextmanager
def narrow_line(port: int, bytes_per_second: float) -> Iterator[NarrowLine]:
    """Give such a line to a port for the length of the block."""
    line = NarrowLine(port, bytes_per_second)
    try:
        yield line
    finally:
        line.stop()
