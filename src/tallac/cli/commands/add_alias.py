"""`tallac add-alias`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define


@define(
    "add-alias",
    [argument("name", "NAME"), argument("cap", "CAP|@FILE|@-")],
    examples=("tallac add-alias letters @cap.txt --grid /media/usb/vault --vault-key locator.txt",),
)
def command(run: CommandContext, name: str, cap: str) -> None:
    """Remember a cap under a name.

    The cap is a directory's. @FILE and @- read it from the first line of a file or of standard input, so that it need not stand in
    a process list. The key of the vault is remembered with it.
    """
    run.client.add_alias(name, cap)
    if run.output.is_json:
        run.output.record(alias=name.removesuffix(":"))
    else:
        run.output.note(f"alias {name.removesuffix(':')}: is ready")
