"""How snapshots whose marks were changed, and groups of snapshots, are shown."""

from __future__ import annotations

from collections.abc import Sequence

from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name, table
from tallac.cli.output.stderr import show_name
from tallac.dag import Entry, mark_of
from tallac.retention.forget import GroupKey
from tallac.retention.target import facts_of


def report_marked(context: CommandContext, entries: Sequence[Entry], *, dry_run: bool) -> None:
    """Write each snapshot with its marks; the caller has changed them, or has not in a dry run."""
    if context.output.is_json:
        for entry in entries:
            marks = {"held": mark_of(entry, "held"), "note": mark_of(entry, "note")}
            context.output.record(tags=list(facts_of(entry).tags), dry_run=dry_run, **marks, **json_name(entry.name, "snapshot"))
        return
    if not context.output.is_quiet:
        for line in table([_row(entry) for entry in entries]):
            context.output.line(line)


def group_heading(key: GroupKey) -> str:
    """Return the host, source or tags that the snapshots of a group share."""
    parts = [] if key.host is None else [show_name(key.host) or "no host"]
    parts += [] if key.sources is None else [", ".join(map(show_name, key.sources)) or "no source"]
    parts += [] if key.tags is None else [", ".join(map(show_name, key.tags)) or "no tags"]
    return "; ".join(parts) or "all snapshots"


def _row(entry: Entry) -> tuple[str, str, str, str]:
    held, note = mark_of(entry, "held"), mark_of(entry, "note")
    return (
        show_name(entry.name),
        "" if held is None else f"held: {show_name(held)}" if held else "held",
        ", ".join(map(show_name, facts_of(entry).tags)),
        "" if note is None else f"note: {show_name(note)}",
    )


def unknown_name(name: bytes) -> str:
    """Note that a name in `Archives/` does not belong to a snapshot."""
    return f"Archives/{show_name(name)}: not a snapshot's name; ignored"
