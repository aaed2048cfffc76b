"""`tallac repair`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option
from tallac.cli.output.display import json_report, show_size
from tallac.cli.output.progress import ProgressLine, Work, share_of, show_left
from tallac.vault.repair.report import RepairOptions, RepairReport


@define(
    "repair",
    [
        argument("alias", "ALIAS:", default=""),
        option("--from", "mirror", metavar="FOLDER|URL|ALIAS:", text="A mirror to copy damaged and lost data from."),
        flag("-n", "--dry-run", text="Only show what would be done."),
        flag("--quick", text="Trust packs that have the right size, instead of reading them."),
        flag(
            "--remove-stale-sessions",
            text="Remove sessions that killed runs have left; only when nothing else uses the vault.",
            synonyms=("--end-sessions",),
        ),
    ],
    examples=(
        "tallac repair home:",
        "tallac repair --from /media/usb/mirror home:",
        "tallac repair --dry-run --vault /media/usb/vault --vault-key keeper.txt",
    ),
)
def repair(context: CommandContext, alias: str, mirror: str | None, dry_run: bool, quick: bool, remove_stale_sessions: bool) -> int:
    """Repair damage in a vault.

    Headers, index and roots are rebuilt from what is left. Damaged and lost packs are copied from a
    mirror, if one is given. Otherwise damaged packs are moved to the folder damaged/ with all their
    bytes, intact objects in them are stored again, and the next backup stores the rest again.
    Nothing that could be restored before is lost. A keeper key is enough; with read caps, what
    somebody stored under the name of other content is found and taken out of use as well. If
    anything is still missing at the end, it is reported, and the exit status is 1.
    """
    options = RepairOptions(dry_run, is_quick=quick, ends_sessions=remove_stale_sessions)
    with ProgressLine(context.output) as line:
        report = context.client.vault.repair(
            alias, mirror=mirror, options=options, progress=lambda report: line.show(_work(report), json_report(report))
        )
    for message in report.left:
        context.output.warn(message)
    if context.output.is_json:
        context.output.record(type="summary", dry_run=dry_run, healthy=report.is_healthy, **json_report(report))
        return 0 if report.is_healthy else 1
    if not context.output.is_quiet:
        for message in report.done:
            context.output.line(message)
    context.output.summary({"result": _result(report, is_dry_run=dry_run)})
    return 0 if report.is_healthy else 1


def _result(report: RepairReport, *, is_dry_run: bool) -> str:
    if not report.is_healthy:
        return "some damage could not be repaired"
    if not report.done:
        return "nothing to repair"
    return "this would be done" if is_dry_run else "repaired"


def _work(report: RepairReport) -> Work:
    share, left = share_of(report.bytes_read, report.bytes_total), show_left(report.bytes_read, report.bytes_total)
    counts = (f"{show_size(report.bytes_read)} of {show_size(report.bytes_total)} read",)
    return Work(phase="reading packs", share=share, left=left, counts=counts)
