"""The HTML pages: the entries of a directory, what is known of a node, and a welcome. They have no scripts and no forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from starlette.responses import Response

from tallac.caps import Cap
from tallac.gateway.described import cap_texts, file_size_of, storage_index_text
from tallac.gateway.edge_metadata import Json
from tallac.gateway.names import name_to_text
from tallac.gateway.nodes import Node

PAGE_POLICY = "sandbox allow-downloads; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
"""As strict as for stored files, but the style in the page itself is allowed, and links to files that the browser saves."""

_STYLE = "body{font-family:sans-serif;margin:2em}td{padding:.1em 1em .1em 0}code{word-break:break-all}"
_END = "</body></html>"


def directory_page_parts(node: Node) -> tuple[str, str]:
    """Return the HTML before and after the rows of a directory's page."""
    kind = "can be changed" if node.is_mutable else "never changes"
    more = f'<p><a href="{_address(node)}?t=info">More about this directory</a></p>'
    return f"{_head('Directory')}<p>This directory {kind}.</p><table>", f"</table>{more}{_END}"


def directory_row(directory: Node, child: Node) -> str:
    """Return the row of one entry, with a link to it."""
    name = name_to_text(child.name or b"")
    label = escape(name)
    if child.is_directory or child.is_file:
        slash = "/" if child.is_directory else ""
        label = f'<a href="{_address(directory)}/{quote(name, safe="")}{slash}">{label}{slash}</a>'
    kind = "directory" if child.is_directory else "file" if child.is_file else "unknown"
    size = file_size_of(child.cap) if child.is_file else None
    mtime = None if child.metadata is None else child.metadata.mtime
    return f"<tr><td>{label}</td><td>{kind}</td><td>{'' if size is None else size}</td><td>{_shown_time(mtime)}</td></tr>"


def info_page(node: Node) -> Response:
    """Return a page on a node with all its caps, since whoever asks has the strongest of them."""
    facts = {"kind": node.cap.kind, "storage index": storage_index_text(node.cap) or "none"}
    facts |= {label: str(text) for label, text in cap_texts(node).items()}
    return _page("More Info", _table(facts))


def uploaded_page(cap: Cap) -> Response:
    """Return the cap of a file that a form has stored, and a link to it."""
    text = cap.danger_whole_text()
    return _page(
        "File Uploaded", f'<p>URI: <code>{escape(text)}</code></p><p><a href="/uri/{quote(text, safe="")}">Download</a></p>'
    )


def check_page(checked: Json) -> Response:
    """Return what the check of a node found."""
    results = checked.get("post-repair-results") or checked
    summary = results.get("summary", "Healthy: all of it is in its cap") if isinstance(results, dict) else ""
    index = str(checked["storage-index"]) or "none"
    return _page("Check Results", _table({"summary": str(summary), "storage index": index}))


def operation_page(title: str, facts: Mapping[str, object]) -> Response:
    """Return what an operation has found so far."""
    return _page(title, _table({key: str(value) for key, value in facts.items()}))


def _table(facts: Mapping[str, str]) -> str:
    rows = (f"<tr><td>{escape(label)}</td><td><code>{escape(text)}</code></td></tr>" for label, text in facts.items())
    return f"<table>{''.join(rows)}</table>"


def welcome_page() -> Response:
    """Return the page that says what this server is."""
    return _page(
        "Tallac gateway",
        "<p>This speaks Tahoe-LAFS's web API. Put its address into <code>node.url</code> of a node directory, and the "
        "<code>tahoe</code> command works on it; or open <code>/uri/</code> with a cap after it.</p>",
    )


def _address(node: Node) -> str:
    return f"/uri/{quote(node.cap.danger_whole_text(), safe='')}"


def _shown_time(mtime: tuple[int, int] | None) -> str:
    if mtime is None:
        return ""
    try:
        return datetime.fromtimestamp(mtime[0], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "at no time that a calendar has"


def _page(title: str, body: str) -> Response:
    return Response(f"{_head(title)}{body}{_END}", media_type="text/html", headers={"content-security-policy": PAGE_POLICY})


def _head(title: str) -> str:
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
    )
    return f"{text}<body><h1>{escape(title)}</h1>"
