"""Whatever a client sends, a gateway answers with a status that is the client's to understand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given, settings, strategies as st
from starlette.types import Message, Scope
from tests.torture import scaled

from tallac.caps import LiteralFile, MutableDirectoryWrite, MutableFileRead
from tallac.dag import Entry
from tallac.gateway.application import Gateway
from tallac.gateway.grid_pool import GridPool
from tallac.interfaces import Grid
from tallac.testing.memory_grid import MemoryGrid

SHARDS = 20
REQUESTS_A_SHARD = 5_000


def _grid() -> Grid:
    """Make a grid with a directory whose cap is known, and a file in it."""
    grid = MemoryGrid()
    directory = grid.create_directory()
    grid.edit_directory(
        directory, lambda _entries: [Entry.of(b"a", LiteralFile(b"content")), Entry.of(b"sub", grid.create_directory())]
    )
    return grid


KNOWN = MutableDirectoryWrite(bytes(16), bytes(32))
CAPS = [
    KNOWN.danger_whole_text(),
    KNOWN.read_cap.danger_whole_text(),
    KNOWN.verify_cap.danger_whole_text(),
    MutableFileRead(bytes(16), bytes(32)).danger_whole_text(),
    "URI:LIT:mfra",
    "URI:DIR2-LIT:",
    "URI:CHK:" + "a" * 26 + ":" + "a" * 52 + ":1:1:100",
    "URI:DIR2-CHK:" + "a" * 26 + ":" + "a" * 52 + ":3:10:100",
    "ro.URI:NEW:x",
    "imm.x",
    "URI:CHK:x",
    "x",
]
NAMES = ["a", "sub", "new", "ä", "..", "x/y", "a\nb", "%", "tallac-name:%FF"]
ARGUMENTS = [
    "t",
    "name",
    "replace",
    "format",
    "mutable",
    "offset",
    "uri",
    "from_name",
    "to_name",
    "to_dir",
    "filename",
    "save",
    "output",
]
VALUES = [
    "json",
    "uri",
    "mkdir",
    "mkdir-immutable",
    "mkdir-with-children",
    "set_children",
    "unlink",
    "rename",
    "relink",
    "upload",
    "check",
]
MORE_VALUES = [
    "info",
    "readonly-uri",
    "start-manifest",
    "stream-manifest",
    "true",
    "only-files",
    "mdmf",
    "5",
    "a",
    "sub",
    *CAPS[:3],
]
BODIES = [b"", b"{}", b"x" * 100, CAPS[0].encode(), b'{"k": ["filenode", {"ro_uri": "URI:LIT:mfra"}]}', b"[1]", b"\xff"]

texts = st.one_of(st.sampled_from(NAMES), st.text(max_size=5))
segments = st.one_of(
    texts.map(lambda text: quote(text, safe="", errors="replace")), st.binary(max_size=3).map(quote_from_bytes), st.just("")
)
values = st.one_of(st.sampled_from(VALUES), st.sampled_from(MORE_VALUES), st.text(max_size=5))
queries = st.dictionaries(st.sampled_from(ARGUMENTS), values, max_size=4).map(
    lambda arguments: "&".join(f"{name}={quote(value, errors='replace')}" for name, value in arguments.items())
)
paths = st.builds(
    lambda head, cap, rest: "/".join(["", head, quote(cap, safe=""), *rest]),
    st.sampled_from(["uri", "uri", "uri", "file", "operations", "nonsense"]),
    st.sampled_from(CAPS),
    st.lists(segments, max_size=3),
)
kinds = st.sampled_from([b"text/plain", b"multipart/form-data; boundary=B", b"application/x-www-form-urlencoded"])
headers = st.lists(
    st.sampled_from([(b"range", b"bytes=1-2"), (b"range", b"bytes=9-"), (b"if-none-match", b"*"), (b"content-range", b"x")]),
    max_size=2,
)


@pytest.fixture(scope="module")
def pool() -> Iterator[GridPool]:
    """Workers over one grid in memory."""
    grid = _grid()
    opened = GridPool(lambda: grid)
    yield opened
    opened.close()


async def _ask(
    pool: GridPool, method: str, path: str, query: str, kind: bytes, extra: list[tuple[bytes, bytes]], body: bytes
) -> int:
    statuses: list[int] = []
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        # A client that says nothing more; the gateway does not wait for it.
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1:1"), (b"content-type", kind), *extra],
        "scheme": "http",
        "server": ("127.0.0.1", 1),
    }
    gateway = Gateway(pool, lambda: 1.0)
    try:
        await gateway(scope, receive, send)
    finally:
        gateway.close()
    [status] = statuses
    return status


requests = given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]),
    path=paths,
    query=queries,
    kind=kinds,
    extra=headers,
    body=st.one_of(st.sampled_from(BODIES), st.binary(max_size=50)),
)


@pytest.mark.slow
@settings(max_examples=600)
@requests
def test_every_request_gets_an_answer(
    pool: GridPool, method: str, path: str, query: str, kind: bytes, extra: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """No request is answered with an error of the gateway's own."""
    status = asyncio.run(_ask(pool, method, path, query, kind, extra, body))
    assert status < 500 or status == 501


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
@settings(max_examples=scaled(REQUESTS_A_SHARD))
@requests
def test_many_requests(
    pool: GridPool, shard: int, method: str, path: str, query: str, kind: bytes, extra: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """The same for 100,000 of them in all."""
    status = asyncio.run(_ask(pool, method, path, query, kind, extra, body))
    assert status < 500 or status == 501
