"""`tallac remove-passphrase`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.options.passphrases import tell


@define(
    "remove-passphrase",
    [
        argument("vault", "[ALIAS:]", default=""),
        click.Option(["--label"], metavar="TEXT", help="Which one, where you have set several."),
        flag("--allow-none", text="Remove the last one too."),
        flag("-n", "--dry-run", text="Only show which it is."),
    ],
    examples=("tallac remove-passphrase home: --label safe",),
)
def command(run: CommandContext, vault: str, label: str | None, allow_none: bool, dry_run: bool) -> None:
    """Let a passphrase open nothing any more.

    Whoever knew it and took a copy of the vault's files before can still open that copy; `docs/guide/keys.md` says what to do then.
    """
    removed = run.client.remove_passphrase(vault, label, allow_none=allow_none, dry_run=dry_run)
    tell(run, "would be removed" if dry_run else "removed", removed)
