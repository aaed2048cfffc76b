"""`tallac deep-check`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.progress import ProgressLine
from tallac.cli.reports.findings import json_counts, show_counts, tell_findings


@define(
    "deep-check",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("--read-data", "--verify", text="Have everything read, and check that every byte is right."),
        flag("--repair", text="On a Tahoe-LAFS grid: make missing shares anew."),
        flag("--add-lease", text="On a Tahoe-LAFS grid: renew the leases, so that nothing expires."),
    ],
    examples=("tallac deep-check -d ~/.tahoe --repair --add-lease tahoe:docs",),
)
def command(run: CommandContext, place: str, read_data: bool, repair: bool, add_lease: bool) -> int:
    """Check all that hangs below a place, and repair it on a Tahoe-LAFS grid.

    On a vault it is the same as `tallac check`, without the vault's own parts. Each trouble is named on standard error; if anything
    stays damaged, the exit status is 1.
    """
    with ProgressLine(run.output) as line:
        report = run.client.deep_check(
            place,
            read_data=read_data,
            repair=repair,
            add_lease=add_lease,
            progress=lambda report: line.show(show_counts(report), json_counts(report)),
        )
    tell_findings(run, report)
    if run.output.is_json:
        run.output.record(type="summary", healthy=report.is_healthy, **json_counts(report))
    else:
        run.output.summary({"checked": show_counts(report), "result": "all is well" if report.is_healthy else "damaged"})
    return 0 if report.is_healthy else 1
