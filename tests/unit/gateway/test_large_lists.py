"""Lists of children that many send at once take memory two at a time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import MutableMapping
from typing import Any

import pytest

from tallac.gateway.application import LARGE_BODIES_MAX, Gateway
from tallac.gateway.bodies import IN_MEMORY_SIZE_MAX
from tallac.gateway.grid_pool import WRITING_WORKERS, GridPool
from tallac.interfaces import Grid
from tallac.testing.memory_grid import MemoryGrid

CHILD = ["filenode", {"ro_uri": "URI:LIT:krugkidfnzsc4"}]
BODY = json.dumps({f"name-{number:07}": CHILD for number in range(16_000)}).encode()
CLIENTS = 6


async def ask(gateway: Gateway) -> int:
    """Send a list of children, and return the status of the answer."""
    statuses: list[int] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/uri",
        "raw_path": b"/uri",
        "query_string": b"t=mkdir-with-children",
        "headers": [(b"content-length", str(len(BODY)).encode())],
    }
    await gateway(scope, receive, send)
    return statuses[0]


@pytest.mark.slow
def test_two_large_lists_are_worked_at_a_time() -> None:
    """While two wait for a slow store, the others wait before they are parsed, and each is answered in the end."""
    assert len(BODY) > IN_MEMORY_SIZE_MAX
    may_go_on = threading.Event()

    async def all_at_once() -> list[int]:
        loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

        def open_slowly() -> Grid:
            loop.call_soon_threadsafe(has_begun.set)
            may_go_on.wait()
            return MemoryGrid()

        pool = GridPool(open_slowly)
        try:
            gateway = Gateway(pool)
            asking = [asyncio.create_task(ask(gateway)) for _ in range(CLIENTS)]
            await has_begun.wait()
            # Long enough for the others to be parsed, if they were let in.
            await asyncio.sleep(1)
            assert pool.writing().waiting == LARGE_BODIES_MAX // WRITING_WORKERS
            may_go_on.set()
            return list(await asyncio.gather(*asking))
        finally:
            may_go_on.set()
            pool.close()

    assert asyncio.run(all_at_once()) == [200] * CLIENTS
