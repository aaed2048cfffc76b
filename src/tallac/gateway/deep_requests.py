"""Manifests, statistics and deep checks: as streams of JSON lines, or as operations whose result is fetched later."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from urllib.parse import quote, urlencode

import msgspec
from starlette.responses import Response, StreamingResponse

from tallac.caps import WriteCap
from tallac.errors import RequestError, StoreUnavailableError, TallacError
from tallac.gateway.answers import done_answer, json_answer, redirect_answer, text_answer
from tallac.gateway.checks import Stop, check_and_repair_node, check_node, is_healthy, is_stored
from tallac.gateway.described import storage_index_text
from tallac.gateway.edge_metadata import Json
from tallac.gateway.exchange import Exchange
from tallac.gateway.nodes import Node
from tallac.gateway.pages import operation_page
from tallac.gateway.walking import DeepStats, Visited, walk_below
from tallac.interfaces import Grid

STEP_LENGTH = 50
"""Nodes visited in one call of a worker, which serves others between two calls; a deep check visits one node a call."""

STREAMS = ("stream-manifest", "stream-deep-check")
STARTS = ("start-manifest", "start-deep-size", "start-deep-stats", "start-deep-check")

Look = Callable[[Grid, Visited, Stop], Json]


class Gathered(msgspec.Struct):
    """The results of an operation so far."""

    stats: DeepStats = msgspec.field(default_factory=DeepStats)
    manifest: list[tuple[tuple[str, ...], str]] = msgspec.field(default_factory=list)
    verify_caps: dict[str, None] = msgspec.field(default_factory=dict)
    storage_indexes: dict[str, None] = msgspec.field(default_factory=dict)
    checked: int = 0
    unhealthy: list[tuple[tuple[str, ...], Json]] = msgspec.field(default_factory=list)


class Shown(msgspec.Struct, frozen=True):
    """The question to an operation, from which it follows how its result is shown.

    Attributes:
        operation: The value of `t=` that started it.
        repair: Whether it was to repair what it checks.
        origin: The storage index of the directory that it began with.
    """

    operation: str
    repair: bool
    origin: str


async def answer_stream(exchange: Exchange, node: Node) -> Response:
    """Return a stream of one line of JSON for each node below a directory, and a last one with statistics."""
    arguments = exchange.arguments
    look = _look(exchange) if arguments.operation == "stream-deep-check" else None
    # A node leaves its default, HTML; the answer's other headers keep a browser from taking it for that.
    return StreamingResponse(_lines(exchange, node, look), media_type="text/html")


async def _lines(exchange: Exchange, root: Node, look: Look | None) -> AsyncIterator[bytes]:
    stats = DeepStats()
    try:
        async for step in _steps(exchange, root, look):
            lines = []
            for visited, checked in step:
                stats.add(visited)
                lines.append(json.dumps(_line(visited) | checked))
            yield "".join(f"{line}\n" for line in lines).encode("ascii")
        yield json.dumps({"type": "stats", "stats": stats.result()}).encode("ascii") + b"\n"
    except TallacError as error:
        # The status has been sent already; clients look for this line.
        yield f"ERROR: {type(error).__name__}({error})\n".encode("utf-8", "backslashreplace")


async def _steps(exchange: Exchange, root: Node, look: Look | None) -> AsyncIterator[list[tuple[Visited, Json]]]:
    """Walk in the worker for walks, a few nodes a call."""
    worker = exchange.pool.walking()
    walk: list[Iterator[Visited]] = []
    length = STEP_LENGTH if look is None else 1

    failed: list[TallacError] = []
    is_left = threading.Event()

    def stop() -> None:
        exchange.pool.require_open()
        if is_left.is_set():
            raise StoreUnavailableError("nobody waits for this any more")

    def step(grid: Grid) -> list[tuple[Visited, Json]]:
        if not walk:
            walk.append(walk_below(grid, root))
        found: list[tuple[Visited, Json]] = []
        try:
            for visited in islice(walk[0], length):
                found.append((visited, {} if look is None else look(grid, visited, stop)))
                stop()
        except TallacError as error:
            failed.append(error)
        return found

    try:
        while found := await worker.run(step):
            yield found
    finally:
        # A step that runs on, as the check of a large file does, ends soon.
        is_left.set()
    if failed:
        raise failed[0]


async def start_operation(exchange: Exchange, node: Node) -> Response:
    """Start an operation, and redirect the client to the URL of its result.

    Raises:
        RequestError: The request has no `ophandle=`.
    """
    arguments = exchange.arguments
    handle = arguments.get("ophandle")
    if not handle:
        raise RequestError("slow operation requires ophandle=")
    shown = Shown(arguments.operation, arguments.flag("repair"), storage_index_text(node.cap))
    gathered = Gathered()
    work = _gather(exchange, node, gathered, _look(exchange) if shown.operation == "start-deep-check" else None)
    exchange.operations.start(handle, work, lambda output, ended: _show(shown, gathered, output, ended), retain_of(exchange))
    base = exchange.request.base_url
    output = arguments.get("output")
    rest = f"?{urlencode({'output': output})}" if output else ""
    return redirect_answer(f"{base.scheme}://{base.netloc}/operations/{quote(handle, safe='')}{rest}")


def output_of(exchange: Exchange, *outputs: str) -> str:
    """Parse `output=`: one of some forms, in lower case; the first if it is missing.

    Raises:
        RequestError: The form is not one of them.
    """
    output = (exchange.arguments.get("output") or outputs[0]).lower()
    if output not in outputs:
        raise RequestError(f"Unknown output value: {output[:40]!r}; there are {', '.join(outputs)}")
    return output


def retain_of(exchange: Exchange) -> float | None:
    """Parse `retain-for=`, in seconds; None if it is missing.

    Raises:
        RequestError: The value is not a number.
    """
    text = exchange.arguments.get("retain-for")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise RequestError("retain-for= is a number of seconds")
    return float(text)


async def answer_operation(exchange: Exchange) -> Response:
    """Answer a request on `/operations/HANDLE`.

    Raises:
        RequestError: No operation has this handle, or the request is not supported.
    """
    arguments = exchange.arguments
    if len(exchange.segments) != 1:
        raise RequestError("unknown/expired handle", 404)
    handle, output = exchange.segments[0], output_of(exchange, "html", "json", "text")
    if arguments.operation == "cancel" and exchange.request.method == "POST":
        return exchange.operations.cancel(handle, output)
    release = arguments.flag("release-after-complete")
    return exchange.operations.show(handle, output, release=release, retain=retain_of(exchange))


async def _gather(exchange: Exchange, root: Node, gathered: Gathered, look: Look | None) -> None:
    async for step in _steps(exchange, root, look):
        for visited, checked in step:
            gathered.stats.add(visited)
            facts = _line(visited)
            gathered.manifest.append((visited.path, visited.node.cap.danger_whole_text()))
            gathered.verify_caps[str(facts["verifycap"])] = None
            gathered.storage_indexes[str(facts["storage-index"])] = None
            if checked and is_stored(visited.node):
                gathered.checked += 1
                outcome = checked.get("check-results") or _before_repair(checked)
                if isinstance(outcome, dict) and not is_healthy(outcome):
                    gathered.unhealthy.append((visited.path, outcome))


def _before_repair(checked: Json) -> object:
    outcome = checked["check-and-repair-results"]
    return outcome.get("pre-repair-results") if isinstance(outcome, dict) else None


def _look(exchange: Exchange) -> Look:
    """Return the function that a deep operation calls for each node."""
    verify, repair = exchange.arguments.flag("verify"), exchange.arguments.flag("repair")
    # A node renews leases here; nothing expires in a vault.
    exchange.arguments.flag("add-lease")

    def look(grid: Grid, visited: Visited, stop: Stop) -> Json:
        if repair:
            return {"check-and-repair-results": check_and_repair_node(grid, visited.node, verify=verify, stop=stop)}
        return {"check-results": check_node(grid, visited.node, verify=verify, stop=stop)}

    return look


def _line(visited: Visited) -> Json:
    node = visited.node
    kind = "directory" if node.is_directory else "file" if node.is_file else "unknown"
    verify = node.cap.verify_cap
    return {
        "path": list(visited.path),
        "cap": node.cap.danger_whole_text(),
        "type": kind,
        "verifycap": "" if verify is None else verify.danger_whole_text(),
        "repaircap": _repair_cap(node),
        "storage-index": storage_index_text(node.cap),
    }


def _repair_cap(node: Node) -> str:
    """Return the weakest cap that suffices to repair a node, as nodes see it: of a directory that can't be changed, none does."""
    if isinstance(node.cap, WriteCap):
        return node.cap.danger_whole_text()
    verify = None if node.is_directory or node.is_mutable else node.cap.verify_cap
    return "" if verify is None else verify.danger_whole_text()


def _show(shown: Shown, gathered: Gathered, output: str, ended: bool) -> Response:
    """Return the state of an operation as JSON, as text or as a page."""
    stats = gathered.stats.result()
    if shown.operation == "start-deep-stats":
        return json_answer(stats | {"finished": ended})
    if shown.operation == "start-deep-size":
        return _show_size(stats, output, ended)
    if shown.operation == "start-deep-check":
        facts = _deep_check_facts(gathered, shown) | {"finished": ended, "stats": stats}
        return json_answer(facts) if output == "json" else operation_page("Deep Check Results", facts)
    if output == "text":
        rows = [f"{'/'.join(path)} {cap}" for path, cap in gathered.manifest]
        return text_answer("\n".join([f"finished: {'yes' if ended else 'no'}", *rows]) + "\n")
    facts = {"stats": stats, "finished": ended, "origin": shown.origin}
    if output == "html":
        return operation_page("Manifest", facts | {"/".join(path): cap for path, cap in gathered.manifest})
    if ended:
        facts["manifest"] = [[list(path), cap] for path, cap in gathered.manifest]
        facts["verifycaps"] = [text for text in gathered.verify_caps if text]
        facts["storage-index"] = [text for text in gathered.storage_indexes if text]
    return json_answer(facts)


def _show_size(stats: Json, output: str, ended: bool) -> Response:
    if output == "json":
        return json_answer({"finished": ended, "size": stats})
    size = sum(int(str(stats[key])) for key in ("size-immutable-files", "size-directories"))
    return done_answer(f"finished: {'yes' if ended else 'no'}\n" + (f"size: {size}\n" if ended else ""))


def _deep_check_facts(gathered: Gathered, shown: Shown) -> Json:
    unhealthy, checked = len(gathered.unhealthy), gathered.checked
    facts: Json = {
        "root-storage-index": shown.origin,
        "count-objects-checked": checked,
        "list-corrupt-shares": [],
        "list-unhealthy-files": [[list(path), outcome] for path, outcome in gathered.unhealthy],
    }
    if not shown.repair:
        counts = {"count-objects-healthy": checked - unhealthy, "count-objects-unhealthy": unhealthy, "count-corrupt-shares": 0}
        return facts | counts
    for moment in ("pre-repair", "post-repair"):
        facts[f"count-objects-healthy-{moment}"] = checked - unhealthy
        facts[f"count-objects-unhealthy-{moment}"] = unhealthy
        facts[f"count-corrupt-shares-{moment}"] = 0
    attempts = {f"count-repairs-{outcome}": 0 for outcome in ("attempted", "successful", "unsuccessful")}
    return facts | attempts | {"list-remaining-corrupt-shares": []}
