"""Locations on Tahoe-LAFS: `tahoe:NODE` for the plain layout, `tahoe+vault:NODE` for a vault.

NODE is a node's directory or its gateway's URL. A vault's location has the write cap of its directory behind that, after a slash;
it is a secret, and is left out wherever a location is shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tallac.errors import StoreError, UsageError
from tallac.tahoe.node_directory import NodeDirectory

if TYPE_CHECKING:
    from tallac.backends.tahoe import TahoeBackend

PLAIN_PREFIX = "tahoe:"
VAULT_PREFIX = "tahoe+vault:"
_CAP_BEGINNING = "/URI:"
_WEB_URL = re.compile(r"https?://", re.IGNORECASE)
_EXAMPLE = "http://127.0.0.1:3456/"


def is_tahoe(location: str) -> bool:
    """Whether a location is a Tahoe-LAFS grid in the plain layout."""
    return location.startswith(PLAIN_PREFIX)


def is_tahoe_vault(location: str) -> bool:
    """Whether a location is a vault on a Tahoe-LAFS grid."""
    return location.startswith(VAULT_PREFIX)


def parse_tahoe_location(text: str) -> str:
    """Turn what a user writes, with either prefix, into a location that means the same in any folder.

    Raises:
        UsageError: There is no node after the prefix.
    """
    prefix = VAULT_PREFIX if is_tahoe_vault(text) else PLAIN_PREFIX
    node, cap = _split(text.removeprefix(prefix)) if prefix == VAULT_PREFIX else (text.removeprefix(prefix), "")
    if not node or "\0" in node:
        raise UsageError(f"--vault {prefix} needs the directory of a Tahoe-LAFS node or its URL, as in {prefix}{_EXAMPLE}")
    if not _WEB_URL.match(node):
        return prefix + os.path.abspath(os.path.expanduser(node)) + cap
    return prefix + node.rstrip("/") + (cap or "/")


def show_tahoe_vault(location: str) -> str:
    """Write a vault's location without its cap."""
    return VAULT_PREFIX + _split(location.removeprefix(VAULT_PREFIX))[0]


def has_cap(location: str) -> bool:
    """Whether a vault's location says which directory it is in."""
    return bool(_split(location.removeprefix(VAULT_PREFIX))[1])


def complete(location: str, known: Iterable[str]) -> str:
    """Return a vault's location with its cap, from the known locations, if there is one on that node; else as it is.

    Raises:
        UsageError: There are several.
    """
    if has_cap(location):
        return location
    found = {other for other in known if is_tahoe_vault(other) and show_tahoe_vault(other).rstrip("/") == location.rstrip("/")}
    if len(found) > 1:
        raise UsageError(f"{location}: there are several vaults on this grid; use their aliases")
    return found.pop() if found else location


def directory_of(location: str) -> NodeDirectory | None:
    """Return the node's directory that a location names; None for a URL."""
    node = _node_part(location)
    return None if _WEB_URL.match(node) else NodeDirectory(Path(node))


def url_of(location: str) -> str:
    """Return the gateway's URL.

    Raises:
        StoreError: The node's directory has none.
    """
    directory = directory_of(location)
    url = _node_part(location) if directory is None else directory.url()
    return url if url.endswith("/") else url + "/"


def with_new_directory(location: str) -> str:
    """Make a directory for a vault on the grid, and give the location with its cap."""
    # lazy import: a command on a vault elsewhere does without the web.
    from tallac.webapi import WebClient

    with WebClient(url_of(location)) as client:
        return location.rstrip("/") + "/" + client.make_directory("SDMF")


@cache
def backend_of(location: str) -> TahoeBackend:
    """Return the backend of a vault on a Tahoe-LAFS grid; always the same one, which knows already where its files are.

    Raises:
        UsageError: The location names no directory.
        StoreError: The node does not answer.
    """
    # lazy import: a command on a vault elsewhere does without the web.
    from tallac.backends.tahoe import TahoeBackend

    node, cap = _split(location.removeprefix(VAULT_PREFIX))
    if not cap:
        raise UsageError(f"{VAULT_PREFIX}{node}: no vault found; `tallac create-alias NAME --vault {VAULT_PREFIX}{node}` makes one")
    return TahoeBackend(url_of(location), cap.removeprefix("/"), _node_of(location))


def _node_of(location: str) -> str:
    """Return the node's own name, which is the same under all its URLs."""
    directory = directory_of(location)
    name = None if directory is None else directory.node_id()
    if name is not None:
        return name
    # lazy import: a command on a vault elsewhere does without the web.
    from tallac.webapi import WebClient

    url = url_of(location)
    with WebClient(url) as client:
        try:
            return client.node_id() or url
        except StoreError:
            return url  # What answers there may be no node, but `tallac serve`.


def _node_part(location: str) -> str:
    if is_tahoe_vault(location):
        return _split(location.removeprefix(VAULT_PREFIX))[0]
    return location.removeprefix(PLAIN_PREFIX)


def _split(rest: str) -> tuple[str, str]:
    """Split what comes after the prefix into the node, and the cap with the slash before it."""
    node, beginning, cap = rest.partition(_CAP_BEGINNING)
    return node, beginning + cap
