"""`tallac scrub`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define
from tallac.cli.output.display import show_size
from tallac.cli.output.progress import ProgressLine
from tallac.cli.reports.findings import json_counts, show_share, tell_findings
from tallac.wording import pluralize


@define(
    "scrub",
    [argument("location", "FOLDER|URL|ALIAS:")],
    examples=("tallac scrub /media/usb/vault", "tallac scrub home:"),
)
def command(run: CommandContext, location: str) -> int:
    """Find damage in a vault without any key.

    A vault's packs and index objects are named by the hash of their bytes: all of them are read, and compared with their names.
    No key is needed, no configuration, and nothing is changed. What is damaged is named; then the exit status is 1. What is missing
    can't be told without a key: `tallac check` finds that.
    """
    with ProgressLine(run.output) as line:
        report = run.client.scrub(location, progress=lambda report: line.show(show_share(report), json_counts(report)))
    tell_findings(run, report)
    if run.output.is_json:
        run.output.record(type="summary", healthy=report.is_healthy, **json_counts(report))
    else:
        read = f"{pluralize(report.objects, 'object')} named by their hash, {show_size(report.bytes_read)}"
        run.output.summary({"read": read, "result": "all is well" if report.is_healthy else "damaged"})
    return 0 if report.is_healthy else 1
