from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterable
from io import BytesIO

import pytest
from starlette.types import Message

from tallac.errors import StoreUnavailableError
from tallac.gateway.application import LARGE_BODIES_MAX, Gateway
from tallac.gateway.bodies import StoppableContent
from tallac.gateway.exchange import LargeBodies
from tallac.gateway.grid_pool import GridPool
from tallac.interfaces import Grid
from tallac.testing.memory_grid import MemoryGrid

ENDING_SECONDS_MAX = 20
"""Far less than the work below would take, which is for ever."""


def test_an_endless_upload_ends_with_the_gateway() -> None:
    """A call that stores something asks before each step, so that closing waits for one step, not for all of them."""
    begun = threading.Event()

    class Endless(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            begun.set()
            return bytes(size or 1)

    pool = GridPool(MemoryGrid)
    content = StoppableContent(Endless(), pool.require_open)

    def store(_grid: Grid) -> None:
        while content.readinto(memoryview(bytearray(1000))):
            pass

    future, queued = pool.writing().submit(store), pool.writing().submit(lambda _grid: time.sleep(0))
    assert begun.wait(ENDING_SECONDS_MAX)
    pool.close()
    with pytest.raises(StoreUnavailableError, match="told to end"):
        future.result(ENDING_SECONDS_MAX)
    assert queued.done()


def test_what_waits_is_dropped() -> None:
    """Calls that have not begun when the gateway ends are not carried out."""
    pool, begun = GridPool(MemoryGrid), threading.Event()
    ran: list[Grid] = []

    def wait(_grid: Grid) -> None:
        begun.set()
        while True:
            pool.require_open()

    worker = pool.walking()
    first, second = worker.submit(wait), worker.submit(ran.append)
    assert begun.wait(ENDING_SECONDS_MAX)
    pool.close()
    for future in (first, second):
        with pytest.raises(StoreUnavailableError):
            future.result(ENDING_SECONDS_MAX)
    assert ran == []


@pytest.mark.slow
def test_few_large_lists_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many clients that send large lists of children at once, a few are served at a time, and all in the end."""
    running, most = 0, 0
    real = LargeBodies.enter

    async def enter(self: LargeBodies) -> None:
        nonlocal running, most
        await real(self)
        running += 1
        most = max(most, running)
        self._until_answered.callback(leave)

    def leave() -> None:
        nonlocal running
        running -= 1

    monkeypatch.setattr(LargeBodies, "enter", enter)
    body = json.dumps({f"{number:06}": ["filenode", {"ro_uri": "URI:LIT:"}] for number in range(30_000)}).encode()
    grid = MemoryGrid()
    pool = GridPool(lambda: grid)

    async def ask_all() -> list[int]:
        gateway = Gateway(pool)
        return await asyncio.gather(*(_post(gateway, "t=mkdir-immutable", [body[:1000], body[1000:]]) for _ in range(8)))

    try:
        assert asyncio.run(ask_all()) == [200] * 8
    finally:
        pool.close()
    assert 1 <= most <= LARGE_BODIES_MAX


async def _post(gateway: Gateway, query: str, parts: Iterable[bytes]) -> int:
    """Post a body to `/uri`, and return the status of the answer."""
    sent = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages = iter([*sent, {"type": "http.request", "body": b"", "more_body": False}])
    answered: list[Message] = []

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/uri", "raw_path": b"/uri", "query_string": query.encode(), "headers": []}
    await gateway(scope, receive, send)
    status = answered[0]["status"]
    assert isinstance(status, int)
    return status
