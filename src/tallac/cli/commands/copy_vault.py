"""`tallac copy-vault`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import show_size
from tallac.cli.output.progress import ProgressLine
from tallac.errors import UsageError
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.wording import pluralize


@define(
    "copy-vault",
    [
        argument("source", "FOLDER|URL|ALIAS:"),
        argument("mirror", "FOLDER|URL"),
        click.Option(
            ["--only"],
            metavar="ALIAS:PATH|CAP",
            multiple=True,
            help="Copy only what hangs there; may be given several times. Takes the keeper key; a verify cap suffices.",
        ),
        flag("-n", "--dry-run", text="Only show what would be copied."),
        flag("--verify", text="Read what the mirror has already, too, and replace what is damaged there."),
        flag("--delete", text="Delete from the mirror what a prune has deleted from the vault; takes the keeper key."),
    ],
    examples=(
        "tallac copy-vault home: /media/usb/mirror",
        "tallac copy-vault /srv/vault /media/usb/mirror",
        "tallac copy-vault --only home:docs home: /media/usb/docs-only",
        "tallac copy-vault --delete --vault-key keeper.txt /srv/vault /media/usb/mirror",
    ),
)
def command(run: CommandContext, source: str, mirror: str, only: tuple[str, ...], dry_run: bool, verify: bool, delete: bool) -> int:
    """Copy a vault to a mirror, or what is new in it.

    The mirror is a vault with the same keys. Only what it lacks is copied; each pack is compared with its name while it is read,
    and as the mirror gives it back. It may run beside backups and prunes, and may be stopped at any time: the mirror is never ahead
    of its packs. No key is needed; with one, which the configuration has or --vault-key names, a vault that was rolled back is
    noticed for certain, and never copied over the mirror.
    """
    if only and (verify or delete):
        raise UsageError("--only makes a partial mirror, which is checked and pruned as a vault: leave out --verify and --delete")
    options = MirrorOptions(dry_run, verifies=verify, deletes=delete)
    with ProgressLine(run.output) as line:
        report = run.client.copy_vault(
            source, mirror, options, only=only, progress=lambda report: line.show(_state(report), _fields(report))
        )
    for message in report.problems:
        run.output.warn(message)
    if report.problems:
        run.output.warn("the mirror's directories stay as they were, with all that they lead to, until this is repaired")
    if run.output.is_json:
        run.output.record(type="summary", dry_run=dry_run, complete=not report.problems, **_fields(report))
    else:
        run.output.summary(_rows(report, is_dry_run=dry_run, is_partial=bool(only)))
    return 1 if report.problems else 0


def _rows(report: MirrorReport, *, is_dry_run: bool, is_partial: bool) -> dict[str, str]:
    would = "would be " if is_dry_run else ""
    packs, index_objects = pluralize(report.packs, "pack"), pluralize(report.index_objects, "index object")
    copied = f"{packs}, {show_size(report.pack_bytes)}; {index_objects}"
    if is_partial:
        copied = f"{pluralize(report.objects, 'object')}, {show_size(report.object_bytes)}"
    rows = {f"{would}copied": copied, f"{would}updated": f"{report.states} of the registers and directories"}
    if report.replaced_packs:
        rows[f"{would}replaced"] = f"{report.replaced_packs} of the packs, which the mirror had damaged"
    if report.deleted_packs:
        rows[f"{would}deleted"] = f"{pluralize(report.deleted_packs, 'pack')}, {show_size(report.deleted_bytes)}"
    return rows


def _state(report: MirrorReport) -> str:
    if report.objects:
        return f"{pluralize(report.objects, 'object')} copied, {show_size(report.object_bytes)}"
    return f"{pluralize(report.packs, 'pack')} copied, {show_size(report.pack_bytes)} of {show_size(report.pack_bytes_total)}"


def _fields(report: MirrorReport) -> dict[str, object]:
    return {
        "packs": report.packs,
        "pack_bytes": report.pack_bytes,
        "pack_bytes_total": report.pack_bytes_total,
        "objects": report.objects,
        "object_bytes": report.object_bytes,
        "index_objects": report.index_objects,
        "states": report.states,
        "replaced_packs": report.replaced_packs,
        "deleted_packs": report.deleted_packs,
        "deleted_bytes": report.deleted_bytes,
        "problems": report.problems,
    }
