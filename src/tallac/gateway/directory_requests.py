"""GET, HEAD and POST of directories."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.responses import Response

from tallac.caps import Cap, parse_lenient
from tallac.errors import RequestError
from tallac.gateway.answers import cap_answer, done_answer, text_answer
from tallac.gateway.arguments import Replace
from tallac.gateway.changing import make_filled_directory, relink, set_children, unlink
from tallac.gateway.children import NewEntry, new_entry, new_entry_from_texts
from tallac.gateway.deep_requests import STARTS, STREAMS, answer_stream, start_operation
from tallac.gateway.exchange import Exchange
from tallac.gateway.file_requests import etag_of, is_known
from tallac.gateway.listings import json_listing, page_listing
from tallac.gateway.names import name_from_text
from tallac.gateway.nodes import Node, find_node, require_directory
from tallac.gateway.pages import info_page
from tallac.gateway.storing import store_directory

_FIXED = ("", "json", "uri", "readonly-uri")

PostAnswer = Callable[[Exchange, Node], Awaitable[Response]]


async def answer_directory_get(exchange: Exchange, node: Node) -> Response:
    """Answer a GET or HEAD of a directory.

    Raises:
        RequestError: The request is malformed, or its operation is not supported.
    """
    operation = exchange.arguments.operation
    etag = etag_of(node, operation) if operation in _FIXED else None
    if etag is not None and is_known(exchange, etag):
        return Response(b"", 304, headers={"etag": etag})
    answer = await _shown(exchange, node, operation)
    if etag is not None:
        answer.headers["etag"] = etag
    return answer


async def _shown(exchange: Exchange, node: Node, operation: str) -> Response:
    if operation == "":
        return await page_listing(exchange, node)
    if operation == "json":
        return await json_listing(exchange, node)
    if operation == "uri":
        return text_answer(node.cap.danger_whole_text())
    if operation == "readonly-uri":
        return text_answer(require_directory(node.cap).danger_whole_text())
    if operation == "info":
        return info_page(node)
    raise RequestError(f"GET directory: bad t={operation[:40]!r}")


async def answer_directory_post(exchange: Exchange, node: Node) -> Response:
    """Answer a POST to an existing directory.

    Raises:
        RequestError: The request is malformed, or its operation is not supported.
    """
    operation = exchange.arguments.operation
    if operation in STREAMS:
        return await answer_stream(exchange, node)
    if operation in STARTS:
        return await start_operation(exchange, node)
    answer = _POSTS.get(operation)
    if answer is None:
        raise RequestError(f"POST to a directory with bad t={operation[:40]}")
    return await answer(exchange, node)


async def _mkdir(exchange: Exchange, node: Node) -> Response:
    name = exchange.arguments.get("name")
    if not name:
        return cap_answer(node.cap)
    mutable_format, replace = exchange.arguments.directory_format(), exchange.arguments.replace()
    made = await exchange.write(lambda grid: grid.create_directory(mutable_format))
    return await _enter(exchange, node, new_entry(name_from_text(name), made), made, replace)


async def _mkdir_with_children(exchange: Exchange, node: Node) -> Response:
    name = exchange.arguments.get("name")
    if not name:
        return cap_answer(node.cap)
    children, mutable_format = await exchange.children(), exchange.arguments.directory_format()
    made = await exchange.write(lambda grid: make_filled_directory(grid, children, mutable_format))
    return await _enter(exchange, node, new_entry(name_from_text(name), made), made, Replace.NEVER)


async def _mkdir_immutable(exchange: Exchange, node: Node) -> Response:
    name = exchange.arguments.get("name")
    if not name:
        return cap_answer(node.cap)
    children = await exchange.children()
    made = await exchange.write(lambda grid: store_directory(grid, children))
    return await _enter(exchange, node, new_entry(name_from_text(name), made), made, Replace.NEVER)


async def _enter(exchange: Exchange, node: Node, child: NewEntry, made: Cap, replace: Replace) -> Response:
    await exchange.write(lambda grid: set_children(grid, node.cap, [child], replace, exchange.now))
    return cap_answer(made)


async def _set_uri(exchange: Exchange, node: Node) -> Response:
    arguments = exchange.arguments
    text, name, replace = arguments.require("uri"), name_from_text(arguments.require("name")), arguments.replace()
    await _set(exchange, node, [new_entry_from_texts(name, text, None)], replace)
    return done_answer(text)


async def _set_children(exchange: Exchange, node: Node) -> Response:
    await _set(exchange, node, await exchange.children(), exchange.arguments.replace())
    return done_answer("Okay so I did it.")


async def _set(exchange: Exchange, node: Node, children: Sequence[NewEntry], replace: Replace) -> None:
    await exchange.write(lambda grid: set_children(grid, node.cap, children, replace, exchange.now))


async def _unlink(exchange: Exchange, node: Node) -> Response:
    name = name_from_text(exchange.arguments.require("name"))
    await exchange.write(lambda grid: unlink(grid, node.cap, name))
    return done_answer("thing unlinked")


async def _rename(exchange: Exchange, node: Node) -> Response:
    if exchange.arguments.get("to_dir") is not None:
        raise RequestError("to_dir= is not valid for rename")
    exchange.arguments.require("to_name")
    return await _relink(exchange, node)


async def _relink(exchange: Exchange, node: Node) -> Response:
    arguments = exchange.arguments
    old_text = arguments.require("from_name").strip()
    new_text = (arguments.get("to_name") or old_text).strip()
    if "/" in old_text or "/" in new_text:
        raise RequestError("from_name= and to_name= may not contain a slash")
    old, new, replace = name_from_text(old_text), name_from_text(new_text), arguments.replace()
    root, *path = (arguments.get("to_dir") or node.cap.danger_whole_text()).strip().split("/")
    target = parse_lenient(root)
    if not Node(target).is_directory:
        raise RequestError("to_dir is not a directory")

    await exchange.write(lambda grid: relink(grid, node.cap, old, find_node(grid, target, path).cap, new, replace, exchange.now))
    return done_answer("thing moved")


_POSTS: dict[str, PostAnswer] = {
    "mkdir": _mkdir,
    "mkdir-with-children": _mkdir_with_children,
    "mkdir-immutable": _mkdir_immutable,
    "uri": _set_uri,
    "delete": _unlink,
    "unlink": _unlink,
    "rename": _rename,
    "relink": _relink,
    "set_children": _set_children,
    "set-children": _set_children,
}
