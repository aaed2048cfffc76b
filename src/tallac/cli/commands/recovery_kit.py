"""`tallac recovery-kit`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define


@define(
    "recovery-kit",
    [
        argument("vault", "[ALIAS:]", default=""),
        click.Option(
            ["-o", "--output"], metavar="FILE", help="Write it to a new file: .html for a page with QR codes, .txt for text."
        ),
    ],
    examples=("tallac recovery-kit home: --output kit.html", "tallac recovery-kit home: > kit.txt"),
)
def command(run: CommandContext, vault: str, output: str | None) -> None:
    """Print what is needed beside the vault's files, for a safe.

    That is where the vault is, its key, and your aliases on it with their caps. Whoever has it and the vault's files can read and
    change everything that you can. Print it, put it away, and delete the file. `tallac connect --recovery-kit` takes it over on a
    new machine. Make a new one when you make an alias; a passphrase needs no renewal.
    """
    kit = run.client.recovery_kit(vault)
    if run.output.is_json:
        lines = [*kit.danger_vault_lines(), *kit.danger_alias_lines()]
        run.output.record(kit=lines)
        return
    if output is None:
        run.output.warn("whoever has this can read and change all that these aliases lead to")
        run.output.write(run.client.kit_text(kit))
        return
    run.client.write_kit(kit, output)
    run.output.note(f"{output}: print it, keep it in a safe place, and delete the file; whoever has it can do what you can")
