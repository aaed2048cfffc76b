"""`tallac mirror`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import json_report, show_size
from tallac.cli.output.progress import ProgressLine, Work, share_of, show_left
from tallac.errors import UsageError
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.wording import pluralize


@define(
    "mirror",
    [
        argument("source", "FOLDER|URL|ALIAS:"),
        argument("mirror", "FOLDER|URL"),
        click.Option(
            ["--only"],
            metavar="ALIAS:PATH|CAP",
            multiple=True,
            help="Copy only what is below this; may be repeated. Requires the keeper key; a verify cap is enough.",
        ),
        flag("-n", "--dry-run", text="Only show what would be copied."),
        flag("--verify", text="Also read what the mirror already has, and replace what is damaged there."),
        flag("--delete", text="Delete from the mirror what a prune has deleted from the vault; requires the keeper key."),
    ],
    examples=(
        "tallac mirror home: /media/usb/mirror",
        "tallac mirror /srv/vault /media/usb/mirror",
        "tallac mirror --only home:docs home: /media/usb/docs-only",
        "tallac mirror --delete --vault-key keeper.txt /srv/vault /media/usb/mirror",
    ),
)
def mirror(
    context: CommandContext, source: str, mirror: str, only: tuple[str, ...], dry_run: bool, verify: bool, delete: bool
) -> int:
    """Copy a vault to a mirror, or update the mirror.

    The mirror is a vault with the same keys. Only what it lacks is copied; each pack is compared
    with its name while it is read, and again as the mirror returns it. This may run alongside
    backups and prunes, and may be stopped at any time: the mirror never refers to packs that it
    does not have. No key is needed; with one, from the configuration or --vault-key, a vault that
    was rolled back is always detected, and never copied over the mirror.
    """
    if only and (verify or delete):
        raise UsageError("--only makes a partial mirror, which is checked and pruned as a vault: leave out --verify and --delete")
    options = MirrorOptions(dry_run, verifies=verify, deletes=delete)
    with ProgressLine(context.output) as line:
        report = context.client.vault.mirror(
            source, mirror, options, only=only, progress=lambda report: line.show(mirror_work(report), json_report(report))
        )
    for message in report.ignored:
        context.output.note(message)
    for message in report.problems:
        context.output.warn(message)
    if report.problems:
        context.output.warn("the mirror's directories stay unchanged, with everything below them, until this is repaired")
    if context.output.is_json:
        context.output.record(type="summary", dry_run=dry_run, complete=not report.problems, **json_report(report))
    else:
        context.output.summary(_rows(report, is_dry_run=dry_run, is_partial=bool(only)))
    return 1 if report.problems else 0


def _rows(report: MirrorReport, *, is_dry_run: bool, is_partial: bool) -> dict[str, str]:
    would = "would be " if is_dry_run else ""
    packs, index_objects = pluralize(report.packs, "pack"), pluralize(report.index_objects, "index object")
    copied = f"{packs}, {show_size(report.pack_bytes)}; {index_objects}"
    if is_partial:
        copied = f"{pluralize(report.objects, 'object')}, {show_size(report.object_bytes)}"
    rows = {f"{would}copied": copied, f"{would}updated": f"{report.states} of the registers and directories"}
    if report.replaced_packs:
        rows[f"{would}replaced"] = f"{report.replaced_packs:,} of the packs, which were damaged in the mirror"
    if report.deleted_packs:
        rows[f"{would}deleted"] = f"{pluralize(report.deleted_packs, 'pack')}, {show_size(report.deleted_bytes)}"
    return rows


def mirror_work(report: MirrorReport) -> Work:
    """Return how far a copy is."""
    if report.objects:
        copied = f"{pluralize(report.objects, 'object')} copied"
        return Work(phase="copying", counts=(copied, show_size(report.object_bytes)))
    copied = f"{pluralize(report.packs, 'pack')} copied"
    share, left = share_of(report.pack_bytes, report.pack_bytes_total), show_left(report.pack_bytes, report.pack_bytes_total)
    counts = (copied, f"{show_size(report.pack_bytes)} of {show_size(report.pack_bytes_total)}")
    return Work(phase="copying", share=share, left=left, counts=counts)
