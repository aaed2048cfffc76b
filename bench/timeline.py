"""What passes a line: how full it is; and of HTTP, when each request began and ended, as the client sees it, and its bytes.

A request begins with the first byte that its client sends, and ends with the last byte that reaches the client before the next
request of the same connection. So a timeline shows which requests wait for each other, and when nothing is under way.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

_HEAD = re.compile(rb"(GET|PUT|HEAD|DELETE|POST) (\S+) HTTP/1\.1\r\n")
_RANGE = re.compile(rb"(?i)\r\nrange: bytes=([0-9-]+)")
STEP_SECONDS = 0.1
STEPS_IN_ROW = 100


@dataclass
class Request:
    """One request.

    Attributes:
        connection: The number of its connection.
        what: Its method, its path and its range.
        began, ended: Seconds of the monotonic clock, as the client sees them.
        sent_until: When the last of its own bytes was taken from the client.
        sent, received: Bytes.
    """

    connection: int
    what: str
    began: float
    ended: float
    sent_until: float
    sent: int = 0
    received: int = 0


class Timeline:
    """All requests that have passed, in the order in which they began. A line tells it what passes."""

    def __init__(self) -> None:
        """Nothing has passed yet."""
        self.requests: list[Request] = []
        self._latest: dict[int, Request] = {}

    def note_sent(self, connection: int, part: bytes) -> None:
        """Take notice of bytes that a client has sent."""
        now = time.monotonic()
        if head := _HEAD.match(part):
            found = _RANGE.search(part)
            what = f"{head[1].decode()} {unquote(head[2].decode())}" + (f" [{found[1].decode()}]" if found else "")
            self._latest[connection] = Request(connection, what, now, now, now)
            self.requests.append(self._latest[connection])
        if request := self._latest.get(connection):
            request.sent += len(part)
            request.sent_until = now

    def note_received(self, connection: int, part: bytes) -> None:
        """Take notice of bytes that have reached a client."""
        if request := self._latest.get(connection):
            request.received += len(part)
            request.ended = time.monotonic()


def table(requests: Sequence[Request], began: float, ended: float) -> str:
    """Return a line for each request of a command, with the seconds since it began, and how long none was under way."""
    lines = []
    busy, free_since = 0.0, began
    for number, each in enumerate(sorted(requests, key=lambda request: request.began), 1):
        busy += max(each.ended - max(each.began, free_since), 0.0)
        free_since = max(free_since, each.ended)
        times = f"{each.began - began:7.3f} {each.ended - began:7.3f} {(each.ended - each.began) * 1000:6.0f} ms"
        lines.append(f"{number:4} {times} {each.sent:9} {each.received:9} c{each.connection:<3} {each.what}")
    lines.append(f"{len(requests)} requests; {ended - began:.3f} s, of which {ended - began - busy:.3f} s with none under way")
    return "\n".join(lines)


def filling(taken: Sequence[tuple[float, float]], began: float, ended: float) -> str:
    """Return how full one way of a line was: a digit for each tenth of a second, of tenths of it; ten seconds a line."""
    digits = []
    for step in range(math.ceil((ended - began) / STEP_SECONDS)):
        start, stop = began + step * STEP_SECONDS, began + (step + 1) * STEP_SECONDS
        busy = sum(max(min(last, stop) - max(first, start), 0) for first, last in taken)
        digits.append("." if not busy else str(min(int(10 * busy / STEP_SECONDS), 9)))
    total = sum(max(min(last, ended) - max(first, began), 0) for first, last in taken)
    rows = ["".join(digits[row : row + STEPS_IN_ROW]) for row in range(0, len(digits), STEPS_IN_ROW)]
    return "\n".join([*rows, f"in use for {total:.3f} s"])
