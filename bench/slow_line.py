"""A line of some length and width between a client and a server of this machine, which may also break.

Every byte takes its time each way, and the bytes of all connections share the width, each way for itself. A new connection costs
one more way there and back, as TCP's greeting does. Left out: TCP's slow start, and packets lost and sent again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.stores.relay import Relay
from timeline import Timeline

READ_SIZE = 64 << 10
WAITING_MAX = 64
"""So many reads of one connection may be on their way; then the sender waits, as it does for TCP's window."""


@dataclass(frozen=True)
class Shape:
    """What a line is like.

    Attributes:
        delay_seconds: How long a byte takes each way.
        bytes_per_second: The width each way.
        reset_share, cut_share, stall_share: By what chance, at each read, the connection breaks before its bytes have passed;
            ends after half of them; and makes them wait for `stall_seconds`.
    """

    delay_seconds: float = 0.020
    bytes_per_second: float = 100e6 / 8
    reset_share: float = 0.0
    cut_share: float = 0.0
    stall_share: float = 0.0
    stall_seconds: float = 2.0


class _Width:
    """One direction, which all connections share.

    Attributes:
        passed: How many bytes have passed.
        taken: When it was in use without a break, in seconds of the monotonic clock.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._free_at = 0.0
        self.passed = 0
        self.taken: list[tuple[float, float]] = []

    def arrival(self, size: int, now: float) -> float:
        """Take the next turn for so many bytes, and return when they arrive."""
        began = max(self._free_at, now)
        self._free_at = began + size / self._shape.bytes_per_second
        self.passed += size
        if self.taken and began <= self.taken[-1][1]:
            began = self.taken.pop()[0]
        self.taken.append((began, self._free_at))
        return self._free_at + self._shape.delay_seconds


class SlowLine(Relay):
    """A line between two that is of some shape.

    Attributes:
        connections: How many have.
        broken: How many connections the line has broken.
        timeline: What has passed, where that is asked for.
    """

    def __init__(self, host: str, port: int, shape: Shape, seed: int = 0, timeline: Timeline | None = None) -> None:
        """Pass bytes on to a server, which need not be there yet."""
        super().__init__(READ_SIZE)
        self.timeline = timeline
        self._target = (host, port)
        self._shape = shape
        self._chance = random.Random(seed)
        self._there, self._back = _Width(shape), _Width(shape)
        self.connections = 0
        self.broken = 0

    @property
    def sent(self) -> int:
        """The bytes that went to the server by now."""
        return self._there.passed

    @property
    def received(self) -> int:
        """The bytes that came back by now."""
        return self._back.passed

    @property
    def taken(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """When the line was in use without a break, there and back, in seconds of the monotonic clock."""
        return self._there.taken, self._back.taken

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, either way, as the line's shape says."""
        self.connections += 1
        number = self.connections
        await asyncio.sleep(2 * self._shape.delay_seconds)
        far_reader, far_writer = await asyncio.open_connection(*self._target, limit=READ_SIZE)
        try:
            there = self._pass_on(reader, far_writer, self._there, number)
            await _first_to_fail(there, self._pass_on(far_reader, writer, self._back, number))
        finally:
            far_writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, width: _Width, number: int) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING_MAX)
        deliver = self._deliver(waiting, writer, number if width is self._back else 0)
        await _first_to_fail(self._take(reader, waiting, width, number if width is self._there else 0), deliver)

    async def _take(
        self, reader: asyncio.StreamReader, waiting: asyncio.Queue[tuple[float, bytes]], width: _Width, number: int
    ) -> None:
        while part := await reader.read(READ_SIZE):
            if number and self.timeline is not None:
                self.timeline.note_sent(number, part)
            due = width.arrival(len(part), self.loop.time())
            fate = self._chance.random()
            if fate < self._shape.reset_share:
                self.broken += 1
                raise ConnectionResetError
            fate -= self._shape.reset_share
            if fate < self._shape.cut_share:
                self.broken += 1
                await waiting.put((due, part[: len(part) // 2]))
                break
            if fate - self._shape.cut_share < self._shape.stall_share:
                due += self._shape.stall_seconds
            await waiting.put((due, part))
        await waiting.put((self.loop.time() + self._shape.delay_seconds, b""))

    async def _deliver(self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            due, part = await waiting.get()
            await asyncio.sleep(due - self.loop.time())
            if not part:
                # Some clients end their half first and still want an answer.
                with suppress(OSError):
                    writer.write_eof()
                return
            writer.write(part)
            if number and self.timeline is not None:
                self.timeline.note_received(number, part)
            await writer.drain()


async def _first_to_fail(*both: Coroutine[Any, Any, None]) -> None:
    """Carry out two things side by side; where one fails, end the other, and raise its error."""
    tasks = [asyncio.ensure_future(each) for each in both]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def slow_line(
    host: str, port: int, shape: Shape | None = None, seed: int = 0, timeline: Timeline | None = None
) -> Iterator[SlowLine]:
    """Give such a line for the length of the block."""
    line = SlowLine(host, port, shape or Shape(), seed, timeline)
    with line.running():
        yield line
