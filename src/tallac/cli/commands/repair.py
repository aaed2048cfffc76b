"""`tallac repair`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import show_size
from tallac.cli.output.progress import ProgressLine
from tallac.vault.repair.report import RepairOptions, RepairReport


@define(
    "repair",
    [
        argument("alias", "ALIAS:", default=""),
        click.Option(["--from", "mirror"], metavar="FOLDER|URL|ALIAS:", help="A mirror to get things from that are damaged here."),
        flag("-n", "--dry-run", text="Only show what would be done."),
        flag("--quick", text="Believe each pack that has the right size, instead of reading it."),
        flag("--end-sessions", text="End sessions that killed runs have left; only when nothing else uses the vault."),
    ],
    examples=(
        "tallac repair home:",
        "tallac repair --from /media/usb/mirror home:",
        "tallac repair --dry-run --grid /media/usb/vault --vault-key keeper.txt",
    ),
)
def command(run: CommandContext, alias: str, mirror: str | None, dry_run: bool, quick: bool, end_sessions: bool) -> int:
    """Put right what is damaged in a vault.

    Headers, index and roots are made again from what is left. Damaged and lost packs come from a mirror, if one is given. Otherwise
    damaged packs are put aside with all their bytes, what is whole in them is stored again, and the next backup stores the rest
    anew. Nothing that could be restored before is lost. A keeper key suffices, but for looking into damaged packs. If anything is
    still missing at the end, it is said, and the exit status is 1.
    """
    options = RepairOptions(dry_run, is_quick=quick, ends_sessions=end_sessions)
    with ProgressLine(run.output) as line:
        report = run.client.repair(
            alias, mirror=mirror, options=options, progress=lambda report: line.show(_state(report), _fields(report))
        )
    for message in report.left:
        run.output.warn(message)
    if run.output.is_json:
        run.output.record(type="summary", dry_run=dry_run, healthy=report.is_healthy, **_fields(report))
        return 0 if report.is_healthy else 1
    if not run.output.is_quiet:
        for message in report.done:
            run.output.line(message)
    run.output.summary({"result": _result(report, is_dry_run=dry_run)})
    return 0 if report.is_healthy else 1


def _result(report: RepairReport, *, is_dry_run: bool) -> str:
    if not report.is_healthy:
        return "not all could be put right"
    if not report.done:
        return "there is nothing to repair"
    return "this is what would be done" if is_dry_run else "all is well"


def _state(report: RepairReport) -> str:
    return f"{show_size(report.bytes_read)} of {show_size(report.bytes_total)} read"


def _fields(report: RepairReport) -> dict[str, object]:
    return {
        "done": report.done,
        "left": report.left,
        "healed_packs": report.healed_packs,
        "aside_packs": report.aside_packs,
        "lost_packs": report.lost_packs,
        "fetched_objects": report.fetched_objects,
        "salvaged_objects": report.salvaged_objects,
        "missing_objects": report.missing_objects,
        "bytes_read": report.bytes_read,
        "bytes_total": report.bytes_total,
    }
