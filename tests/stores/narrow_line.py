"""A line to a server of this machine that takes so many bytes a second, and that may go silent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tests.stores.relay import Relay

PART_SIZE = 4096
BUFFER_SIZE = 16 << 10
"""What the line takes before it makes the sender wait, in bytes."""


class NarrowLine(Relay):
    """A line on which the bytes of all connections share the width, each way for itself.

    Attributes:
        passed: Bytes that went to the server.
    """

    def __init__(self, port: int, bytes_per_second: float) -> None:
        """Pass bytes on to a server."""
        super().__init__(PART_SIZE, BUFFER_SIZE)
        self.passed = 0
        self._seconds_per_byte = 1 / bytes_per_second
        self._target = port
        self._free_at = {True: 0.0, False: 0.0}
        self._flowing = asyncio.Event()
        self._flowing.set()

    def go_silent(self) -> None:
        """Pass nothing on from now on, as a line does whose other end is gone. No connection is closed."""
        self.loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Pass everything on again."""
        self.loop.call_soon_threadsafe(self._flowing.set)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, either way."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=PART_SIZE)
        try:
            there, back = (reader, far_writer), (far_reader, writer)
            await asyncio.gather(self._pass_on(*there, is_there=True), self._pass_on(*back, is_there=False))
        finally:
            far_writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_there: bool) -> None:
        while part := await reader.read(PART_SIZE):
            now = self.loop.time()
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
    with line.running():
        yield line
