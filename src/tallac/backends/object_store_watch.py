"""Waits for a request with a large body as long as its store lives, however long the body takes.

The library tells nothing of a body on its way. So the store is asked something small now and then, over another connection. That a
single connection is dead, the system notices, and the library says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tallac.backends.silence import Hearing, give_up, while_heard

_LOOKS = 4
"""So many times in the time that a silence may last a store is asked at least."""

LOOK_SECONDS = 5.0
"""And so often where that is more often: a wait is mentioned soon. A body that is through before the first one costs none."""

LOOK_FIRST_SECONDS = 2.0
"""The first one comes sooner: most bodies are through in seconds."""

T = TypeVar("T")


async def while_it_lives(
    request: Coroutine[Any, Any, T],
    is_alive: Callable[[], Coroutine[Any, Any, bool]],
    *,
    silence_seconds: float,
    seconds_max: float,
) -> T:
    """Return the answer to a request. One that is given up is sent no further.

    Args:
        request: Sends the body.
        is_alive: Asks the store something small, and says whether it answers. Errors of the request's own are not its business.
        silence_seconds: How long none of these may be answered.
        seconds_max: How long all of it may take though the store lives, which may have forgotten this request.

    Raises:
        TimeoutError: The store is silent, or it took too long.
        What the request raises.
    """
    hearing = Hearing(silence_seconds)
    asking = asyncio.ensure_future(_ask_again_and_again(is_alive, hearing))
    try:
        return await asyncio.wait_for(while_heard(request, hearing), seconds_max)
    finally:
        await give_up((asking,))


async def _ask_again_and_again(is_alive: Callable[[], Coroutine[Any, Any, bool]], hearing: Hearing) -> None:
    asked: list[asyncio.Task[None]] = []

    async def ask() -> None:
        if await is_alive():
            hearing.note()

    pause = min(hearing.seconds / _LOOKS, LOOK_FIRST_SECONDS)
    try:
        while True:
            await asyncio.sleep(pause)
            pause = min(hearing.seconds / _LOOKS, LOOK_SECONDS)
            # Also while an earlier one is under way: it may have been lost.
            asked.append(asyncio.ensure_future(ask()))
    finally:
        await give_up(asked)
