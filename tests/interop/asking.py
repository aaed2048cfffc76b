"""The same requests to a gateway and to a real node, and what of their answers has to be alike."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx2
from tests.command import PATIENCE_SECONDS

CONTENT = b"x" * 100
BOUNDARY = "BOUNDARY"
_CAP = re.compile(r"(ro\.|imm\.)?URI(?::|%3A)((?:[A-Z0-9a-z]+-?)+)(?:(?::|%3A)[a-z2-7:0-9]*)*")
_NOT_ALIKE = {
    "linkcrtime",
    "linkmotime",
    "servers-responding",
    "sharemap",
    "storage-index",
    "origin",
    "root-storage-index",
    "largest-directory",
}
"""Facts of an answer that differ from grid to grid, or from moment to moment."""


@dataclass(frozen=True)
class Ask:
    """One request; in `path` and `content`, `{name}` is the cap that an earlier answer was kept under.

    Attributes:
        keep: Keep the answer, a cap, under this name.
        until: Ask again until the answer has this text.
    """

    method: str
    path: str
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    keep: str = ""
    until: str = ""


def form(method_path: str, fields: dict[str, str], file: bytes | None = CONTENT, filename: str = "up.txt") -> Ask:
    """Give a request that posts a form."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    body = "".join(parts).encode()
    if file is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        body += head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + file + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    return Ask("POST", method_path, body, {"content-type": f"multipart/form-data; boundary={BOUNDARY}"})


@dataclass(frozen=True)
class Seen:
    """What of an answer is compared."""

    status: int
    kind: str
    has_etag: bool
    body: object
    headers: tuple[str, ...]


def ask_all(url: str, asks: list[Ask]) -> list[Seen]:
    """Send requests in turn."""
    caps: dict[str, str] = {}
    seen = []
    with httpx2.Client(timeout=PATIENCE_SECONDS) as client:
        for ask in asks:
            path = re.sub(r"\{(\w+)\}", lambda match: quote(caps[match[1]], safe=""), ask.path)
            content = ask.content
            if content is not None:
                content = re.sub(rb"\{(\w+)\}", lambda match: caps.get(match[1].decode(), match[0].decode()).encode(), content)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while True:
                answer = client.request(ask.method, url.rstrip("/") + "/" + path, content=content, headers=ask.headers)
                if ask.until in answer.text or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            if ask.keep:
                caps[ask.keep] = answer.text.strip()
            seen.append(_seen(answer))
    return seen


def _seen(answer: httpx2.Response) -> Seen:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    names = ("content-range", "content-disposition", "content-encoding", "location")
    headers = tuple(_masked(re.sub(r"^https?://[^/]*", "", answer.headers.get(name, ""))) for name in names)
    body = _comparable(answer.text) if answer.status_code < 300 else ""
    return Seen(answer.status_code, kind, "etag" in answer.headers, body, headers)


def _comparable(text: str) -> object:
    """Give JSON as values, without what differs anyway; a page as the fact that it is one; and caps as their kinds."""
    if text.lstrip().startswith("<"):
        return "page"
    lines = text.splitlines()
    try:
        return _without(json.loads(text))
    except ValueError:
        pass
    try:
        return [_without(json.loads(line)) for line in lines]
    except ValueError:
        return _masked(text)


def _without(value: object) -> object:
    if isinstance(value, dict):
        kept = {key: below for key, below in value.items() if key not in _NOT_ALIKE and not key.endswith("directories")}
        return {key: _without(_without_sizes(below) if key == "children" else below) for key, below in kept.items()}
    if isinstance(value, list):
        below = [_without(each) for each in (_without_size(value) if value[:1] == ["filenode"] else value)]
        # A set of texts comes in any order.
        return sorted(below, key=str) if all(isinstance(each, str) for each in below) else below
    return _masked(value) if isinstance(value, str) else value


def _without_sizes(children: object) -> object:
    """Leave out the sizes of mutable files in a directory's list."""
    assert isinstance(children, dict)
    return {name: _without_size(child) for name, child in children.items()}


def _without_size(child: list[object]) -> list[object]:
    """Leave out the size of a mutable file: a node tells it only while it happens to remember it."""
    kind, facts = child
    assert isinstance(facts, dict)
    return [kind, {key: fact for key, fact in facts.items() if key != "size" or not facts["mutable"]}]


def _masked(text: str) -> str:
    return _CAP.sub(lambda match: f"{match[1] or ''}{match[2]}", text)
