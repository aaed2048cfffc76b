"""Directories as JSON and as pages, written while they are read: a million entries take no more memory than a few."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

from starlette.responses import Response, StreamingResponse

from tallac.caps import DirectoryWriteCap
from tallac.dag import Entry
from tallac.gateway.described import cap_texts, describe
from tallac.gateway.exchange import Exchange
from tallac.gateway.lanes import Lane
from tallac.gateway.literal_directories import read_directory
from tallac.gateway.names import name_to_text
from tallac.gateway.nodes import Node, entries_of, node_of_entry, require_directory
from tallac.gateway.pages import PAGE_POLICY, directory_frame, directory_row
from tallac.interfaces import Grid

STEP_LENGTH = 500
"""Entries that are read and written before a lane serves somebody else."""

Row = Callable[[Node], str]


async def json_listing(exchange: Exchange, node: Node) -> Response:
    """Say what a directory is and holds, as JSON; it comes as plain text from a node."""
    facts = json.dumps({"mutable": node.is_mutable} | cap_texts(node))
    before = f'["dirnode", {facts[:-1]}, "children": {{'

    def row(child: Node) -> str:
        return f"{json.dumps(name_to_text(child.name or b''))}: {json.dumps(describe(child, is_listed=True))}"

    steps = await _begun(exchange, node, before, row, ",\n", "}}]\n")
    return StreamingResponse(steps, media_type="text/plain")


async def page_listing(exchange: Exchange, node: Node) -> Response:
    """Show what a directory holds, as a page with links."""
    before, after = directory_frame(node)
    steps = await _begun(exchange, node, before, lambda child: directory_row(node, child), "\n", after)
    return StreamingResponse(steps, media_type="text/html", headers={"content-security-policy": PAGE_POLICY})


async def _begun(exchange: Exchange, node: Node, before: str, row: Row, between: str, after: str) -> AsyncIterator[bytes]:
    """Read the beginning, so that what is lost is noticed before the answer begins, and give the whole step by step."""
    lane = exchange.lanes.reading()
    entries, first = await lane.run(lambda grid: _open(grid, node))
    return _steps(lane, node, entries, first, before, row, between, after)


async def _steps(
    lane: Lane, node: Node, entries: Iterator[Entry], step: list[Entry], before: str, row: Row, between: str, after: str
) -> AsyncIterator[bytes]:
    text = before
    while step:
        # Names and caps are ASCII or escaped; a page says its encoding.
        yield (text + between.join(row(node_of_entry(entry, node.cap)) for entry in step)).encode()
        text = between
        step = await lane.run(lambda _grid: list(islice(entries, STEP_LENGTH)))
        if not step:
            text = ""
    yield (text + after).encode()


def _open(grid: Grid, node: Node) -> tuple[Iterator[Entry], list[Entry]]:
    if isinstance(node.cap, DirectoryWriteCap):
        entries = iter(entries_of(grid, node.cap))
    else:
        entries = iter(read_directory(grid, require_directory(node.cap)))
    return entries, list(islice(entries, STEP_LENGTH))
