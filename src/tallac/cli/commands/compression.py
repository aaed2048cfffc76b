"""`tallac compression`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag
from tallac.interfaces.compressing import COMPRESSIONS, parse_compression


@define(
    "compression",
    [
        argument("vault", "[ALIAS:]", default=""),
        argument("how", f"[{COMPRESSIONS}]", default=""),
        flag("-n", "--dry-run", text="Only show what would be set."),
    ],
    examples=("tallac compression home:", "tallac compression home: max", "tallac compression fast"),
)
def compression(context: CommandContext, vault: str, how: str, dry_run: bool) -> None:
    """Show or change how much a vault's clients compress.

    The vault remembers it for all of its clients; `backup --compression` says otherwise for one
    run. It counts for what is stored from now on: what is there stays as it is, and is found again
    and read whatever was chosen. `off` compresses nothing; `fast` little; `auto`, the default, as
    much as costs next to nothing; `max` all that can be had, at ten to fifty times the processor
    time, for a slow line or dear space.
    """
    if not how and ":" not in vault and not context.client.workspace.has_alias(vault):
        vault, how = "", vault
    settings = context.client.settings
    chosen = parse_compression(how) if how else settings.compression(vault)
    if how and not dry_run:
        settings.set_compression(chosen, vault)
    if context.output.is_json:
        context.output.record(compression=chosen, dry_run=dry_run)
    elif how:
        context.output.note(f"compression {'would be' if dry_run else 'is'} {chosen}")
    else:
        context.output.line(f"compression is {chosen}")
