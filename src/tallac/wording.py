"""How numbers of things are written in messages and output."""

from __future__ import annotations


def of_vault(command: str, vault: str) -> str:
    """Return a command with the vault as the user wrote it, if at all."""
    return f"{command} {vault}" if vault else command


def pluralize(count: int, noun: str) -> str:
    """Return a count, its thousands grouped, with its noun: `1 pack`, `2,000 packs`, `3 directories`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeou" else f"{count:,} {noun}s"
