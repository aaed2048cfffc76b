"""Checks of single nodes, reported in the terms of Tahoe-LAFS: any other grid counts as one share of every object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tallac.caps import FileReadCap
from tallac.errors import AuthorityError, DamageError
from tallac.gateway.contents import holds_directory
from tallac.gateway.described import storage_index_text
from tallac.gateway.edge_metadata import Json
from tallac.gateway.nodes import Node, entries_of
from tallac.interfaces import Grid

Stop: TypeAlias = Callable[[], None]
"""Raises an error once a walk or a check is to end, because its client has gone or the gateway ends."""


def check_node(grid: Grid, node: Node, *, verify: bool, stop: Stop) -> Json:
    """Check one file or directory, without what is below it. It blocks; run it in a worker.

    Args:
        grid: Where it is.
        node: What to check.
        verify: Read all bytes of a file.
        stop: Asked now and then; what it raises ends the check.
    """
    if not is_stored(node):
        return {"storage-index": "", "results": {"healthy": True}}
    damage = _read_error_of(grid, node, verify=verify, stop=stop)
    healthy = damage is None
    summary = "Healthy" if damage is None else _summary(damage)
    results = _share_counts(is_there=healthy) | {"healthy": healthy, "recoverable": healthy}
    return {"storage-index": storage_index_text(node.cap), "summary": summary, "results": results}


def _summary(damage: str) -> str:
    """Return what is wrong as nodes begin it. What a node itself has said comes as it said it."""
    said = damage.removeprefix("not healthy: ")
    return said if said.startswith(("Not Healthy", "Unhealthy")) else f"Not Healthy: {damage}"


def check_and_repair_node(grid: Grid, node: Node, *, verify: bool, stop: Stop) -> Json:
    """Check one node for a client that asks for its repair. No repair is attempted: the next backup stores lost data again."""
    if not is_stored(node):
        return {"storage-index": "", "repair-attempted": False}
    checked = check_node(grid, node, verify=verify, stop=stop)
    return {
        "storage-index": checked["storage-index"],
        "repair-attempted": False,
        "repair-successful": False,
        "pre-repair-results": checked,
        "post-repair-results": checked,
    }


def is_stored(node: Node) -> bool:
    """Whether a node is an object that can be checked: a literal is all in its cap, and an unknown kind leads nowhere."""
    return bool(storage_index_text(node.cap))


def is_healthy(checked: Json) -> bool:
    """Whether a check found the node healthy."""
    results = checked.get("results")
    return not isinstance(results, dict) or bool(results["healthy"])


def _read_error_of(grid: Grid, node: Node, *, verify: bool, stop: Stop) -> str | None:
    """Return a description of the damage of a node; None if it is healthy."""
    try:
        if node.is_directory:
            # The objects of the directory itself are read and verified; those of its entries are not.
            entries_of(grid, node.cap)
            return None
        report = grid.check(node.read_cap or node.cap, read_data=verify, progress=lambda _report: stop())
    except (DamageError, AuthorityError) as error:
        return str(error)
    damaged = [finding.message for finding in report.findings if finding.damaged]
    if damaged and isinstance(node.read_cap, FileReadCap) and holds_directory(grid, node.read_cap):
        return None
    return damaged[0] if damaged else None


def _share_counts(*, is_there: bool) -> Json:
    return {
        "count-happiness": int(is_there),
        "count-shares-good": int(is_there),
        "count-shares-needed": 1,
        "count-shares-expected": 1,
        "count-good-share-hosts": int(is_there),
        "count-corrupt-shares": 0,
        "list-corrupt-shares": [],
        "servers-responding": [],
        "sharemap": {},
        "count-wrong-shares": 0,
        "count-recoverable-versions": int(is_there),
        "count-unrecoverable-versions": int(not is_there),
    }
