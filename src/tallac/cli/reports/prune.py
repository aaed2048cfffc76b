"""The report of a prune, which `tallac prune` and `tallac forget --prune` make."""

from __future__ import annotations

from datetime import datetime

from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_report, show_size
from tallac.cli.output.progress import ProgressLine, Work, share_of
from tallac.vault.prune.report import PruneOptions, PrunePhase, PruneReport
from tallac.wording import pluralize

_FOR_PEOPLE = ("phase", "marked_objects", "objects_total", "packs_left")


def prune_and_report(context: CommandContext, alias: str, options: PruneOptions, *, record: str = "summary") -> int:
    """Prune the vault of an alias, report it, and return the exit status; `record` is the type of the JSON record at the end."""
    is_reported = False

    def show(report: PruneReport) -> None:
        nonlocal is_reported
        line.show(prune_work(report), _fields(report))
        if report.waiting_sessions and not is_reported and not context.output.shows_progress:
            context.output.note("waiting for a backup that is running or was killed; nothing in use is deleted meanwhile")
            is_reported = True

    with ProgressLine(context.output) as line:
        report = context.client.vault.prune(alias, options, progress=show)
    for message in report.skipped:
        context.output.warn(message)
    for message in (*report.ignored, *held_back(report)):
        context.output.note(message)
    if report.missing_objects:
        context.output.warn(
            f"{pluralize(report.missing_objects, 'object')} in use can't be found in any pack that is there; "
            "`tallac check` names what is hit, and `tallac repair` and the next backup heal what they can"
        )
    if report.unmoved_packs:
        context.output.warn(
            f"{pluralize(report.unmoved_packs, 'pack')} could not be emptied, because there is no room to move what is in use; "
            f"free {show_size(report.room_needed)} on the vault's disk and prune again"
        )
    if report.locked_packs:
        context.output.note(
            f"{pluralize(report.locked_packs, 'pack')} could not be deleted yet, because the store keeps them locked; "
            "a prune deletes them when that is over"
        )
    if report.locked_until and report.deleted_packs:
        day = datetime.fromtimestamp(report.locked_until).astimezone().strftime("%Y-%m-%d")
        context.output.note(f"the store keeps former versions of what was deleted while they are locked, until {day} at the latest")
    if context.output.is_json:
        context.output.record(type=record, dry_run=options.is_dry_run, **_fields(report))
    else:
        context.output.summary(_rows(report, is_dry_run=options.is_dry_run))
    return 1 if report.skipped or report.unmoved_packs else 0


def held_back(report: PruneReport) -> list[str]:
    """Return what to say of what a prune has left to sessions, a sentence each."""
    said = [*report.lasting_sessions, *report.entering_sessions]
    if report.entering_bytes:
        kept = f"{pluralize(report.entering_objects, 'object')}, {show_size(report.entering_bytes)}"
        said.append(f"sessions that enter a snapshot keep {kept}, to which nothing else leads")
    return said


def _rows(report: PruneReport, *, is_dry_run: bool) -> dict[str, str]:
    would = "would be " if is_dry_run else ""
    return {
        "in use": f"{pluralize(report.alive_objects, 'object')}, {show_size(report.alive_bytes)}",
        "unused": f"{pluralize(report.dead_objects, 'object')}, {show_size(report.dead_bytes)}",
        f"{would}deleted": f"{pluralize(report.deleted_packs, 'pack')}, {show_size(report.deleted_bytes)}",
        f"{would}repacked": f"{report.repacked_packs:,} of them, {show_size(report.written_bytes)} moved",
        f"{would}freed": show_size(max(report.freed_bytes, 0)),
    }


def prune_work(report: PruneReport) -> Work:
    """Return what people see of a prune's progress."""
    deleted = f"{pluralize(report.deleted_packs, 'pack')} deleted"
    if report.phase is PrunePhase.WAITING and report.waiting_sessions:
        return Work(phase=f"waiting for {pluralize(report.waiting_sessions, 'backup')}", counts=(deleted,))
    if report.phase is PrunePhase.MARKING:
        marked = f"{pluralize(report.marked_objects, 'object')} in use"
        return Work(phase="marking", share=share_of(report.marked_objects, report.objects_total), counts=(marked, deleted))
    share = share_of(report.deleted_packs, report.deleted_packs + report.packs_left)
    left = f"{pluralize(report.packs_left, 'pack')}" if report.packs_left else ""
    sizes = f"{show_size(report.deleted_bytes)} deleted", f"{show_size(report.written_bytes)} moved"
    return Work(phase="deleting", share=share, left=left, counts=(deleted, *sizes))


def _fields(report: PruneReport) -> dict[str, object]:
    return json_report(report, without=_FOR_PEOPLE) | {"freed_bytes": report.freed_bytes}
