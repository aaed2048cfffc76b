"""Numbers for monitoring, at /metrics, where whoever runs the gateway has asked for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.responses import Response

from tallac.errors import RequestError
from tallac.gateway.guard import SAFE_METHODS

FRESH_SECONDS = 60.0
"""So long an answer is given again: to make one anew takes reading vaults."""

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Metrics:
    """Answers with what a function returns, which runs in a thread of its own and once at a time."""

    def __init__(self, read: Callable[[], str], now: Callable[[], float] = time.monotonic) -> None:
        """Take the function, and a clock in seconds."""
        self._read = read
        self._now = now
        self._lock = asyncio.Lock()
        self._text = ""
        self._read_at: float | None = None

    async def answer(self, method: str) -> Response:
        """Answer a request.

        Raises:
            RequestError: Something is to be changed.
            TallacError: They can't be read.
        """
        if method not in SAFE_METHODS:
            raise RequestError("numbers are only to be read", 405)
        async with self._lock:
            if self._read_at is None or self._now() - self._read_at > FRESH_SECONDS:
                self._text = await asyncio.to_thread(self._read)
                self._read_at = self._now()
        return Response(self._text, media_type=CONTENT_TYPE)
