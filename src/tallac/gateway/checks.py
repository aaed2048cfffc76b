"""Check single things for clients, in the terms of Tahoe-LAFS: a grid that is no Tahoe-LAFS grid has one share of everything."""

from __future__ import annotations

from tallac.caps import LiteralDirectory, LiteralFile, UnknownCap
from tallac.errors import AuthorityError, DamageError
from tallac.gateway.described import storage_index_text
from tallac.gateway.edge_metadata import Json
from tallac.gateway.nodes import Node, entries_of
from tallac.interfaces import Grid


def check_node(grid: Grid, node: Node, *, verify: bool) -> Json:
    """Check one file or directory, not what is below it; with verify, all bytes of a file. It blocks, and runs in a lane."""
    if isinstance(node.cap, LiteralFile | LiteralDirectory):
        return {"storage-index": "", "results": {"healthy": True}}
    trouble = _read_error_of(grid, node, verify=verify)
    healthy = trouble is None
    summary = "Healthy" if healthy else f"Not Healthy: {trouble}"
    results = _share_counts(is_there=healthy) | {"healthy": healthy, "recoverable": healthy}
    return {"storage-index": storage_index_text(node.cap), "summary": summary, "results": results}


def check_and_repair_node(grid: Grid, node: Node, *, verify: bool) -> Json:
    """Check one thing for a client who asks for its repair, which needs the source: the next backup stores anew what is lost."""
    checked = check_node(grid, node, verify=verify)
    if not checked["storage-index"]:
        return checked | {"repair-attempted": False}
    return {
        "storage-index": checked["storage-index"],
        "repair-attempted": False,
        "repair-successful": False,
        "pre-repair-results": checked,
        "post-repair-results": checked,
    }


def is_healthy(checked: Json) -> bool:
    """Read the outcome of a check, of either kind."""
    checked = checked.get("pre-repair-results") or checked  # type: ignore[assignment]
    results = checked.get("results")
    return not isinstance(results, dict) or bool(results["healthy"])


def _read_error_of(grid: Grid, node: Node, *, verify: bool) -> str | None:
    """Say what is wrong with a thing; None where nothing is."""
    if isinstance(node.cap, UnknownCap):
        return "a cap of an unknown kind can't be checked"
    try:
        if node.is_directory:
            # Its own objects are read and verified; what its entries lead to is not.
            entries_of(grid, node.cap)
            return None
        report = grid.check(node.read_cap or node.cap, read_data=verify)
    except (DamageError, AuthorityError) as error:
        return str(error)
    damaged = [finding.message for finding in report.findings if finding.damaged]
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
