from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from starlette.requests import Request

from tallac.gateway.arguments import Arguments
from tallac.gateway.bodies import Spool
from tallac.gateway.exchange import Exchange, LargeBodies
from tallac.gateway.grid_pool import GridPool
from tallac.gateway.operations import Operations
from tallac.gateway.storing import store_unlinked
from tallac.testing.memory_grid import MemoryGrid


def test_what_a_prune_has_taken_is_stored_once_more() -> None:
    """Where a prune takes over while an upload is stored, it is stored again from its beginning, and the client notices nothing."""
    grid = MemoryGrid()
    grid.fences = 1
    pool = GridPool(lambda: grid)
    gate = LargeBodies(asyncio.Semaphore(), AsyncExitStack())
    request = Request({"type": "http", "headers": []})
    exchange = Exchange(request, Arguments({}), [], False, None, pool, Operations(), lambda: 1.0, gate)

    async def upload() -> bytes:
        spool = Spool()
        await spool.write(b"x" * 100)
        await spool.finish()
        cap = await exchange.store(spool, lambda grid, content: store_unlinked(grid, content, None))
        spool.close()
        return cap.danger_whole_text().encode()

    try:
        assert asyncio.run(upload()).endswith(b":100")
    finally:
        pool.close()
    assert grid.fences == 0
