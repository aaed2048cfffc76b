"""How a check shows what it looks at and what it finds."""

from __future__ import annotations

from tallac.check import Hit, gather
from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name, show_size
from tallac.cli.output.stderr import show_name
from tallac.interfaces import CheckReport
from tallac.wording import pluralize

NAMES_SHOWN_MAX = 8


def tell_findings(run: CommandContext, report: CheckReport) -> None:
    """Name what is hit: damage as a warning, what is merely worth knowing as a note; for programs a record each as well."""
    for hit in gather(report.findings):
        _tell(run, hit)


def _tell(run: CommandContext, hit: Hit) -> None:
    if run.output.is_json:
        path = {} if hit.path is None else json_name(hit.path, "path")
        also = {"also": [json_name(snapshot, "path") for snapshot in hit.also]} if hit.also else {}
        stored = {"stored": hit.stored} if hit.stored else {}
        run.output.record(type="finding", damaged=hit.damaged, what=hit.message, **stored, **path, **also)
    place = "" if hit.path is None else f"{show_name(hit.path) or 'the directory itself'}: "
    more = ""
    if len(hit.stored) > 1:
        names = [name[:12] for name in hit.stored if "/" not in name]
        first = ", ".join(names[:NAMES_SHOWN_MAX]) + (", ..." if len(names) > NAMES_SHOWN_MAX else "")
        more = f"; objects that are hit: {len(names)} ({first})"
    also_in = f"; also in {', '.join(map(show_name, hit.also))}" if hit.also else ""
    if hit.damaged:
        run.output.warn(f"{place}{hit.message}{more}{also_in}")
    else:
        run.output.note(f"{place}{hit.message}")


def show_counts(report: CheckReport) -> str:
    """Say in words what was looked at."""
    kinds = ((report.files, "file"), (report.directories, "directory"), (report.objects, "object"))
    looked_at = ", ".join(pluralize(count, noun) for count, noun in kinds)
    total = f" of {show_size(report.bytes_total)}" if report.bytes_total > report.bytes_read else ""
    return f"{looked_at}, {show_size(report.bytes_read)}{total} read"


def show_share(report: CheckReport) -> str:
    """Say how much of what is to be read was read."""
    objects = pluralize(report.objects, "object")
    if not report.bytes_total:
        return f"{objects}, {show_size(report.bytes_read)} read"
    percent = min(100, 100 * report.bytes_read // report.bytes_total)
    return f"{objects}, {show_size(report.bytes_read)} of {show_size(report.bytes_total)} read, {percent} %"


def json_counts(report: CheckReport) -> dict[str, object]:
    """Give what was looked at, for programs."""
    return {
        "files": report.files,
        "directories": report.directories,
        "objects": report.objects,
        "bytes_read": report.bytes_read,
        "bytes_total": report.bytes_total,
        "findings": len(report.findings),
    }
