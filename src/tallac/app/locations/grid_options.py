"""The options that choose a grid."""

from __future__ import annotations

import msgspec

from tallac.errors import UsageError


class GridOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options that choose a grid.

    Attributes:
        vault: A folder or URL; None for the grid of the alias that is used, or of the default alias.
        vault_key_file: Where to read the key of a vault that the configuration does not know: a file, or `-`.
        vault_key_command: A command that prints such a key.
        store: What `--store` was given: `KEY=VALUE`, on locations that are written on this command line.
        retry_seconds: How long a store that can't be reached is waited for; None for the default.
        limit_upload, limit_download: Bytes a second that a store over a line is sent and asked for; None for what is remembered
            with the vault, 0 for as many as there may be.
        connections: Requests to it at a time; likewise.
        cache_size: How many bytes the cache of a distant vault may take; None for what the configuration says.
        lock_seconds: How long what is stored there is locked; likewise.
        node_directory, node_url: A Tahoe-LAFS node, whose grid is used instead; with a directory, its aliases are used as well.
    """

    vault: str | None = None
    vault_key_file: str | None = None
    vault_key_command: str | None = None
    store: tuple[str, ...] = ()
    retry_seconds: float | None = None
    limit_upload: int | None = None
    limit_download: int | None = None
    connections: int | None = None
    cache_size: int | None = None
    lock_seconds: float | None = None
    node_directory: str | None = None
    node_url: str | None = None

    @property
    def gives_key(self) -> bool:
        """Whether they say where a vault key is."""
        return self.vault_key_file is not None or self.vault_key_command is not None


def refuse_locks(where: str) -> None:
    """Refuse a place whose objects can't be locked.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"{where}: only S3 has locks that Tallac can set; leave out --lock-for")
