"""Aliases: names for root directories, in the configuration or in a Tahoe-LAFS node's directory."""

from __future__ import annotations

from collections.abc import Callable

from tallac.app.configuration.configuration import Alias, Configuration, KnownGrid
from tallac.app.locations.grid_path import DEFAULT_ALIAS, check_alias_name
from tallac.app.locations.tahoe_nodes import identity_of
from tallac.app.locations.tahoe_urls import is_tahoe
from tallac.app.locations.urls import show_location
from tallac.app.operations.user_envelopes import UserEnvelopes
from tallac.app.operations.vault_settings import set_compression
from tallac.app.workspace import Workspace
from tallac.caps import Cap, DirectoryReadCap, DirectoryWriteCap
from tallac.errors import AliasError, UsageError
from tallac.interfaces.compressing import Compression


class Aliases:
    """Makes, lists and removes aliases. A new one is added to the user's envelope, so that a passphrase leads to it as well."""

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._envelopes = UserEnvelopes(workspace, warn)

    def create(self, name: str) -> str:
        """Make a new mutable directory and an alias for it.

        A vault is made where the chosen location has none, and in the user's data folder where there is none yet.

        Returns:
            Where a vault was made for it; "" where there was one.

        Raises:
            AliasError: The name is taken, or can't be one.
        """
        made = self._create(name)
        self._publish(name)
        return made

    def init(self, location: str | None = None, name: str = DEFAULT_ALIAS, *, compression: Compression = Compression.AUTO) -> str:
        """Make a vault, and an alias for a new directory in it.

        Args:
            location: A new or empty folder, or a URL; None for the user's data folder.
            name: The alias.
            compression: How much its writers compress.

        Returns:
            Where the vault is.

        Raises:
            AliasError: The name is taken, or can't be one.
            UsageError: There is a vault already.
            VaultNotFoundError: The folder has something else in it.
        """
        workspace = self._workspace
        name = check_alias_name(name)
        if workspace.nodes.chosen() is not None or (location is not None and is_tahoe(location)):
            raise UsageError(
                "a Tahoe-LAFS grid needs no vault: `tallac create-alias` makes aliases on it; tahoe+vault: makes a vault on it"
            )
        with workspace.file.updating() as configuration:
            _require_free(configuration, name)
            identity, made = workspace.vaults.make(configuration, location)
            grid = workspace.open(configuration, identity)
            if compression is not Compression.AUTO:
                set_compression(grid, compression)
            root = grid.create_directory()
            workspace.sealed.set_alias(configuration, name, identity, root.danger_whole_text())
        return made

    def add(self, name: str, cap: str) -> None:
        """Remember a cap of the chosen grid under a name, and the vault key that was given with it.

        Args:
            name: The alias, with or without its colon.
            cap: The cap itself, or `@FILE` or `@-` for where it stands.

        Raises:
            AliasError: The name is taken, or can't be one, or the cap is not a directory's.
        """
        self._add(check_alias_name(name), self._workspace.parse_cap(cap))
        self._publish(name)

    def list(self) -> list[tuple[str, str]]:
        """Return the aliases by name, each with the location of its grid."""
        if self._workspace.nodes.is_node_directory_given:
            return self._workspace.nodes.aliases()
        configuration = self._workspace.file.read()
        return [
            (name, show_location(configuration.grids[alias.grid].location) if alias.grid in configuration.grids else "unknown")
            for name, alias in sorted(configuration.aliases.items())
        ]

    def remove(self, name: str, *, only_here: bool = False, dry_run: bool = False) -> str:
        """Forget an alias here and, unless `only_here`, in the user's envelope.

        Returns:
            The name without a colon.

        Raises:
            AliasError: There is no such alias.
            StoreError: The vault can't be reached; nothing was changed.
        """
        name = name.partition(":")[0]
        with self._workspace.file.updating() as configuration:
            alias = self._workspace.known_alias(configuration, name)
            if not dry_run:
                if not only_here and self._envelopes.is_used(alias.grid):
                    self._envelopes.remove(configuration, name)
                del configuration.aliases[name]
        return name

    @property
    def has_default(self) -> bool:
        """Whether paths without an alias lead anywhere yet."""
        return DEFAULT_ALIAS in self._workspace.file.read().aliases or self._workspace.nodes.chosen() is not None

    def ensure_default(self) -> str:
        """Make the default alias where it is missing; return where a vault was made for it, "" if none was."""
        if self.has_default:
            return ""
        try:
            return self._create(DEFAULT_ALIAS)
        except AliasError:
            return ""  # Another command was faster; this one uses what that one made.

    def _create(self, name: str) -> str:
        workspace = self._workspace
        name = check_alias_name(name)
        if workspace.nodes.chosen() is not None:
            workspace.nodes.require_free(name)
            self._add_on_node(name, workspace.default_grid().create_directory())
            return ""
        with workspace.file.updating() as configuration:
            _require_free(configuration, name)
            identity, made = workspace.vaults.chosen_or_new(configuration)
            root = workspace.open(configuration, identity).create_directory()
            workspace.sealed.set_alias(configuration, name, identity, root.danger_whole_text())
        return made

    def _add(self, name: str, cap: Cap) -> None:
        workspace = self._workspace
        if not isinstance(cap, DirectoryReadCap | DirectoryWriteCap):
            raise AliasError(f"an alias stands for a directory, and this is a cap of another kind ({cap.kind})")
        if workspace.nodes.chosen() is not None:
            workspace.nodes.require_free(name)
            self._add_on_node(name, cap)
            return
        with workspace.file.updating() as configuration:
            _require_free(configuration, name)
            identity = workspace.vaults.remember_chosen(configuration)
            workspace.sealed.set_alias(configuration, name, identity, cap.danger_whole_text())

    def _add_on_node(self, name: str, cap: Cap) -> None:
        """Add an alias of the chosen Tahoe-LAFS grid where `tahoe` finds it, and unless its directory was given, here too."""
        nodes = self._workspace.nodes
        if nodes.is_node_directory_given:
            nodes.add_alias(name, cap)
            return
        with self._workspace.file.updating() as configuration:
            _require_free(configuration, name)
            location = nodes.chosen()
            assert location is not None
            identity = identity_of(location)
            configuration.grids[identity] = KnownGrid(location, "")
            configuration.aliases[name] = Alias(identity, cap.danger_whole_text())
            nodes.add_alias(name, cap)

    def _publish(self, name: str) -> None:
        alias = self._workspace.file.read().aliases.get(name.partition(":")[0])
        if alias is not None:
            self._envelopes.refresh(alias.grid)


def _require_free(configuration: Configuration, name: str) -> None:
    if name in configuration.aliases:
        raise AliasError(f"the alias {name!r} exists already; choose another name")
