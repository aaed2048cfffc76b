"""`tallac remove-alias`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define, flag


@define(
    "remove-alias",
    [
        argument("name", "NAME"),
        flag("--only-here", text="Leave it behind the vault's passphrases, or the vault can't be reached any more."),
        flag("-n", "--dry-run", text="Only show which it is."),
    ],
    examples=("tallac remove-alias letters", "tallac remove-alias old-disk --only-here"),
)
def command(run: CommandContext, name: str, only_here: bool, dry_run: bool) -> None:
    """Forget an alias, here and behind the vault's passphrases.

    What it leads to stays as it is. Without another alias or a copy of its cap, nobody finds that again: `tallac cap --write`
    prints it first. Another machine that has the alias keeps it, and may put it behind the passphrases again.
    """
    removed = run.client.remove_alias(name, only_here=only_here, dry_run=dry_run)
    if run.output.is_json:
        run.output.record(alias=removed, dry_run=dry_run)
    else:
        run.output.note(f"alias {removed}: {'would be' if dry_run else 'is'} removed")
