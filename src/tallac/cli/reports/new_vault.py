"""The notes on a vault that was just made."""

from __future__ import annotations

from tallac.cli.command import CommandContext


def created_vault(context: CommandContext, location: str, alias: str) -> str:
    """Write that a vault was made, and what must not be lost."""
    keys = context.client.workspace.configuration_path
    return (
        f"created a vault in {location}, with the alias {alias}:; keep a copy of {keys} in a safe place: "
        "without it nobody, including you, can read the vault"
    )


def ways_back(alias: str) -> str:
    """Write how to recover when the configuration is lost."""
    return (
        f"instead of that copy, `tallac add-passphrase {alias}:` adds a passphrase to the vault, and "
        f"`tallac recovery-kit {alias}: --output kit.html` makes a page to print"
    )
