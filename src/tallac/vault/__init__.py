"""The vault: Tallac's own grid, over any backend. docs/format.md describes what it stores."""

from tallac.vault.grid import SystemClock, Vault, create_vault, make_writer_key, open_vault, read_identity
from tallac.vault.keys import KeeperKey, LocatorKey, VaultKey, WriterKey, parse_vault_key
from tallac.vault.prune_report import PruneOptions, Pruner, PruneReport
from tallac.vault.scrubbing import Scrub

__all__ = [
    "KeeperKey",
    "LocatorKey",
    "PruneOptions",
    "PruneReport",
    "Pruner",
    "Scrub",
    "SystemClock",
    "Vault",
    "VaultKey",
    "WriterKey",
    "create_vault",
    "make_writer_key",
    "open_vault",
    "parse_vault_key",
    "read_identity",
]
