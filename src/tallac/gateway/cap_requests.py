"""`/uri/CAP/PATH` and `/file/CAP/NAME`: find the node, and call its handler."""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse

from tallac.caps import MutableFormat
from tallac.errors import DamageError, EntryNotFoundError, NotADirectoryCapError, RequestError
from tallac.gateway.answers import (
    cap_answer,
    done_answer,
    error_answer,
    error_text,
    json_answer,
    redirect_answer,
    status_of,
    text_answer,
)
from tallac.gateway.bodies import CAP_SIZE_MAX, read_body, spool_body
from tallac.gateway.checks import check_and_repair_node, check_node, is_stored
from tallac.gateway.deep_requests import output_of
from tallac.gateway.described import describe
from tallac.gateway.directory_requests import answer_directory_get, answer_directory_post
from tallac.gateway.exchange import Exchange
from tallac.gateway.file_requests import answer_file_get
from tallac.gateway.names import name_from_text, name_to_text
from tallac.gateway.nodes import Node, find_node
from tallac.gateway.pages import check_page, info_page
from tallac.gateway.putting import delete, post_file, put_cap, put_directory, put_file, put_immutable_directory

_NOT_CREATING = ("delete", "rename", "check")
_MAKING = ("mkdir", "mkdir-with-children", "mkdir-immutable")


async def answer_cap(exchange: Exchange) -> Response:
    """Answer a request on `/uri/CAP/PATH`.

    Raises:
        RequestError: The request is malformed, or its operation is not supported.
    """
    method = exchange.request.method
    if method in ("GET", "HEAD"):
        return await _get(exchange)
    root = Node(exchange.cap)
    if not exchange.path and not exchange.has_slash and not root.is_file and not root.is_directory:
        # A node knows no such methods where it knows the kind of a cap as little as where it is a verify cap.
        raise RequestError(f"{method} needs the read cap or the write cap of a file or directory", 405 if method == "POST" else 501)
    if method == "PUT":
        return await _put(exchange)
    if method == "DELETE":
        return cap_answer(await exchange.write(lambda grid: delete(grid, exchange.cap, exchange.path)))
    return _redirected(exchange, await _post(exchange))


async def answer_file(exchange: Exchange) -> Response:
    """Answer a request on `/file/CAP/NAME`; everything after the cap is only the file name that a browser saves under.

    Raises:
        RequestError: The request is malformed, or its operation is not supported.
    """
    if exchange.request.method not in ("GET", "HEAD"):
        raise RequestError("/file can only be used with GET or HEAD")
    if not exchange.segments:
        raise RequestError("/file must be followed by a file-cap and a name", 404)
    node = Node(exchange.cap)
    if not node.is_file:
        raise RequestError("this is not a file-cap")
    return await answer_file_get(exchange, node, exchange.path[-1] if exchange.path else None)


async def _get(exchange: Exchange) -> Response:
    node = await _found(exchange)
    try:
        return await _shown(exchange, node)
    except DamageError as error:
        if node.is_directory and exchange.arguments.operation == "json":
            return json_answer({"error": error_text(error, is_mutable=node.is_mutable)}, status_of(error))
        return error_answer(error, is_mutable=node.is_mutable)


async def _shown(exchange: Exchange, node: Node) -> Response:
    if node.is_file:
        return await answer_file_get(exchange, node, None if node.name is None else name_to_text(node.name))
    if node.is_directory:
        return await answer_directory_get(exchange, node)
    if exchange.arguments.operation == "json":
        return json_answer(describe(node))
    if exchange.arguments.operation == "info":
        return info_page(node)
    raise RequestError("GET unknown URI type: can only do t=info and t=json")


async def _found(exchange: Exchange) -> Node:
    node = await exchange.read(lambda grid: find_node(grid, exchange.cap, exchange.path))
    # To what comes before a slash, an empty name is one more below it.
    if exchange.has_slash and node.is_file:
        raise NotADirectoryCapError("Files have no children named ''")
    if exchange.has_slash and not node.is_directory:
        raise EntryNotFoundError("No such child: '', below a cap of an unknown kind")
    return node


async def _put(exchange: Exchange) -> Response:
    arguments, target, operation = exchange.arguments, exchange.target, exchange.arguments.operation
    if "content-range" in exchange.request.headers:
        raise RequestError("Content-Range in PUT not yet supported", 501)
    if operation == "":
        if exchange.has_slash:
            raise RequestError("PUT to a directory: the path ends in a slash")
        mutable_format, offset = arguments.mutable_format(), arguments.offset()
        spool = await spool_body(exchange.request)
        try:
            cap, is_new = await exchange.store(spool, lambda grid, content: put_file(grid, target, content, mutable_format, offset))
        finally:
            spool.close()
        return cap_answer(cap, 201 if is_new else 200)
    if operation == "uri":
        text = (await read_body(exchange.request, CAP_SIZE_MAX)).decode("utf-8", "replace")
        return done_answer(await exchange.write(lambda grid: put_cap(grid, target, text)))
    if operation == "mkdir":
        directory_format = arguments.directory_format()
        node = await exchange.write(lambda grid: put_directory(grid, target, directory_format))
        return text_answer(node.cap.danger_whole_text())
    raise RequestError(f"PUT: bad t={operation[:40]!r}")


async def _post(exchange: Exchange) -> Response:
    operation, arguments = exchange.arguments.operation, exchange.arguments
    if operation in _MAKING and not arguments.get("name"):
        return cap_answer((await _made(exchange, operation)).cap)
    if operation == "upload":
        return await _upload(exchange)
    try:
        node = await _found(exchange)
    except NotADirectoryCapError as error:
        # Most posts create the directories that a path needs.
        raise RequestError(str(error), 400 if operation in _NOT_CREATING else 409) from None
    if not node.is_file and not node.is_directory:
        raise RequestError("POST needs a file or a directory of a kind that is known here", 405)
    if operation == "check":
        return await _check(exchange, node)
    if node.is_directory:
        return await answer_directory_post(exchange, node)
    raise RequestError(f"POST to a file: bad t={operation[:40]}")


async def _made(exchange: Exchange, operation: str) -> Node:
    target = exchange.target
    children = [] if operation == "mkdir" else await exchange.children()
    if operation == "mkdir-immutable":
        return await exchange.write(lambda grid: put_immutable_directory(grid, target, children))
    directory_format: MutableFormat = exchange.arguments.directory_format()
    return await exchange.write(lambda grid: put_directory(grid, target, directory_format, children))


async def _upload(exchange: Exchange) -> Response:
    spool, target, mutable_format = exchange.form_file(), exchange.target, exchange.arguments.mutable_format()
    text = (exchange.arguments.get("name") or (exchange.form.filename if exchange.form else None) or "").strip()
    if "/" in text:
        raise RequestError("name= may not contain a slash")
    name = name_from_text(text) if text else None
    return cap_answer(await exchange.store(spool, lambda grid, content: post_file(grid, target, name, content, mutable_format)))


async def _check(exchange: Exchange, node: Node) -> Response:
    arguments = exchange.arguments
    verify, repair = arguments.flag("verify"), arguments.flag("repair")
    # A node renews leases here; nothing expires in a vault.
    arguments.flag("add-lease")
    output = output_of(exchange, "html", "json")
    look = check_and_repair_node if repair and is_stored(node) else check_node
    checked = await exchange.pool.walking().run(lambda grid: look(grid, node, verify=verify, stop=exchange.pool.require_open))
    return json_answer(checked) if output == "json" else check_page(checked)


def _redirected(exchange: Exchange, answer: Response) -> Response:
    when_done = exchange.arguments.get("when_done")
    # A stream is what its client waits for.
    is_done = answer.status_code < 300 and not isinstance(answer, StreamingResponse)
    return redirect_answer(when_done) if when_done and is_done else answer
