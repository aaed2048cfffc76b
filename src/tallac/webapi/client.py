"""Requests to a gateway, over kept-alive connections. Caps go in and come out as text; nothing here knows what they mean."""

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
"""Up to so many bytes are their own cap."""

RETRY_DELAYS_SECONDS = (0.2, 1.0)
JSON_SIZE_MAX = 1 << 30

_NODE_ID = re.compile(rb"TubID: ([a-z2-7]{32})\b")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WebChild:
    """A directory's child, as the gateway has it.

    Attributes:
        kind: `filenode`, `dirnode` or `unknown`.
        read: The read cap's text; None where the directory holds a write cap of unknown form only.
        write: The write cap's text, if the directory's reader may write.
        metadata: JSON values.
    """

    kind: str
    read: str | None = field(repr=False)
    write: str | None = field(repr=False)
    metadata: dict[str, object]


class Stored(msgspec.Struct, frozen=True):
    """What a cap leads to.

    Attributes:
        kind: `filenode`, `dirnode` or `unknown`.
        size: Of a file, in bytes; None where it is not known.
        children: Of a directory, by name.
    """

    kind: str
    size: int | None
    children: dict[str, WebChild]


class Health(NamedTuple):
    """What a check found.

    Attributes:
        is_healthy: All shares are where they should be.
        summary: The gateway's own words.
        was_repaired: A repair was attempted, and succeeded.
    """

    is_healthy: bool
    summary: str
    was_repaired: bool = False


class WebClient:
    """A gateway. Thread-safe: up to `IN_FLIGHT_MAX` requests are under way at a time, further ones wait.

    Only what can be repeated without harm is retried after a lost connection: reading, storing what is immutable, checking.
    """

    def __init__(self, url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Talk to the node at a URL; nothing is sent yet."""
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
        """Store an immutable file and give its read cap."""
        return self._retrying(lambda: self._ask("PUT", "a file", content=content)).decode("ascii", "replace").strip()

    def put_stream(self, content: Iterable[bytes]) -> str:
        """Store an immutable file of any length and give its read cap. It can't be retried: the stream is gone."""
        return self._ask("PUT", "a file", content=content).decode("ascii", "replace").strip()

    def make_immutable_directory(self, children: Mapping[str, WebChild]) -> str:
        """Store an immutable directory and give its read cap; the same children give the same cap."""
        body = _encode_children(children)
        answer = self._retrying(lambda: self._ask("POST", "a directory", query={"t": "mkdir-immutable"}, content=body))
        return answer.decode("ascii", "replace").strip()

    def make_directory(self, mutable_format: str) -> str:
        """Make an empty mutable directory, `SDMF` or `MDMF`, and give its write cap."""
        query = {"t": "mkdir", "format": mutable_format}
        return self._ask("POST", "a directory", query=query).decode("ascii", "replace").strip()

    def make_file(self, content: Iterable[bytes], mutable_format: str) -> str:
        """Store a mutable file, `SDMF` or `MDMF`, and give its write cap."""
        return self._ask("PUT", "a file", query={"format": mutable_format}, content=content).decode("ascii", "replace").strip()

    # Changing files and directories

    def write_file(self, cap: str, content: Iterable[bytes], *, offset: int | None, where: str) -> None:
        """Replace a mutable file's content, or a part of it from an offset on that is at most its size."""
        query = {} if offset is None else {"offset": str(offset)}
        self._ask("PUT", where, cap=cap, query=query, content=content)

    def set_children(self, cap: str, children: Mapping[str, WebChild], *, where: str, replace: bool) -> None:
        """Enter children in a mutable directory, all at once.

        Raises:
            ConflictError: One of them is there, and is not to be replaced; nothing was entered.
        """
        query = {"t": "set_children", "replace": "true" if replace else "false"}

        def send() -> bytes:
            return self._ask("POST", where, cap=cap, query=query, content=_encode_children(children))

        # Replacing twice comes to the same; of a lost answer to the other kind, the caller learns by a conflict.
        if replace:
            self._retrying(send)
        else:
            send()

    def unlink(self, cap: str, name: str, *, where: str) -> None:
        """Take a child out of a mutable directory.

        Raises:
            ObjectNotFoundError: There is no such child.
        """
        self._ask("POST", where, cap=cap, query={"t": "unlink", "name": name})

    # Reading

    def look(self, cap: str, *, where: str) -> Stored:
        """Ask what a cap leads to, with a directory's children."""
        return _stored(self._retrying(lambda: self._ask("GET", where, cap=cap, query={"t": "json"})), where)

    def node_id(self) -> str | None:
        """Give the node's own name, as its first page shows it; None where it shows none."""
        page = self._retrying(lambda: self._ask("GET", "the node", path=""))
        found = _NODE_ID.search(page)
        return None if found is None else found[1].decode()

    def get(self, cap: str, start: int, stop: int, *, where: str) -> bytes:
        """Read the bytes [start, stop) of a file; fewer where it ends before."""

        def read() -> bytes:
            with self.reading(cap, start, stop, where=where) as chunks:
                return b"".join(chunks)

        return self._retrying(read) if stop > start else b""

    @contextmanager
    def reading(self, cap: str, start: int, stop: int | None, *, where: str) -> Iterator[Iterator[bytes]]:
        """Read a file from a position on, as it arrives. The position lies before the file's end."""
        # From the start and to the end there is no range: that is how an empty file is read, too.
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
        """Have the gateway look whether the shares of one thing are there; with `verify`, whether all their bytes are right."""
        query = {"t": "check", "output": "JSON"} | _flags(verify=verify, repair=repair, add_lease=add_lease)
        found = _json_of(self._retrying(lambda: self._ask("POST", where, cap=cap, query=query)), where)
        return health_of(found)

    def stream(self, cap: str, kind: str, *, where: str, **flags: bool) -> Iterator[dict[str, object]]:
        """Visit all that a directory leads to; `kind` is `stream-manifest` or `stream-deep-check`.

        Gives an object for each thing, as it is visited, and the statistics last.

        Raises:
            MissingObjectError: The gateway can't go on. What came before is right.
        """
        query = {"t": kind} | _flags(**flags)
        with self._connections.stream("POST", _path(cap), query, None, {}) as response:
            lines = _lines(response, self.url)
            if response.status != 200:
                raise refusal(where, response.status, b"\n".join(lines))
            for line in lines:
                # A 200 has gone out by the time at which trouble comes up.
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
    """Read the results of a check, or of a check with repair. Those of literal caps have little in them."""
    if not isinstance(found, dict):
        return Health(is_healthy=False, summary="the gateway's answer makes no sense")
    was_repaired = bool(found.get("repair-attempted")) and bool(found.get("repair-successful"))
    # A literal cap has nothing to repair, and no results.
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
