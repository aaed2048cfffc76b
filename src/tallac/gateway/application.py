"""The gateway as an ASGI application: routes, and what becomes of errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tallac.errors import TallacError
from tallac.gateway.answers import error_answer, text_answer
from tallac.gateway.arguments import Arguments, parse_query
from tallac.gateway.cap_requests import answer_cap, answer_file
from tallac.gateway.deep_requests import answer_operation
from tallac.gateway.edge_metadata import Now, system_now
from tallac.gateway.exchange import Exchange
from tallac.gateway.forms import read_form
from tallac.gateway.guard import METHODS
from tallac.gateway.lanes import Lanes
from tallac.gateway.names import path_from_raw
from tallac.gateway.operations import Operations
from tallac.gateway.pages import welcome_page
from tallac.gateway.unlinked_requests import answer_unlinked

Answer = Callable[[Exchange], Awaitable[Response]]

_logger = logging.getLogger("tallac.gateway")


class Gateway:
    """Answers requests over a grid.

    Attributes:
        lanes: Where the grid is used.
        application: What a server calls.
    """

    def __init__(self, lanes: Lanes, now: Now = system_now) -> None:
        """Answer by way of some lanes, which the caller closes."""
        self.lanes = lanes
        self._operations = Operations()
        self._now = now
        routes = [
            ("/", self._welcome),
            ("/uri", self._endpoint(1, self._uri)),
            ("/uri/{rest:path}", self._endpoint(1, self._uri)),
            ("/cap", self._endpoint(1, self._uri)),
            ("/cap/{rest:path}", self._endpoint(1, self._uri)),
            ("/file/{rest:path}", self._endpoint(1, answer_file)),
            ("/named/{rest:path}", self._endpoint(1, answer_file)),
            ("/operations/{rest:path}", self._endpoint(1, answer_operation)),
        ]
        self.application = Starlette(routes=[Route(path, endpoint, methods=list(METHODS)) for path, endpoint in routes])
        self.application.router.redirect_slashes = False

    def close(self) -> None:
        """End the operations that clients have started."""
        self._operations.close()

    async def _uri(self, exchange: Exchange) -> Response:
        return await (answer_cap(exchange) if exchange.segments else answer_unlinked(exchange))

    async def _welcome(self, _request: Request) -> Response:
        return welcome_page()

    def _endpoint(self, depth: int, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Give what Starlette calls for a route whose first `depth` segments are fixed."""

        async def endpoint(request: Request) -> Response:
            try:
                return await self._answered(request, depth, answer)
            except TallacError as error:
                return error_answer(error)
            except Exception as error:
                # Neither the client nor the log is told more: it could hold a cap.
                _logger.debug("unexpected error", exc_info=True)
                _logger.error("unexpected %s in an answer to %s", type(error).__name__, request.method)  # noqa: TRY400
                return text_answer(f"unexpected {type(error).__name__}\n", 500)

        return endpoint

    async def _answered(self, request: Request, depth: int, answer: Answer) -> Response:
        segments = path_from_raw(request.scope["raw_path"])[depth:]
        query = parse_query(request.scope["query_string"])
        form = await read_form(request) if request.method == "POST" else None
        try:
            arguments = Arguments(query, form.fields if form is not None else None)
            exchange = Exchange(request, arguments, segments, form, self.lanes, self._operations, self._now)
            return await answer(exchange)
        finally:
            if form is not None:
                form.close()
