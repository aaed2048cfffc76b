"""`tallac rewrite`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import json_name, show_size
from tallac.cli.output.stderr import show_name
from tallac.retention.rewrite import Removed, Rewritten
from tallac.wording import pluralize


@define(
    "rewrite",
    [
        argument("target", "ALIAS:TO"),
        click.Option(
            ["--exclude"], metavar="PATTERN", multiple=True, required=True, help="What to take out, as in a .gitignore file."
        ),
        click.Option(["--snapshot"], metavar="NAME", multiple=True, help="Only in this snapshot; may be given several times."),
        flag("-n", "--dry-run", text="Only show what would be taken out."),
    ],
    examples=(
        "tallac rewrite home:docs --exclude /secrets/passwords.txt --dry-run",
        "tallac rewrite home:docs --exclude '*.iso' --snapshot 2026-11-23_17:02:11Z",
    ),
)
def command(run: CommandContext, target: str, exclude: tuple[str, ...], snapshot: tuple[str, ...], dry_run: bool) -> None:
    """Take paths out of snapshots.

    The snapshots keep their names; only the directories on the way to what is taken out are made anew. A pattern that begins with a
    slash means a path below the snapshot itself. What was taken out is in the vault until it is pruned; this can't be undone.
    """
    rewritten = run.client.rewrite(target, exclude, snapshot, dry_run=dry_run)
    total = sum((found.removed for found in rewritten), Removed())
    if run.output.is_json:
        for found in rewritten:
            run.output.record(type="snapshot", **json_name(found.name, "snapshot"), **_fields(found))
        run.output.record(type="summary", snapshots=len(rewritten), dry_run=dry_run)
        return
    for found in rewritten:
        for path in found.paths:
            run.output.detail(f"{show_name(found.name)}: {show_name(path)}")
    files, directories = pluralize(total.files, "file"), pluralize(total.directories, "directory")
    run.output.summary(
        {
            "would change" if dry_run else "changed": pluralize(len(rewritten), "snapshot"),
            "taken out": f"{files}, {directories}, {show_size(total.size)}",
        }
    )


def _fields(found: Rewritten) -> dict[str, object]:
    return {
        "paths": [json_name(path, "path") for path in found.paths],
        "files": found.removed.files,
        "directories": found.removed.directories,
        "bytes": found.removed.size,
    }
