"""What the command offers, for programs: values instead of printed lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from tallac.app.configuration.folders import Folders
from tallac.app.locations.grid_options import GridOptions
from tallac.app.workspace import Workspace

if TYPE_CHECKING:
    from tallac.app.operations.aliases import Aliases
    from tallac.app.operations.backup import Backups
    from tallac.app.operations.gateway import GatewayRunner
    from tallac.app.operations.inspect import Inspector
    from tallac.app.operations.keys import Keys
    from tallac.app.operations.maintenance import VaultMaintenance
    from tallac.app.operations.restore import Restores
    from tallac.app.operations.snapshots import Snapshots
    from tallac.app.operations.transfer import Files


class Client:
    """A user's Tallac: paths are written as on the command line, `ALIAS:PATH` or with a cap in place of the alias.

    Use it in a `with` block, or close it. Not thread-safe. Methods raise TallacErrors whose message is meant for the user.

    Attributes:
        workspace: Opens what the configuration names.
        backups, restores, snapshots, inspect, files, vault, aliases, keys, gateway: What can be done, by subject.
    """

    # Each service is imported when it is first used: a command uses one or two of them, and one on a Tahoe-LAFS node does without
    # ciphers, compressors and the vault.

    def __init__(
        self,
        folders: Folders | None = None,
        *,
        vault: str | None = None,
        vault_key_file: str | None = None,
        vault_key_command: str | None = None,
        node_directory: str | None = None,
        node_url: str | None = None,
        standard_input: BinaryIO | None = None,
        may_ask: bool = True,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Use the user's own folders, or others; nothing is opened yet.

        Args:
            folders: Where configuration, state and default vault are.
            vault: A vault's folder or URL, where no alias says it.
            vault_key_file: Where to read the key of a vault that the configuration does not know; `-` for standard input.
            vault_key_command: A command that prints it.
            node_directory: A Tahoe-LAFS node's folder, for its grid and aliases.
            node_url: A Tahoe-LAFS node's URL, for its grid.
            standard_input: What `-` stands for.
            may_ask: Whether a command or keyring may be asked for a key, which may in turn ask the user.
            warn: Told what did not work and can wait.
        """
        options = GridOptions(
            vault=vault,
            vault_key_file=vault_key_file,
            vault_key_command=vault_key_command,
            node_directory=node_directory,
            node_url=node_url,
        )
        self.workspace = Workspace(folders or Folders.standard(), options, standard_input=standard_input, may_ask=may_ask)
        self._standard_input = standard_input
        self._warn = warn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        self.workspace.close()

    @cached_property
    def backups(self) -> Backups:
        """Makes snapshots."""
        from tallac.app.operations.backup import Backups  # lazy import: see above

        return Backups(self.workspace, self.aliases, self._standard_input, self._warn)

    @cached_property
    def restores(self) -> Restores:
        """Restores what is stored."""
        from tallac.app.operations.restore import Restores  # lazy import: see above

        return Restores(self.workspace)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Lists snapshots, and decides which of them stay."""
        from tallac.app.operations.snapshots import Snapshots  # lazy import: see above

        return Snapshots(self.workspace, self._warn)

    @cached_property
    def inspect(self) -> Inspector:
        """Lists, compares, searches and counts."""
        from tallac.app.operations.inspect import Inspector  # lazy import: see above

        return Inspector(self.workspace)

    @cached_property
    def files(self) -> Files:
        """Moves single files and directories."""
        from tallac.app.operations.transfer import Files  # lazy import: see above

        return Files(self.workspace)

    @cached_property
    def vault(self) -> VaultMaintenance:
        """Checks, prunes, repairs and mirrors vaults."""
        from tallac.app.operations.maintenance import VaultMaintenance  # lazy import: see above

        return VaultMaintenance(self.workspace)

    @cached_property
    def aliases(self) -> Aliases:
        """Makes, lists and removes aliases."""
        from tallac.app.operations.aliases import Aliases  # lazy import: see above

        return Aliases(self.workspace, self._warn)

    @cached_property
    def keys(self) -> Keys:
        """Hands out keys, and is about passphrases, key sources and recovery kits."""
        from tallac.app.operations.keys import Keys  # lazy import: see above

        return Keys(self.workspace, self._warn)

    @cached_property
    def gateway(self) -> GatewayRunner:
        """Serves a grid over HTTP."""
        from tallac.app.operations.gateway import GatewayRunner  # lazy import: see above

        return GatewayRunner(self.workspace, self.aliases)

    def __getattr__(self, name: str) -> Any:
        """Forward a former flat name; commands still use them."""
        if name not in _FLAT:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        target: Any = self
        for part in _FLAT[name].split("."):
            target = getattr(target, part)
        return target


_FLAT = {
    "prepare_backup": "backups.prepare",
    "find_sources": "backups.find_sources",
    "backup": "backups.run",
    "dry_run_backup": "backups.dry_run",
    "backup_stream": "backups.run_stream",
    "backup_command": "backups.run_command",
    "restore": "restores.restore",
    "restore_archive": "restores.archive",
    "forget": "snapshots.forget",
    "forget_named": "snapshots.forget_named",
    "undo_forget": "snapshots.undo_forget",
    "hold": "snapshots.hold",
    "release": "snapshots.release",
    "tag": "snapshots.tag",
    "rewrite": "snapshots.rewrite",
    "names_snapshot": "snapshots.names_snapshot",
    "ls": "inspect.ls",
    "ls_recursive": "inspect.ls_recursive",
    "find": "inspect.find",
    "history": "inspect.history",
    "diff": "inspect.diff",
    "du": "inspect.du",
    "stats": "inspect.stats",
    "manifest": "inspect.manifest",
    "deep_stats": "inspect.deep_stats",
    "get": "files.get",
    "download": "files.download",
    "put": "files.put",
    "put_path": "files.put_path",
    "mkdir": "files.mkdir",
    "cp": "files.cp",
    "mv": "files.mv",
    "ln": "files.ln",
    "unlink": "files.unlink",
    "cap": "files.cap",
    "write_cap": "files.write_cap",
    "check": "vault.check",
    "deep_check": "vault.deep_check",
    "prune": "vault.prune",
    "repair": "vault.repair",
    "scrub": "vault.scrub",
    "copy_vault": "vault.mirror",
    "keeper_stats": "vault.stats",
    "create_alias": "aliases.create",
    "add_alias": "aliases.add",
    "list_aliases": "aliases.list",
    "remove_alias": "aliases.remove",
    "passphrase_source": "keys.passphrases.source",
    "list_passphrases": "keys.passphrases.list",
    "add_passphrase": "keys.passphrases.add",
    "change_passphrase": "keys.passphrases.change",
    "remove_passphrase": "keys.passphrases.remove",
    "key_source": "keys.sources.use",
    "connect": "keys.recovery.connect",
    "connect_with_kit": "keys.recovery.connect_with_kit",
    "read_kit": "keys.recovery.read_kit",
    "recovery_kit": "keys.recovery.kit",
    "kit_text": "keys.recovery.kit_text",
    "write_kit": "keys.recovery.write_kit",
    "locator_key": "keys.locator_key",
    "keeper_key": "keys.keeper_key",
    "prepare_serving": "gateway.prepare",
    "serve": "gateway.serve",
    "webopen": "gateway.webopen",
}
