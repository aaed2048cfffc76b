"""The gateway as an ASGI application: which request is whose, and what becomes of errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tallac.errors import RequestError, TallacError
from tallac.gateway.answers import error_answer, text_answer
from tallac.gateway.arguments import Arguments, parse_query
from tallac.gateway.cap_requests import answer_cap, answer_file
from tallac.gateway.deep_requests import answer_operation
from tallac.gateway.edge_metadata import Now, system_now
from tallac.gateway.exchange import Exchange
from tallac.gateway.forms import read_form
from tallac.gateway.guard import SAFE_METHODS
from tallac.gateway.lanes import Lanes
from tallac.gateway.names import path_from_raw
from tallac.gateway.operations import Operations
from tallac.gateway.pages import welcome_page
from tallac.gateway.unlinked_requests import answer_unlinked

_logger = logging.getLogger("tallac.gateway")


class Gateway:
    """Answers requests over a grid; a server calls it.

    Attributes:
        lanes: Where the grid is used; the caller closes them.
    """

    def __init__(self, lanes: Lanes, now: Now = system_now) -> None:
        """Answer by way of some lanes."""
        self.lanes = lanes
        self._operations = Operations()
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        request = Request(scope, receive)
        try:
            answer = await self._answered(request)
        except TallacError as error:
            answer = error_answer(error)
        except Exception as error:
            # Neither the client nor the log is told more: it could hold a cap.
            _logger.debug("unexpected error", exc_info=True)
            _logger.error("unexpected %s in an answer to %s", type(error).__name__, request.method)  # noqa: TRY400
            answer = text_answer(f"unexpected {type(error).__name__}", 500)
        await answer(scope, receive, send)

    def close(self) -> None:
        """End the operations that clients have started."""
        self._operations.close()

    async def _answered(self, request: Request) -> Response:
        head, *segments = path_from_raw(request.scope["raw_path"]) or [""]
        answer = _ROUTES.get(head)
        if answer is None:
            raise RequestError("No Such Resource", 404)
        query = parse_query(request.scope["query_string"])
        form = await read_form(request) if request.method == "POST" else None
        try:
            arguments = Arguments(query, form.fields if form is not None else None)
            return await answer(Exchange(request, arguments, segments, form, self.lanes, self._operations, self._now))
        finally:
            if form is not None:
                form.close()


async def _welcome(exchange: Exchange) -> Response:
    if exchange.request.method not in SAFE_METHODS:
        raise RequestError("nothing can be sent here; see /uri", 405)
    return welcome_page()


async def _answer_uri(exchange: Exchange) -> Response:
    return await (answer_cap(exchange) if exchange.segments else answer_unlinked(exchange))


_ROUTES: dict[str, Callable[[Exchange], Awaitable[Response]]] = {
    "": _welcome,
    "uri": _answer_uri,
    "cap": _answer_uri,
    "file": answer_file,
    "named": answer_file,
    "operations": answer_operation,
}
"""Who answers, by the first part of the path."""
