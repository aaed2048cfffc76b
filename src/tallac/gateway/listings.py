"""Directories as JSON and as HTML, written while they are read: a million entries take no more memory than a few."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

from starlette.responses import Response, StreamingResponse

from tallac.caps import DirectoryWriteCap
from tallac.dag import Entry
from tallac.gateway.described import cap_texts, describe
from tallac.gateway.exchange import Exchange
from tallac.gateway.grid_pool import GridWorker
from tallac.gateway.names import name_to_text
from tallac.gateway.nodes import Node, entries_of, node_of_entry, require_directory
from tallac.gateway.pages import PAGE_POLICY, directory_page_parts, directory_row
from tallac.interfaces import Grid

STEP_LENGTH = 500
"""Entries that are read in one call of a worker, which serves others between two calls."""

Row = Callable[[Node], str]


async def json_listing(exchange: Exchange, node: Node) -> Response:
    """Return a directory and its entries as JSON; its media type is plain text, as a node sends it."""
    facts = json.dumps({"mutable": node.is_mutable} | cap_texts(node))
    before = f'["dirnode", {facts[:-1]}, "children": {{'

    def row(child: Node) -> str:
        return f"{json.dumps(name_to_text(child.name or b''))}: {json.dumps(describe(child, is_listed=True))}"

    steps = await _begun(exchange, node, before, row, ",\n", "}}]\n")
    return StreamingResponse(steps, media_type="text/plain")


async def page_listing(exchange: Exchange, node: Node) -> Response:
    """Return the entries of a directory as an HTML page with links."""
    before, after = directory_page_parts(node)
    steps = await _begun(exchange, node, before, lambda child: directory_row(node, child), "\n", after)
    return StreamingResponse(steps, media_type="text/html", headers={"content-security-policy": PAGE_POLICY})


async def _begun(exchange: Exchange, node: Node, before: str, row: Row, between: str, after: str) -> AsyncIterator[bytes]:
    """Read the first entries, so that damage is found before the answer begins, and return the body as a stream."""
    worker = exchange.pool.reading()
    entries, first = await worker.run(lambda grid: _open(grid, node))
    return _steps(worker, node, entries, first, before, row, between, after)


async def _steps(
    worker: GridWorker, node: Node, entries: Iterator[Entry], step: list[Entry], before: str, row: Row, between: str, after: str
) -> AsyncIterator[bytes]:
    text = before
    while step:
        # Names and caps are ASCII or escaped; a page declares its encoding.
        yield (text + between.join(row(node_of_entry(entry, node.cap)) for entry in step)).encode()
        text = between
        step = await worker.run(lambda _grid: list(islice(entries, STEP_LENGTH)))
        if not step:
            text = ""
    yield (text + after).encode()


def _open(grid: Grid, node: Node) -> tuple[Iterator[Entry], list[Entry]]:
    if isinstance(node.cap, DirectoryWriteCap):
        entries = iter(entries_of(grid, node.cap))
    else:
        entries = iter(grid.read_directory(require_directory(node.cap)))
    return entries, list(islice(entries, STEP_LENGTH))
