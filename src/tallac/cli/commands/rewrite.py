"""`tallac rewrite`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import Option, argument, flag, several
from tallac.cli.output.display import json_name, show_size
from tallac.cli.output.stderr import show_name
from tallac.retention.rewrite import Removed, Rewritten
from tallac.wording import pluralize


@define(
    "rewrite",
    [
        argument("target", "ALIAS:TO"),
        Option(
            ["--exclude"],
            metavar="PATTERN",
            multiple=True,
            required=True,
            help="What to remove, as in a .gitignore file.",
            synonyms=("-e",),
        ),
        several("--snapshot", metavar="NAME", text="Only in this snapshot; may be repeated."),
        flag("-n", "--dry-run", text="Only show what would be removed."),
    ],
    examples=(
        "tallac rewrite home:docs --exclude /secrets/passwords.txt --dry-run",
        "tallac rewrite home:docs --exclude '*.iso' --snapshot 2026-11-23_17:02:11Z",
    ),
)
def rewrite(context: CommandContext, target: str, exclude: tuple[str, ...], snapshot: tuple[str, ...], dry_run: bool) -> None:
    """Remove paths from existing snapshots.

    The snapshots keep their names; only the directories above what is removed are stored again. A
    pattern that begins with a slash is a path below the snapshot itself. Removed data stays in the
    vault until it is pruned; a rewrite can't be undone.
    """
    rewritten = context.client.snapshots.rewrite(target, exclude, snapshot, dry_run=dry_run)
    total = sum((found.removed for found in rewritten), Removed())
    if context.output.is_json:
        for found in rewritten:
            context.output.record(type="snapshot", **json_name(found.name, "snapshot"), **_fields(found))
        context.output.record(type="summary", snapshots=len(rewritten), dry_run=dry_run)
        return
    for found in rewritten:
        for path in found.paths:
            context.output.detail(f"{show_name(found.name)}: {show_name(path)}")
    files, directories = pluralize(total.files, "file"), pluralize(total.directories, "directory")
    context.output.summary(
        {
            "would change" if dry_run else "changed": pluralize(len(rewritten), "snapshot"),
            "removed": f"{files}, {directories}, {show_size(total.size)}",
        }
    )


def _fields(found: Rewritten) -> dict[str, object]:
    return {
        "paths": [json_name(path, "path") for path in found.paths],
        "files": found.removed.files,
        "directories": found.removed.directories,
        "bytes": found.removed.size,
    }
