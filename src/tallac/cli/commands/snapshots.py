"""`tallac snapshots`."""

from __future__ import annotations

from collections.abc import Sequence

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument
from tallac.cli.options.snapshots import choice_of, choice_options, group_by_option
from tallac.cli.output.display import json_name, show_size, table
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.snapshots import group_heading, unknown_name
from tallac.dag import Entry, mark_of
from tallac.retention.forget import GroupBy, GroupKey, group_of, parse_group_by
from tallac.retention.target import facts_of

HEADINGS = ("snapshot", "host", "source", "files", "bytes", "new bytes", "tags", "")


@define(
    "snapshots",
    [
        argument("place", "[ALIAS:TO]", default=""),
        *choice_options(),
        group_by_option("Show a table for each host, source, tags, or several of these, with commas."),
    ],
    examples=("tallac snapshots home:docs", "tallac snapshots home:docs --latest 3 --since '2 weeks ago'"),
)
def snapshots(context: CommandContext, place: str, group_by: str | None, **choice: object) -> None:
    """List the snapshots of a target, or of all targets below a path.

    A snapshot's name is its time in UTC. The list shows where each comes from, what it holds, and
    what it added to the vault. Snapshots that lack unreadable files are marked as incomplete. Holds
    and notes are shown too.
    """
    grouped = frozenset[GroupBy]() if group_by is None else parse_group_by(group_by)
    targets = context.client.snapshots.list_below(
        place, choice_of(choice), unknown=lambda name: context.output.note(unknown_name(name))
    )
    snapshots = [(target, entry) for target, entries in targets.items() for entry in entries]
    if context.output.is_json:
        for target, entry in snapshots:
            context.output.record(**_fields(target, entry))
        return
    has_targets = len(targets) > 1
    if not grouped:
        _write_table(context, snapshots, has_targets=has_targets)
        return
    groups: dict[GroupKey, list[tuple[str, Entry]]] = {}
    for target, entry in snapshots:
        groups.setdefault(group_of(entry, grouped), []).append((target, entry))
    for key, entries in groups.items():
        context.output.line(f"{group_heading(key)}:")
        _write_table(context, entries, has_targets=has_targets)


def _write_table(context: CommandContext, snapshots: Sequence[tuple[str, Entry]], *, has_targets: bool) -> None:
    rows = [("target", *HEADINGS), *((show_name(target), *_row(entry)) for target, entry in snapshots)]
    if not any(row[7] for row in rows[1:]):
        rows = [(*row[:7], row[8]) for row in rows]
    first = 0 if has_targets else 1
    for line in table([row[first:] for row in rows], right=(4 - first, 5 - first, 6 - first)):
        context.output.line(line)


def _row(entry: Entry) -> tuple[str, ...]:
    facts = entry.metadata.snapshot
    name = show_name(entry.name)
    if facts is None:
        return (name, "", "", "", "", "", "", _marks(entry))
    sources, tags = ", ".join(map(show_name, facts.sources)), ", ".join(map(show_name, facts.tags))
    sizes = f"{facts.files:,}", show_size(facts.size), show_size(facts.bytes_stored)
    return (name, show_name(facts.host), sources, *sizes, tags, _marks(entry))


def _marks(entry: Entry) -> str:
    unreadable = facts_of(entry).unreadable
    held, note = mark_of(entry, "held"), mark_of(entry, "note")
    marks = [f"incomplete: {unreadable} not read"] if unreadable else []
    marks += [] if held is None else [f"held: {show_name(held)}" if held else "held"]
    marks += [] if note is None else [f"note: {show_name(note)}"]
    return "; ".join(marks)


def _fields(target: str, entry: Entry) -> dict[str, object]:
    facts = facts_of(entry)
    return json_name(entry.name, "snapshot") | {
        "target": target,
        "host": facts.host,
        "user": facts.user,
        "sources": [json_name(source, "path") for source in facts.sources],
        "started_ns": facts.started_ns,
        "ended_ns": facts.ended_ns,
        "files": facts.files,
        "directories": facts.directories,
        "bytes": facts.size,
        "bytes_stored": facts.bytes_stored,
        "unreadable": facts.unreadable,
        "incomplete": facts.unreadable > 0,
        "tags": list(facts.tags),
        "held": mark_of(entry, "held"),
        "note": mark_of(entry, "note"),
        "version": facts.version,
    }
