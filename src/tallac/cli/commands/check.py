"""`tallac check`."""

from __future__ import annotations

from tallac.cli.command import Run, argument, define, flag
from tallac.cli.display import json_name, show_size
from tallac.cli.messages import show_name
from tallac.cli.progress import ProgressLine
from tallac.interfaces import CheckReport, Finding


@define(
    "check",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("--read-data", text="Read everything, and check that every byte is right."),
    ],
    examples=("tallac check home:", "tallac check --read-data home:docs/Latest"),
)
def command(run: Run, place: str, read_data: bool) -> int:
    """Check that all is there, and that its bytes are right.

    All that hangs below the place is looked up; for an alias itself, the vault's own parts as well. A verify cap suffices. Nothing
    is changed. Each trouble is named on standard error; if anything is damaged, the exit status is 1.
    """
    with ProgressLine(run.output) as line:
        report = run.client.check(place, read_data=read_data, progress=lambda report: line.show(_counts(report), _fields(report)))
    for finding in report.findings:
        _tell(run, finding)
    if run.output.is_json:
        run.output.record(type="summary", healthy=report.is_healthy, **_fields(report))
    else:
        run.output.summary({"checked": _counts(report), "result": "all is well" if report.is_healthy else "damaged"})
    return 0 if report.is_healthy else 1


def _tell(run: Run, finding: Finding) -> None:
    place = "" if finding.path is None else f"{show_name(finding.path) or 'the directory itself'}: "
    if run.output.is_json:
        path = {} if finding.path is None else json_name(finding.path, "path")
        run.output.record(type="finding", damaged=finding.damaged, what=finding.what, **path)
    if finding.damaged:
        run.output.warn(f"{place}{finding.what}")
    else:
        run.output.note(f"{place}{finding.what}")


def _counts(report: CheckReport) -> str:
    return f"{report.files} files, {report.directories} directories, {report.objects} objects, {show_size(report.bytes_read)} read"


def _fields(report: CheckReport) -> dict[str, object]:
    return {
        "files": report.files,
        "directories": report.directories,
        "objects": report.objects,
        "bytes_read": report.bytes_read,
        "findings": len(report.findings),
    }
