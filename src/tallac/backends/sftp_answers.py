"""Requests that are on their way at the same time, and the answers to them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Coroutine, Iterable
from typing import Any

SERVER_FAILED = getattr(errno, "EREMOTEIO", errno.EPROTO)
"""OpenSSH's server says `Failure` to all that is neither a missing name nor a missing right."""

UNSUPPORTED = errno.EPROTO

WINDOW_SIZE = 4 << 20
"""So many bytes of one file may be on their way: a line of 100 ms is filled up to 40 MB a second."""


async def together(*requests: Coroutine[Any, Any, Any]) -> list[Any]:
    """Send requests in this order, each without waiting for the others, and return all answers, or the errors in their places."""
    return await asyncio.gather(*requests, return_exceptions=True)


def raise_first(answers: Iterable[object]) -> None:
    """Raise the first error among answers, if there is one."""
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
