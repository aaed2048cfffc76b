"""`tallac check`."""

from __future__ import annotations

from tallac.cli.command import Run, argument, define, flag
from tallac.cli.findings import json_counts, show_counts, tell_findings
from tallac.cli.progress import ProgressLine


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
        report = run.client.check(
            place, read_data=read_data, progress=lambda report: line.show(show_counts(report), json_counts(report))
        )
    tell_findings(run, report)
    if run.output.is_json:
        run.output.record(type="summary", healthy=report.is_healthy, **json_counts(report))
    else:
        run.output.summary({"checked": show_counts(report), "result": "all is well" if report.is_healthy else "damaged"})
    return 0 if report.is_healthy else 1
