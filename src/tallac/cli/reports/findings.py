"""How a check shows what it looks at and what it finds."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name, json_report, show_size
from tallac.cli.output.progress import Work, share_of, show_left
from tallac.cli.output.stderr import show_name
from tallac.dag.snapshot_name import ARCHIVES, LATEST
from tallac.interfaces import CheckReport, Finding
from tallac.wording import pluralize

NAMES_SHOWN_MAX = 8


class Hit(msgspec.Struct):
    """One file or directory, or part of the grid itself, with what is wrong with it.

    Attributes:
        path: Where it is; of several places the one in the newest snapshot. None where no path is known.
        message: A sentence on the first thing that is wrong.
        damaged: As in `Finding`.
        stored: The names of the stored things that are hit.
        also: The snapshots in which the same is wrong at the same place, each as the path of the snapshot.
    """

    path: bytes | None
    message: str
    damaged: bool
    stored: list[str] = msgspec.field(default_factory=list)
    also: list[bytes] = msgspec.field(default_factory=list)


def group_findings(findings: Iterable[Finding]) -> list[Hit]:
    """Group findings: one hit for each file, whatever the number of snapshots; without paths one for each cause."""
    hits: dict[object, Hit] = {}
    for finding in findings:
        place = (finding.path, finding.damaged, None if finding.path is not None and finding.damaged else finding.message)
        hit = hits.setdefault(place, Hit(finding.path, finding.message, finding.damaged))
        if finding.stored:
            hit.stored.append(finding.stored)
    return _across_snapshots(list(hits.values()))


def _across_snapshots(hits: list[Hit]) -> list[Hit]:
    groups: dict[object, list[Hit]] = {}
    for hit in hits:
        target, _, rest = _snapshot_of(hit.path)
        key = id(hit) if hit.path is None else (target, rest, hit.message, hit.damaged, tuple(hit.stored))
        groups.setdefault(key, []).append(hit)
    return [_newest(group) for group in groups.values()]


def _newest(group: list[Hit]) -> Hit:
    """Return the hit in `Latest`, or else in the snapshot whose name comes last, and name the other snapshots in it."""
    if len(group) == 1:
        return group[0]
    chosen = max(group, key=lambda hit: (_snapshot_of(hit.path)[1][:1] == [LATEST], hit.path or b""))
    for hit in group:
        if hit is not chosen:
            target, snapshot, _ = _snapshot_of(hit.path)
            chosen.also.append(b"/".join([*target, *snapshot]))
    return chosen


def _snapshot_of(path: bytes | None) -> tuple[tuple[bytes, ...], list[bytes], bytes]:
    """Divide a path: the target, the snapshot in it (`Latest`, or `Archives` and a name; empty for neither), and what is below."""
    parts = [] if path is None else path.split(b"/")
    for place, part in enumerate(parts):
        if part == LATEST:
            return tuple(parts[:place]), parts[place : place + 1], b"/".join(parts[place + 1 :])
        if part == ARCHIVES and place + 1 < len(parts):
            return tuple(parts[:place]), parts[place : place + 2], b"/".join(parts[place + 2 :])
    return (), [], b"/".join(parts)


def report_findings(context: CommandContext, report: CheckReport) -> None:
    """Name what is hit: damage as a warning, what is merely worth knowing as a note; for programs a record each as well."""
    for hit in group_findings(report.findings):
        _report(context, hit)


def _report(context: CommandContext, hit: Hit) -> None:
    if context.output.is_json:
        path = {} if hit.path is None else json_name(hit.path, "path")
        also = {"also": [json_name(snapshot, "path") for snapshot in hit.also]} if hit.also else {}
        stored = {"stored": hit.stored} if hit.stored else {}
        context.output.record(type="finding", damaged=hit.damaged, what=hit.message, **stored, **path, **also)
    place = "" if hit.path is None else f"{show_name(hit.path) or 'the directory itself'}: "
    more = ""
    if len(hit.stored) > 1:
        names = [name[:12] for name in hit.stored if "/" not in name]
        first = ", ".join(names[:NAMES_SHOWN_MAX]) + (", ..." if len(names) > NAMES_SHOWN_MAX else "")
        more = f"; damaged objects: {len(names):,} ({first})"
    also_in = f"; also in {', '.join(map(show_name, hit.also))}" if hit.also else ""
    if hit.damaged:
        context.output.warn(f"{place}{hit.message}{more}{also_in}")
    else:
        context.output.note(f"{place}{hit.message}")


def show_counts(report: CheckReport) -> str:
    """Return in words what was checked."""
    looked_at = ", ".join(pluralize(count, noun) for count, noun in _kinds(report))
    total = f" of {show_size(report.bytes_total)}" if report.bytes_total > report.bytes_read else ""
    return f"{looked_at}, {show_size(report.bytes_read)}{total} read"


def check_work(report: CheckReport) -> Work:
    """Return what people see of a check's progress."""
    counts = [pluralize(count, noun) for count, noun in _kinds(report) if count]
    if report.bytes_total:
        counts = [f"{show_size(report.bytes_read)} of {show_size(report.bytes_total)}", *counts]
        share, left = share_of(report.bytes_read, report.bytes_total), show_left(report.bytes_read, report.bytes_total)
        return Work(phase=report.phase, share=share, left=left, counts=tuple(counts))
    counts.append(f"{show_size(report.bytes_read)} read")
    return Work(phase=report.phase, share=share_of(report.objects, report.objects_total), counts=tuple(counts))


def _kinds(report: CheckReport) -> tuple[tuple[int, str], ...]:
    return (report.files, "file"), (report.directories, "directory"), (report.objects, "object")


def json_counts(report: CheckReport) -> dict[str, object]:
    """Return what was checked, for JSON: the findings by their number."""
    return json_report(report, without=("findings", "phase", "objects_total")) | {"findings": len(report.findings)}
