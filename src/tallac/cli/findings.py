"""How a check shows what it looks at and what it finds."""

from __future__ import annotations

from tallac.cli.command import Run
from tallac.cli.display import json_name, show_size
from tallac.cli.messages import show_name
from tallac.interfaces import CheckReport, Finding


def tell_findings(run: Run, report: CheckReport) -> None:
    """Name each finding: damage as a warning, what is merely worth knowing as a note; for programs a record each as well."""
    for finding in report.findings:
        _tell(run, finding)


def _tell(run: Run, finding: Finding) -> None:
    place = "" if finding.path is None else f"{show_name(finding.path) or 'the directory itself'}: "
    if run.output.is_json:
        path = {} if finding.path is None else json_name(finding.path, "path")
        stored = {"stored": finding.stored} if finding.stored else {}
        run.output.record(type="finding", damaged=finding.damaged, what=finding.what, **stored, **path)
    if finding.damaged:
        run.output.warn(f"{place}{finding.what}")
    else:
        run.output.note(f"{place}{finding.what}")


def show_counts(report: CheckReport) -> str:
    """Say in words what was looked at."""
    return f"{report.files} files, {report.directories} directories, {report.objects} objects, {show_size(report.bytes_read)} read"


def show_share(report: CheckReport) -> str:
    """Say how much of what is to be read was read."""
    if not report.bytes_total:
        return f"{report.objects} objects, {show_size(report.bytes_read)} read"
    percent = min(100, 100 * report.bytes_read // report.bytes_total)
    return f"{report.objects} objects, {show_size(report.bytes_read)} of {show_size(report.bytes_total)} read, {percent} %"


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
