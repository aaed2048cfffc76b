"""`tallac prune`."""

from __future__ import annotations

import re

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import show_size
from tallac.cli.output.progress import ProgressLine
from tallac.errors import UsageError
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.wording import pluralize

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@define(
    "prune",
    [
        argument("alias", "ALIAS:", default=""),
        flag("-n", "--dry-run", text="Only show what would be freed."),
        click.Option(
            ["--max-unused"],
            metavar="PERCENT",
            default="5%",
            show_default=True,
            help="Put up with so much unused space in a pack before what is in use moves to another.",
        ),
        click.Option(
            ["--fence-after"],
            metavar="DURATION",
            default="2m",
            show_default=True,
            help="Go on without a writer that has shown no sign of life for so long, as in 30s, 10m, 12h.",
        ),
    ],
    examples=(
        "tallac prune home:",
        "tallac prune --dry-run home:",
        "tallac prune --grid /media/usb/vault --vault-key keeper.txt",
    ),
)
def command(run: CommandContext, alias: str, dry_run: bool, max_unused: str, fence_after: str) -> int:
    """Delete what nothing leads to, and give back its space.

    It goes over the whole vault of the alias. A keeper key suffices, and nothing is read but links. It may run beside backups and
    other prunes, and may be stopped at any time.
    """
    options = PruneOptions(dry_run, _share(max_unused), _seconds(fence_after))
    told = 0

    def show(report: PruneReport) -> None:
        nonlocal told
        line.show(_state(report), _fields(report))
        if report.waiting_sessions and not told and not run.output.shows_progress:
            run.output.note("waiting for a backup that is under way, or was killed; nothing in use is touched meanwhile")
            told = 1

    with ProgressLine(run.output) as line:
        report = run.client.prune(alias, options, progress=show)
    for message in report.skipped:
        run.output.warn(message)
    if report.unmoved_packs:
        run.output.warn(
            f"{pluralize(report.unmoved_packs, 'pack')} could not be emptied: there is no room to move what is in use elsewhere; "
            f"free {show_size(report.room_needed)} beside the vault and prune again"
        )
    if run.output.is_json:
        run.output.record(type="summary", dry_run=dry_run, **_fields(report))
    else:
        run.output.summary(_rows(report, is_dry_run=dry_run))
    return 1 if report.skipped or report.unmoved_packs else 0


def _rows(report: PruneReport, *, is_dry_run: bool) -> dict[str, str]:
    would = "would be " if is_dry_run else ""
    return {
        "in use": f"{pluralize(report.alive_objects, 'object')}, {show_size(report.alive_bytes)}",
        "unused": f"{pluralize(report.dead_objects, 'object')}, {show_size(report.dead_bytes)}",
        f"{would}deleted": f"{pluralize(report.deleted_packs, 'pack')}, {show_size(report.deleted_bytes)}",
        f"{would}repacked": f"{report.repacked_packs} of them, {show_size(report.written_bytes)} moved",
        f"{would}freed": show_size(max(report.freed_bytes, 0)),
    }


def _state(report: PruneReport) -> str:
    if report.waiting_sessions:
        return f"waiting for {pluralize(report.waiting_sessions, 'session')}; {pluralize(report.deleted_packs, 'pack')} deleted"
    in_use, deleted = pluralize(report.alive_objects, "object"), pluralize(report.deleted_packs, "pack")
    return f"{in_use} in use, {report.dead_objects} unused, {deleted} deleted"


def _fields(report: PruneReport) -> dict[str, object]:
    return {
        "alive_objects": report.alive_objects,
        "alive_bytes": report.alive_bytes,
        "dead_objects": report.dead_objects,
        "dead_bytes": report.dead_bytes,
        "deleted_packs": report.deleted_packs,
        "deleted_bytes": report.deleted_bytes,
        "repacked_packs": report.repacked_packs,
        "written_packs": report.written_packs,
        "written_bytes": report.written_bytes,
        "freed_bytes": report.freed_bytes,
        "waiting_sessions": report.waiting_sessions,
        "skipped": report.skipped,
        "unmoved_packs": report.unmoved_packs,
        "room_needed": report.room_needed,
    }


def _share(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)%?", text, re.ASCII)
    if match is None or float(match[1]) > 100:
        raise UsageError(f"--max-unused {text}: give a percentage from 0 to 100, as in 5%")
    return float(match[1]) / 100


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text, re.ASCII)
    if match is None:
        raise UsageError(f"--fence-after {text}: give a number of seconds, or one with m, h or d, as in 10m")
    return float(int(match[1]) * _SECONDS[match[2]])
