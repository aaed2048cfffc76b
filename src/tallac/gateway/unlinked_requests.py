"""Requests on `/uri` itself: store what nothing links to yet."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.responses import Response

from tallac.caps import Cap, UnknownCap
from tallac.errors import MalformedCapError, RequestError
from tallac.gateway.answers import cap_answer, redirect_answer
from tallac.gateway.arguments import parse_query
from tallac.gateway.bodies import spool_body
from tallac.gateway.changing import make_filled_directory
from tallac.gateway.exchange import Exchange
from tallac.gateway.nodes import cap_of_text
from tallac.gateway.pages import uploaded_page
from tallac.gateway.storing import store_directory, store_unlinked

_USES = "/uri accepts only PUT, PUT?t=mkdir, POST?t=upload, POST?t=mkdir, POST?t=mkdir-with-children and POST?t=mkdir-immutable"


async def answer_unlinked(exchange: Exchange) -> Response:
    """Answer a request on `/uri`.

    Raises:
        RequestError: The request is malformed, or its operation is not supported.
    """
    method = exchange.request.method
    if method == "PUT":
        return await _put(exchange)
    if method == "POST":
        return await _post(exchange)
    if method in ("GET", "HEAD"):
        return _get(exchange)
    raise RequestError(_USES)


def _get(exchange: Exchange) -> Response:
    text = exchange.arguments.get("uri")
    if text is None:
        raise RequestError("GET /uri requires uri=")
    try:
        cap = cap_of_text(text)
    except MalformedCapError as error:
        raise RequestError(str(error)) from None
    if isinstance(cap, UnknownCap):
        raise RequestError("Invalid capability")
    query = {name: value for name, value in parse_query(exchange.request.scope["query_string"]).items() if name != "uri"}
    base = exchange.request.base_url
    rest = f"?{urlencode(query)}" if query else ""
    return redirect_answer(f"{base.scheme}://{base.netloc}/uri/{quote(text, safe='')}{rest}")


async def _put(exchange: Exchange) -> Response:
    operation, arguments = exchange.arguments.operation, exchange.arguments
    if operation == "":
        mutable_format = arguments.mutable_format()
        spool = await spool_body(exchange.request)
        try:
            return cap_answer(await exchange.store(spool, lambda grid, content: store_unlinked(grid, content, mutable_format)))
        finally:
            spool.close()
    if operation == "mkdir":
        directory_format = arguments.directory_format()
        return cap_answer(await exchange.write(lambda grid: grid.create_directory(directory_format)))
    raise RequestError(_USES)


async def _post(exchange: Exchange) -> Response:
    operation, arguments = exchange.arguments.operation, exchange.arguments
    if operation in ("", "upload"):
        mutable_format, spool = arguments.mutable_format(), exchange.form_file()
        return _uploaded(exchange, await exchange.store(spool, lambda grid, content: store_unlinked(grid, content, mutable_format)))
    if operation == "mkdir":
        if not await exchange.is_empty():
            raise RequestError("t=mkdir does not accept children=, try t=mkdir-with-children instead")
        directory_format = arguments.directory_format()
        return _made(exchange, await exchange.write(lambda grid: grid.create_directory(directory_format)))
    if operation == "mkdir-with-children":
        children, directory_format = await exchange.children(), arguments.directory_format()
        return _made(exchange, await exchange.write(lambda grid: make_filled_directory(grid, children, directory_format)))
    if operation == "mkdir-immutable":
        children = await exchange.children()
        return _made(exchange, await exchange.write(lambda grid: store_directory(grid, children)))
    raise RequestError(_USES)


def _made(exchange: Exchange, cap: Cap) -> Response:
    if exchange.arguments.flag("redirect_to_result"):
        return redirect_answer(f"uri/{quote(cap.danger_whole_text(), safe='')}", 303)
    return cap_answer(cap)


def _uploaded(exchange: Exchange, cap: Cap) -> Response:
    when_done = exchange.arguments.get("when_done")
    if when_done:
        return redirect_answer(when_done.replace("%(uri)s", quote(cap.danger_whole_text(), safe="")))
    return uploaded_page(cap) if exchange.arguments.mutable_format() is None else cap_answer(cap)
