"""`tallac move-vault`."""

from __future__ import annotations

from tallac.app.locations.deleting import how_to_delete
from tallac.app.operations.moving import MoveProgress, MoveReport
from tallac.cli.command import CommandContext, define
from tallac.cli.commands.mirror import mirror_work
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import json_report, show_size
from tallac.cli.output.progress import ProgressLine
from tallac.cli.reports.findings import check_work
from tallac.interfaces import CheckReport
from tallac.vault.mirror.report import MirrorReport
from tallac.wording import pluralize


@define(
    "move-vault",
    [
        argument("vault", "ALIAS:|FOLDER|URL"),
        argument("to", "FOLDER|URL"),
        flag("-n", "--dry-run", text="Only show what would be copied."),
        flag("--no-copy", text="Copy nothing: the vault is there already, as after a move from another machine."),
    ],
    examples=(
        "tallac move-vault home: s3://my-bucket/vault --store endpoint=https://s3.example.org",
        "tallac move-vault home: sftp://me@nas.local/srv/backups",
        "tallac move-vault --no-copy home: /media/usb/vault",
    ),
)
def move_vault(context: CommandContext, vault: str, to: str, dry_run: bool, no_copy: bool) -> None:
    """Move a vault to another place, and use it there.

    Copies what the new place lacks, compares each pack there with its name, and checks that all
    that is in use is there. Only then the configuration leads to the new place, with all aliases
    and jobs. Stopped at any time, the next run goes on. The old place stays as it is; how to
    delete it is printed. On other machines that use this vault, run the same with --no-copy. If
    both places are one, as where an option of the store is to change, nothing is copied.
    """
    with ProgressLine(context.output) as line:
        progress = MoveProgress(
            lambda report: line.show(mirror_work(report), _progress("copying", copied=report)),
            lambda report: line.show(check_work(report), _progress("checking", checked=report)),
        )
        report = context.client.vault.move(vault, to, copies=not no_copy, is_dry_run=dry_run, progress=progress)
    for message in report.copied.ignored:
        context.output.note(message)
    if report.unread_jobs:
        context.output.note(f"whether a job keeps a copy at {report.new} is not known: {report.unread_jobs}")
    for copy in report.misplaced:
        context.output.note(
            f"job {copy.job} keeps a copy at {copy.place}, where the vault itself is from {'then' if dry_run else 'now'} on: "
            f"edit `copies` in {copy.file}, and give {report.old} or another place"
        )
    command = "" if report.is_same_place or dry_run or no_copy else how_to_delete(report.old_url)
    if context.output.is_json:
        copied = json_report(report.copied)
        context.output.record(
            type="summary",
            dry_run=dry_run,
            moved=report.is_moved,
            old=report.old,
            new=report.new,
            same_place=report.is_same_place,
            aliases=report.aliases,
            misplaced_copies=report.misplaced,
            delete_command=command,
            objects=report.checked.objects,
            **{key: copied[key] for key in ("packs", "pack_bytes", "index_objects", "states")},
        )
        return
    context.output.summary(_rows(report, is_dry_run=dry_run, is_copied=not no_copy and not report.is_same_place))
    if command:
        context.output.note(f"{report.old} was left as it is; once you have tried a restore, `{command}` deletes it")
        context.output.note(
            "run the same with --no-copy on other machines that use this vault, and make a new recovery kit: "
            "what is written to the old place from now on stays there"
        )


def _progress(phase: str, copied: MirrorReport | None = None, checked: CheckReport | None = None) -> dict[str, object]:
    return {
        "phase": phase,
        "packs": 0 if copied is None else copied.packs,
        "pack_bytes": 0 if copied is None else copied.pack_bytes,
        "pack_bytes_total": 0 if copied is None else copied.pack_bytes_total,
        "objects": 0 if checked is None else checked.objects,
    }


def _rows(report: MoveReport, *, is_dry_run: bool, is_copied: bool) -> dict[str, str]:
    would = "would be " if is_dry_run else ""
    rows: dict[str, str] = {}
    if is_copied:
        copied = report.copied
        packs, index_objects = pluralize(copied.packs, "pack"), pluralize(copied.index_objects, "index object")
        rows[f"{would}copied"] = f"{packs}, {show_size(copied.pack_bytes)}; {index_objects}"
    if is_dry_run:
        return rows
    rows["checked"] = f"{pluralize(report.checked.objects, 'object')}, no damage found"
    what = "the same place, reached in another way" if report.is_same_place else report.new
    aliases = ", ".join(f"{alias}:" for alias in report.aliases) or "no alias"
    rows["in use"] = f"{what}, for {aliases}"
    return rows
