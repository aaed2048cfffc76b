"""`tallac create-alias`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define, made_vault, ways_back


@define(
    "create-alias",
    [argument("name", "NAME")],
    examples=("tallac create-alias usb --grid /media/usb/vault",),
)
def command(run: CommandContext, name: str) -> None:
    """Make a new directory and an alias for it.

    The directory is empty and can be changed. It lies in the vault that --grid names, where a vault is made if there is none, or
    else in the default vault. Nothing secret is printed.
    """
    made = run.client.create_alias(name)
    if made:
        run.output.note(made_vault(run, made, name.removesuffix(":")))
    if run.output.is_json:
        run.output.record(alias=name.removesuffix(":"), made_vault=made or None)
    else:
        run.output.note(f"alias {name.removesuffix(':')}: is ready")
    if made:
        run.output.note(ways_back(name.removesuffix(":")))
