"""`tallac snapshots`."""

from __future__ import annotations

from tallac.cli.command import Run, argument, define
from tallac.cli.display import json_name, show_size, table
from tallac.cli.messages import show_name
from tallac.dag import Entry, SnapshotFacts

HEADINGS = ("snapshot", "host", "source", "files", "bytes", "new bytes", "")


@define("snapshots", [argument("place", "[ALIAS:TO]", default="")], examples=("tallac snapshots home:docs",))
def command(run: Run, place: str) -> None:
    """List the snapshots of a target.

    A snapshot's name is its time in UTC. The list shows where each comes from, what it holds, and what it added to the vault.
    Snapshots that lack something that could not be read are marked as incomplete.
    """
    snapshots = run.client.snapshots(place)
    if run.output.is_json:
        for entry in snapshots:
            run.output.record(**_fields(entry))
        return
    for line in table([HEADINGS, *map(_row, snapshots)], right=(3, 4, 5)):
        run.output.line(line)


def _row(entry: Entry) -> tuple[str, ...]:
    facts = entry.metadata.snapshot
    name = show_name(entry.name)
    if facts is None:
        return (name, "", "", "", "", "", "")
    mark = f"incomplete: {facts.unreadable} not read" if facts.unreadable else ""
    sources = ", ".join(map(show_name, facts.sources))
    return (name, show_name(facts.host), sources, str(facts.files), show_size(facts.size), show_size(facts.bytes_stored), mark)


def _fields(entry: Entry) -> dict[str, object]:
    facts = entry.metadata.snapshot or SnapshotFacts()
    return json_name(entry.name, "snapshot") | {
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
        "version": facts.version,
    }
