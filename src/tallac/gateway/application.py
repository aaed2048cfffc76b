"""The gateway as an ASGI application: routes requests by the first segment of their path, and turns errors into answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tallac.errors import RequestError, TallacError
from tallac.gateway.answers import error_answer, text_answer
from tallac.gateway.arguments import Arguments, parse_query
from tallac.gateway.cap_requests import answer_cap, answer_file
from tallac.gateway.deep_requests import answer_operation
from tallac.gateway.described import json_text
from tallac.gateway.edge_metadata import Now, system_now
from tallac.gateway.exchange import Exchange, LargeBodies
from tallac.gateway.forms import read_form
from tallac.gateway.grid_pool import GridPool
from tallac.gateway.guard import SAFE_METHODS
from tallac.gateway.metrics import Metrics
from tallac.gateway.names import path_from_raw
from tallac.gateway.operations import Operations
from tallac.gateway.pages import welcome_page
from tallac.gateway.unlinked_requests import answer_unlinked

LARGE_BODIES_MAX = 2
"""Lists of children of more than 1 MiB that are parsed and stored at a time. One of 64 MiB takes a gigabyte of memory."""

_logger = logging.getLogger("tallac.gateway")


class Gateway:
    """An ASGI application that answers requests over a grid.

    Attributes:
        pool: Runs all calls of the grid; the caller closes it.
    """

    def __init__(self, pool: GridPool, now: Now = system_now, *, metrics: Metrics | None = None) -> None:
        """Answer requests with the workers of a pool, and for numbers if there are any; now is replaced in tests."""
        self.pool = pool
        self._metrics = metrics
        self._operations = Operations()
        self._large_bodies = asyncio.Semaphore(LARGE_BODIES_MAX)
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI calls an application."""
        request = Request(scope, receive)
        try:
            answer = await self._answered(request)
        except TallacError as error:
            answer = error_answer(error)
        except Exception as error:
            # Neither the client nor the log gets more: the message could hold a cap.
            _logger.debug("unexpected error", exc_info=True)
            _logger.error("unexpected %s in an answer to %s", type(error).__name__, request.method)  # noqa: TRY400
            answer = text_answer(f"unexpected {type(error).__name__}", 500)
        await answer(scope, receive, send)

    def close(self) -> None:
        """Cancel the operations that clients have started."""
        self._operations.close()

    async def _answered(self, request: Request) -> Response:
        raw_path: bytes = request.scope["raw_path"]
        path = path_from_raw(raw_path) or [""]
        if path == ["metrics"] and self._metrics is not None:
            return await self._metrics.answer(request.method)
        head, *segments = path
        answer = answer_unlinked if path in _WITHOUT_CAP else _ROUTES.get(head)
        if answer is None:
            raise RequestError("No Such Resource", 404)
        query = parse_query(request.scope["query_string"])
        form = await read_form(request) if request.method == "POST" else None
        async with AsyncExitStack() as until_answered:
            if form is not None:
                until_answered.callback(form.close)
            arguments = Arguments(query, form.fields if form is not None else None)
            gate = LargeBodies(self._large_bodies, until_answered)
            has_slash = raw_path.endswith(b"/")
            return await answer(
                Exchange(request, arguments, segments, has_slash, form, self.pool, self._operations, self._now, gate)
            )


async def _welcome(exchange: Exchange) -> Response:
    if exchange.request.method not in SAFE_METHODS:
        raise RequestError("nothing can be sent here; see /uri", 405)
    if exchange.arguments.operation == "json":
        # What clients ask a node for, to know whether it is connected. This gateway has no servers of its own.
        return Response(json_text({"introducers": {"statuses": []}, "servers": []}), media_type="application/json")
    return welcome_page()


_WITHOUT_CAP = (["uri"], ["cap"])
_ROUTES: dict[str, Callable[[Exchange], Awaitable[Response]]] = {
    "": _welcome,
    "uri": answer_cap,
    "cap": answer_cap,
    "file": answer_file,
    "named": answer_file,
    "operations": answer_operation,
}
"""The handler of each first segment of a path."""
