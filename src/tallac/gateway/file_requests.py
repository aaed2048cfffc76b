"""GET and HEAD of files: their contents, whole or in part, and what is known of them."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import msgspec
from starlette.responses import Response, StreamingResponse

from tallac.caps import Cap, FileReadCap
from tallac.errors import RequestError
from tallac.gateway.answers import json_answer, text_answer
from tallac.gateway.contents import open_content, size_of_mutable
from tallac.gateway.described import describe, storage_index_text
from tallac.gateway.exchange import Exchange
from tallac.gateway.grid_pool import GridWorker
from tallac.gateway.nodes import Node
from tallac.gateway.pages import info_page
from tallac.interfaces import BinaryReader

STEP_SIZE = 1 << 18
_RANGE = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)
_FIXED = ("", "json", "uri", "readonly-uri")

mimetypes.init()


class ByteRange(msgspec.Struct, frozen=True):
    """The bytes [first, end) of a file; `is_part` is true where the client asked for a range."""

    first: int
    end: int
    is_part: bool


async def answer_file_get(exchange: Exchange, node: Node, name: str | None) -> Response:
    """Answer a GET or HEAD of a file.

    Raises:
        RequestError: The request is malformed, or its operation is not supported.
    """
    operation = exchange.arguments.operation
    is_head = exchange.request.method == "HEAD"
    if is_head and operation:
        raise RequestError(f"HEAD file: bad t={operation[:40]!r}")
    etag = None if is_head or operation not in _FIXED else etag_of(node, operation)
    if etag is not None and is_known(exchange, etag):
        return Response(b"", 304, headers={"etag": etag})
    headers = {} if etag is None else {"etag": etag}
    if operation == "":
        return await _download(exchange, node, name, headers)
    if operation == "json":
        # The cap of an immutable file holds its size; nothing is read for it.
        size = await exchange.read(lambda grid: size_of_mutable(grid, _readable(node))) if node.is_mutable else None
        answer = json_answer(describe(node, size))
    elif operation == "uri":
        answer = text_answer(node.cap.danger_whole_text())
    elif operation == "readonly-uri":
        answer = text_answer((node.read_cap or node.cap).danger_whole_text())
    elif operation == "info":
        return info_page(node)
    else:
        raise RequestError(f"GET file: bad t={operation[:40]!r}")
    answer.headers.update(headers)
    return answer


def etag_of(node: Node, operation: str) -> str | None:
    """Return the entity tag of a stored immutable node; None for all other nodes."""
    index = storage_index_text(node.cap)
    if node.is_mutable or not index:
        return None
    return f'"{"DIR:" if node.is_directory else ""}{index}-{operation}"'


def is_known(exchange: Exchange, etag: str) -> bool:
    """Whether the client already has the content of this entity tag (RFC 9110, If-None-Match)."""
    known = [tag.strip().removeprefix("W/") for tag in exchange.request.headers.get("if-none-match", "").split(",")]
    return "*" in known or etag in known


async def _download(exchange: Exchange, node: Node, name: str | None, headers: dict[str, str]) -> Response:
    filename = exchange.arguments.get("filename") or name
    headers = headers | _headers_of_name(exchange, filename or "unknown") | {"accept-ranges": "bytes"}
    worker = exchange.pool.reading()
    reader, size, first_step = await worker.run(lambda grid: open_content(grid, _readable(node), STEP_SIZE))
    try:
        byte_range = parse_range(exchange.request.headers.get("range"), size)
    except RequestError:
        worker.submit(lambda _grid: reader.close())
        raise
    headers["content-length"] = str(byte_range.end - byte_range.first)
    if byte_range.is_part:
        headers["content-range"] = f"bytes {byte_range.first}-{byte_range.end - 1}/{size}"
    status = 206 if byte_range.is_part else 200
    if exchange.request.method == "HEAD":
        worker.submit(lambda _grid: reader.close())
        return Response(None, status, headers=headers)
    steps = _steps(worker, reader, byte_range, first_step if byte_range.first == 0 else b"")
    return StreamingResponse(steps, status, headers=headers)


async def _steps(worker: GridWorker, reader: BinaryReader, byte_range: ByteRange, first_step: bytes) -> AsyncIterator[bytes]:
    """Iterate over a range of bytes step by step; the worker serves others between two steps."""
    place = byte_range.first
    try:
        if first_step:
            first_step = first_step[: byte_range.end - place]
            place += len(first_step)
            yield first_step
        while place < byte_range.end:
            step = await worker.run(lambda _grid, start=place: _read_at(reader, start, byte_range.end))  # type: ignore[misc]
            place += len(step)
            yield step
    finally:
        worker.submit(lambda _grid: reader.close())


def _read_at(reader: BinaryReader, start: int, end: int) -> bytes:
    reader.seek(start)
    step = reader.read(min(STEP_SIZE, end - start))
    if not step:
        # The length has been sent already: to break off is the only way to report that bytes are missing.
        raise RequestError("the file ends early", 500)
    return step


def parse_range(text: str | None, size: int) -> ByteRange:
    """Parse a Range header (RFC 9110); of several ranges the first is served, and a malformed header is ignored.

    Raises:
        RequestError: The range begins past the end of the file.
    """
    whole = ByteRange(0, size, is_part=False)
    if text is None or not text.startswith("bytes="):
        return whole
    ranges = [_RANGE.fullmatch(part.strip()) for part in text[len("bytes=") :].split(",")]
    if None in ranges or ranges[0] is None:
        return whole
    first_text, last_text = ranges[0].groups()
    if not first_text:
        if not last_text or int(last_text) == 0:
            return whole
        first, last = max(0, size - int(last_text)), size - 1
    else:
        first, last = int(first_text), int(last_text) if last_text else size - 1
    if last < first:
        return whole
    if first >= size:
        raise RequestError("First beyond end of file", 416)
    return ByteRange(first, min(last, size - 1) + 1, is_part=True)


def _headers_of_name(exchange: Exchange, filename: str) -> dict[str, str]:
    # Without what stands in front, a name like `data:text/html,x` would be taken for a URL that says its own type.
    kind, encoding = mimetypes.guess_type(f"./{filename}")
    headers = {"content-type": kind or "text/plain"}
    if encoding is not None:
        headers["content-encoding"] = encoding
    if exchange.arguments.flag("save"):
        is_plain = filename.isascii() and filename.isprintable() and not set('"\\') & set(filename)
        shown = f'filename="{filename}"' if is_plain else f"filename*=UTF-8''{quote(filename, safe='')}"
        headers["content-disposition"] = f"attachment; {shown}"
    return headers


def _readable(node: Node) -> FileReadCap:
    cap: Cap | None = node.read_cap
    if not isinstance(cap, FileReadCap):
        raise RequestError("this is not a file")
    return cap
