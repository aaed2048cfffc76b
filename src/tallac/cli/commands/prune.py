"""`tallac prune`."""

from __future__ import annotations

import re

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import Option, argument, flag
from tallac.cli.output.display import json_report, show_size
from tallac.cli.output.progress import ProgressLine
from tallac.errors import UsageError
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.wording import pluralize

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@define(
    "prune",
    [
        argument("alias", "ALIAS:", default=""),
        flag("-n", "--dry-run", text="Only show what would be deleted."),
        click.Option(
            ["--max-unused"],
            metavar="PERCENT",
            default="5%",
            show_default=True,
            help="Repack a pack when more than this share of it is unused.",
        ),
        Option(
            ["--session-timeout"],
            metavar="DURATION",
            default="2m",
            show_default=True,
            help="Continue without a writer that has not been heard of for so long, as in 30s, 10m, 12h.",
            synonyms=("--fence-after",),
        ),
    ],
    examples=(
        "tallac prune home:",
        "tallac prune --dry-run home:",
        "tallac prune --vault /media/usb/vault --vault-key keeper.txt",
    ),
)
def prune(context: CommandContext, alias: str, dry_run: bool, max_unused: str, session_timeout: str) -> int:
    """Delete unreferenced data and reclaim its space.

    This covers the whole vault of the alias. The keeper key is enough; only references between
    objects are read, and no content. It may run alongside backups and other prunes, and may be
    stopped at any time.
    """
    options = PruneOptions(dry_run, _share(max_unused), _seconds(session_timeout))
    is_reported = False

    def show(report: PruneReport) -> None:
        nonlocal is_reported
        line.show(_state(report), _fields(report))
        if report.waiting_sessions and not is_reported and not context.output.shows_progress:
            context.output.note("waiting for a backup that is running or was killed; nothing in use is deleted meanwhile")
            is_reported = True

    with ProgressLine(context.output) as line:
        report = context.client.vault.prune(alias, options, progress=show)
    for message in report.skipped:
        context.output.warn(message)
    if report.unmoved_packs:
        context.output.warn(
            f"{pluralize(report.unmoved_packs, 'pack')} could not be emptied, because there is no room to move what is in use; "
            f"free {show_size(report.room_needed)} on the vault's disk and prune again"
        )
    if context.output.is_json:
        context.output.record(type="summary", dry_run=dry_run, **_fields(report))
    else:
        context.output.summary(_rows(report, is_dry_run=dry_run))
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
    return json_report(report) | {"freed_bytes": report.freed_bytes}


def _share(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)%?", text, re.ASCII)
    if match is None or float(match[1]) > 100:
        raise UsageError(f"--max-unused {text}: give a percentage from 0 to 100, as in 5%")
    return float(match[1]) / 100


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text, re.ASCII)
    if match is None:
        raise UsageError(f"--session-timeout {text}: give a number of seconds, or one with m, h or d, as in 10m")
    return float(int(match[1]) * _SECONDS[match[2]])
