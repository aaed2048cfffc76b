"""Requests to a gateway over persistent connections. Caps are passed and returned as text; nothing here interprets them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import NamedTuple, Self, TypeVar
from urllib.parse import quote

import msgspec

from tallac.errors import CorruptObjectError, MissingObjectError, StoreError, StoreUnavailableError
from tallac.webapi.answers import redacted, refusal
from tallac.webapi.connections import READ_SIZE, Connections, Content, broken_off, may_be_retried

LITERAL_SIZE_MAX = 55
"""The longest content, in bytes, that a gateway puts into the cap itself."""

RETRY_DELAYS_SECONDS = (0.2, 1.0)
JSON_SIZE_MAX = 1 << 30

_NODE_ID = re.compile(rb"TubID: ([a-z2-7]{32})\b")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WebChild:
    """A child of a directory, as the gateway describes it.

    Attributes:
        kind: `filenode`, `dirnode` or `unknown`.
        read: The text of the read cap; None if the directory holds only a write cap of unknown kind.
        write: The text of the write cap; None without write access.
        metadata: JSON values.
    """

    kind: str
    read: str | None = field(repr=False)
    write: str | None = field(repr=False)
    metadata: dict[str, object]


class Stored(msgspec.Struct, frozen=True):
    """The file or directory that a cap refers to.

    Attributes:
        kind: `filenode`, `dirnode` or `unknown`.
        size: The size of a file in bytes; None if it is unknown.
        children: The children of a directory, by name.
    """

    kind: str
    size: int | None
    children: dict[str, WebChild]


class Health(NamedTuple):
    """The result of a check.

    Attributes:
        is_healthy: Whether all shares are where they should be.
        summary: The message of the gateway.
        was_repaired: Whether a repair was attempted and succeeded.
    """

    is_healthy: bool
    summary: str
    was_repaired: bool = False


class WebClient:
    """A client of one gateway. Thread-safe: up to `IN_FLIGHT_MAX` requests are in flight at a time, further ones wait.

    After a lost connection only idempotent requests are retried: reading, storing immutable objects, checking.
    """

    def __init__(self, url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Use the node at a URL; nothing is sent yet."""
        self.url = url if url.endswith("/") else url + "/"
        self._sleep = sleep
        self._connections = Connections(self.url)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # Storing

    def put_file(self, content: bytes) -> str:
        """Store an immutable file and return its read cap."""
        return self._retrying(lambda: self._ask("PUT", "a file", content=content)).decode("ascii", "replace").strip()

    def put_stream(self, content: Iterable[bytes]) -> str:
        """Store an immutable file of any length and return its read cap. Never retried, because the stream can't be read again."""
        return self._ask("PUT", "a file", content=content).decode("ascii", "replace").strip()

    def make_immutable_directory(self, children: Mapping[str, WebChild]) -> str:
        """Store an immutable directory and return its read cap; equal children give the same cap."""
        body = _encode_children(children)
        answer = self._retrying(lambda: self._ask("POST", "a directory", query={"t": "mkdir-immutable"}, content=body))
        return answer.decode("ascii", "replace").strip()

    def make_directory(self, mutable_format: str) -> str:
        """Create an empty mutable directory, `SDMF` or `MDMF`, and return its write cap."""
        query = {"t": "mkdir", "format": mutable_format}
        return self._ask("POST", "a directory", query=query).decode("ascii", "replace").strip()

    def make_file(self, content: Iterable[bytes], mutable_format: str) -> str:
        """Store a mutable file, `SDMF` or `MDMF`, and return its write cap."""
        return self._ask("PUT", "a file", query={"format": mutable_format}, content=content).decode("ascii", "replace").strip()

    # Changing files and directories

    def write_file(self, cap: str, content: Iterable[bytes], *, offset: int | None, where: str) -> None:
        """Replace the content of a mutable file, or overwrite it from an offset on that is at most its size."""
        query = {} if offset is None else {"offset": str(offset)}
        self._ask("PUT", where, cap=cap, query=query, content=content)

    def set_children(self, cap: str, children: Mapping[str, WebChild], *, where: str, replace: bool) -> None:
        """Link children in a mutable directory, all at once.

        Raises:
            ConflictError: One of them exists and may not be replaced; nothing was linked.
        """
        query = {"t": "set_children", "replace": "true" if replace else "false"}

        def send() -> bytes:
            return self._ask("POST", where, cap=cap, query=query, content=_encode_children(children))

        # To replace twice is harmless; after a lost answer to a request that does not replace, the caller gets a conflict.
        if replace:
            self._retrying(send)
        else:
            send()

    def unlink(self, cap: str, name: str, *, where: str) -> None:
        """Remove a child from a mutable directory.

        Raises:
            ObjectNotFoundError: The directory has no such child.
        """
        self._ask("POST", where, cap=cap, query={"t": "unlink", "name": name})

    # Reading

    def look(self, cap: str, *, where: str) -> Stored:
        """Return the kind of node that a cap refers to, with the size of a file or the children of a directory."""
        return _stored(self._retrying(lambda: self._ask("GET", where, cap=cap, query={"t": "json"})), where)

    def node_id(self) -> str | None:
        """Return the node's identifier from its welcome page; None if the page has none."""
        page = self._retrying(lambda: self._ask("GET", "the node", path=""))
        found = _NODE_ID.search(page)
        return None if found is None else found[1].decode()

    def get(self, cap: str, start: int, stop: int, *, where: str) -> bytes:
        """Read the bytes [start, stop) of a file, fewer at its end."""

        def read() -> bytes:
            with self.reading(cap, start, stop, where=where) as chunks:
                return b"".join(chunks)

        return self._retrying(read) if stop > start else b""

    @contextmanager
    def reading(self, cap: str, start: int, stop: int | None, *, where: str) -> Iterator[Iterator[bytes]]:
        """Read the bytes [start, stop) of a file as a stream; start lies before the end of the file."""
        # A whole file is asked for without a range, which also works for an empty one.
        last = "" if stop is None else str(stop - 1)
        headers = {} if start == 0 and stop is None else {"Range": f"bytes={start}-{last}"}
        with self._connections.stream("GET", _path(cap), None, None, headers) as response:
            if response.status not in (200, 206):
                raise refusal(where, response.status, b"".join(_chunks(response, self.url)))
            if headers and response.status == 200 and start > 0:
                raise StoreError(f"{where}: the Tahoe-LAFS node does not serve parts of files")
            yield _chunks(response, self.url)

    # Checking

    def check(self, cap: str, *, verify: bool = False, repair: bool = False, add_lease: bool = False, where: str) -> Health:
        """Ask the gateway to check that the shares of one object are there; with `verify`, that all their bytes are correct."""
        query = {"t": "check", "output": "JSON"} | _flags(verify=verify, repair=repair, add_lease=add_lease)
        found = _json_of(self._retrying(lambda: self._ask("POST", where, cap=cap, query=query)), where)
        return health_of(found)

    def stream(self, cap: str, kind: str, *, where: str, **flags: bool) -> Iterator[dict[str, object]]:
        """Iterate over everything below a directory; `kind` is `stream-manifest` or `stream-deep-check`.

        Yields one JSON object for each node as the gateway visits it, and the statistics last.

        Raises:
            MissingObjectError: The gateway can't continue; what was yielded before is correct.
        """
        query = {"t": kind} | _flags(**flags)
        with self._connections.stream("POST", _path(cap), query, None, {}) as response:
            lines = _lines(response, self.url)
            if response.status != 200:
                raise refusal(where, response.status, b"\n".join(lines))
            for line in lines:
                # The status 200 has been sent before an error can occur.
                if line.startswith(b"ERROR:"):
                    body = b"\n".join([line.removeprefix(b"ERROR:"), *lines])
                    error = refusal(where, 200, body)
                    message = redacted(body.decode("utf-8", "replace"))
                    raise error if isinstance(error, MissingObjectError) else StoreError(f"{where}: {message}")
                found = _json_of(line, where)
                if isinstance(found, dict):
                    yield found

    # Sending

    def _ask(
        self,
        method: str,
        where: str,
        *,
        cap: str | None = None,
        path: str | None = None,
        query: Mapping[str, str] | None = None,
        content: Content | None = None,
    ) -> bytes:
        answer = self._connections.ask(method, _path(cap) if path is None else path, query, content)
        if answer.status not in (200, 201):
            raise refusal(where, answer.status, answer.body)
        return answer.body

    def _retrying(self, send: Callable[[], T]) -> T:
        for delay in RETRY_DELAYS_SECONDS:
            try:
                return send()
            except StoreUnavailableError as error:
                if not may_be_retried(error):
                    raise
                self._sleep(delay)
        return send()


def _path(cap: str | None) -> str:
    return "uri" if cap is None else "uri/" + quote(cap, safe="")


def _chunks(response: HTTPResponse, url: str) -> Iterator[bytes]:
    while True:
        with broken_off(url):
            chunk = response.read1(READ_SIZE)
        if not chunk:
            return
        yield chunk


def _lines(response: HTTPResponse, url: str) -> Iterator[bytes]:
    while True:
        with broken_off(url):
            line = response.readline()
        if not line:
            return
        yield line.rstrip(b"\r\n")


def health_of(found: object) -> Health:
    """Parse the result of a check, or of a check with repair; that of a literal cap has only few keys."""
    if not isinstance(found, dict):
        return Health(is_healthy=False, summary="the gateway's answer makes no sense")
    was_repaired = bool(found.get("repair-attempted")) and bool(found.get("repair-successful"))
    # For a literal cap there is nothing to repair, and the answer has no results.
    after = found.get("post-repair-results") or {"results": {"healthy": True}}
    results = after if "repair-attempted" in found else found
    counts = results.get("results", {})
    return Health(bool(counts.get("healthy")), str(results.get("summary", "")), was_repaired)


def _flags(**flags: bool) -> dict[str, str]:
    return {name.replace("_", "-"): "true" for name, is_set in flags.items() if is_set}


def _encode_children(children: Mapping[str, WebChild]) -> bytes:
    described: dict[str, Sequence[object]] = {}
    for name, child in children.items():
        caps = {"rw_uri": child.write, "ro_uri": child.read}
        described[name] = (child.kind, {key: cap for key, cap in caps.items() if cap is not None} | {"metadata": child.metadata})
    return json.dumps(described).encode()


def _json_of(body: bytes, where: str) -> object:
    if len(body) > JSON_SIZE_MAX:
        raise CorruptObjectError(f"{where}: the Tahoe-LAFS node's answer is larger than {JSON_SIZE_MAX >> 20} MiB")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where}: the Tahoe-LAFS node's answer makes no sense; is it a node?") from error


def _stored(body: bytes, where: str) -> Stored:
    found = _json_of(body, where)
    try:
        described = msgspec.convert(found, tuple[str, dict[str, object]])
        children = msgspec.convert(described[1].get("children", {}), dict[str, tuple[str, dict[str, object]]])
    except msgspec.ValidationError as error:
        raise StoreError(f"{where}: the Tahoe-LAFS node's answer makes no sense; is it a node?") from error
    size = described[1].get("size")
    return Stored(described[0], size if isinstance(size, int) else None, {name: _child(*child) for name, child in children.items()})


def _child(kind: str, facts: Mapping[str, object]) -> WebChild:
    read, write, metadata = facts.get("ro_uri"), facts.get("rw_uri"), facts.get("metadata")
    return WebChild(
        str(kind),
        read if isinstance(read, str) else None,
        write if isinstance(write, str) else None,
        metadata if isinstance(metadata, dict) else {},
    )
