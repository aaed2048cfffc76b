"""From what a user writes to grids and places."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tallac.app.configuration.configuration import Alias, Configuration, ConfigurationFile, KnownGrid
from tallac.app.configuration.folders import Folders
from tallac.app.keys.sealed_secrets import KeptSecrets
from tallac.app.locations.grid_options import GridChoice
from tallac.app.locations.grid_path import DEFAULT_ALIAS, AliasName, CapSource, check_alias_name, parse_place
from tallac.app.locations.tahoe_nodes import TahoeNodes, identity_of
from tallac.app.locations.tahoe_urls import is_tahoe
from tallac.app.locations.urls import folder_of_url, is_folder_url, parse_location, show_location
from tallac.app.locations.vaults import VaultKey, Vaults
from tallac.app.secrets.secret_reader import SecretSource
from tallac.caps import Cap, DirectoryReadCap, DirectoryWriteCap, parse
from tallac.errors import AliasError, ConfigurationError, MalformedCapError, UsageError
from tallac.interfaces import Grid, Randomness
from tallac.transfer import Place


class Connection:
    """Opens what the user's configuration and command line name. What it opened is closed with it.

    Not thread-safe.

    Attributes:
        folders: Where configuration, state and default vault are.
        file: The configuration.
        secrets: Where caps, keys and passphrases are read that do not stand on the command line.
        kept: Reads and writes the secrets in the configuration.
        vaults: The vaults that the configuration and the command line name.
    """

    def __init__(
        self,
        folders: Folders,
        choice: GridChoice | None = None,
        *,
        standard_input: BinaryIO | None = None,
        randomness: Randomness = os.urandom,
    ) -> None:
        self.folders = folders
        self.file = ConfigurationFile(folders.configuration)
        self.secrets = SecretSource(standard_input)
        choice = choice or GridChoice()
        self.vaults = Vaults(folders, self.file, choice, self.secrets, randomness)
        self.kept = KeptSecrets(self.vaults, randomness)
        self._nodes = TahoeNodes(folders, choice)
        self._is_grid_given = choice.location is not None

    @property
    def is_grid_given(self) -> bool:
        """Whether the command line says by itself which grid is meant."""
        return self._is_grid_given or self._nodes.chosen() is not None

    def close(self) -> None:
        """Close all grids."""
        self.vaults.close()
        self._nodes.close()

    def resolve(self, text: str) -> tuple[Grid, Place]:
        """Find the grid and the place that an `ALIAS:PATH` or a cap names; `parse_place` has the forms.

        Raises:
            AliasError: There is no such alias.
            MalformedCapError: The cap has a typing error.
            StoreError: The vault is not where it should be, or can't be read.
        """
        written = parse_place(text)
        configuration = self.file.read()
        if isinstance(written.root, AliasName):
            grid, cap = self._open_alias(configuration, written.root.name)
            return grid, Place(cap, written.path, f"{written.root.name}:")
        if isinstance(written.root, CapSource):
            cap = parse(self.secrets.read_line(written.root.file, "a cap"))
        else:
            cap = parse(written.root.text)
        place = Place(cap, written.path, f"{cap}:")
        return self.default_grid(), place

    def default_grid(self) -> Grid:
        """Give the grid that is meant where no place says it: the one of --grid, the default alias's, or the only one."""
        chosen = self._nodes.chosen()
        if chosen is not None:
            return self._nodes.open(chosen)
        configuration = self.file.read()
        return self._open(configuration, self.vaults.chosen(configuration))

    def default_opener(self) -> Callable[[], Grid]:
        """Give what opens the default grid once more, for another thread; whoever calls it closes what it gives."""
        chosen = self._nodes.chosen()
        if chosen is not None:
            return self._nodes.opener(chosen)
        configuration = self.file.read()
        identity = self.vaults.chosen(configuration)
        location = _tahoe_location(configuration, identity)
        return self.vaults.opener(configuration, identity) if location is None else self._nodes.opener(location)

    def location_of(self, text: str) -> str:
        """Give the URL of a vault that is written as a folder, as a URL, or as an alias with a colon at its end.

        Raises:
            AliasError: There is no such alias.
            UsageError: It is none of these.
        """
        if text.endswith(":") and "/" not in text:
            configuration = self.file.read()
            return self.vaults.known(configuration, self.known_alias(configuration, text[:-1]).grid).location
        return parse_location(text)

    def read_caps(self, grid: Grid) -> list[Cap]:
        """Give the read caps of all aliases that are in a grid."""
        configuration = self.file.read()
        names = sorted(name for name, alias in configuration.aliases.items() if alias.grid == grid.identity)
        caps = [self._cap_of(configuration, name) for name in names]
        return [cap.read_cap if isinstance(cap, DirectoryWriteCap) else cap for cap in caps]

    def key_at(self, url: str) -> VaultKey | None:
        """Give the key that the command line names, or that is known for the vault at a URL; None without either."""
        return self.vaults.key_at(self.file.read(), url)

    def parse_cap(self, text: str) -> Cap:
        """Read a cap from the command line: the cap itself, or `@FILE` or `@-` for where it stands.

        Raises:
            MalformedCapError: It has a typing error.
        """
        return parse(self.secrets.read_line(text[1:], "a cap") if text.startswith("@") else text)

    def create_alias(self, name: str) -> str:
        """Make a new mutable directory and an alias for it; say where a vault was made for it, "" where there was one.

        A vault is made where --grid leads to none, and in the user's data folder where there is none yet.

        Raises:
            AliasError: The name is taken, or can't be one.
        """
        name = check_alias_name(name)
        if self._nodes.chosen() is not None:
            self._nodes.require_free(name)
            self._enter_on_node(name, self.default_grid().create_directory())
            return ""
        with self.file.updating() as configuration:
            self._require_free(configuration, name)
            identity, made = self.vaults.chosen_or_new(configuration)
            root = self._open(configuration, identity).create_directory()
            self.kept.enter_alias(configuration, name, identity, root.danger_whole_text())
        return made

    def add_alias(self, name: str, cap: Cap) -> None:
        """Remember a cap of the chosen grid under a name, and the vault key that was given with it.

        Raises:
            AliasError: The name is taken, or can't be one, or the cap is no directory's.
        """
        name = check_alias_name(name)
        if not isinstance(cap, DirectoryReadCap | DirectoryWriteCap):
            raise AliasError(f"an alias stands for a directory, and this is a cap of another kind ({cap.kind})")
        if self._nodes.chosen() is not None:
            self._nodes.require_free(name)
            self._enter_on_node(name, cap)
            return
        with self.file.updating() as configuration:
            self._require_free(configuration, name)
            identity = self.vaults.remember_chosen(configuration)
            self.kept.enter_alias(configuration, name, identity, cap.danger_whole_text())

    @property
    def has_default_alias(self) -> bool:
        """Whether places without an alias lead anywhere yet."""
        return DEFAULT_ALIAS in self.file.read().aliases or self._nodes.chosen() is not None

    def ensure_default_alias(self) -> str | None:
        """Make the default alias; say where a vault was made for it, "" where there was one; None if the alias was there."""
        if self.has_default_alias:
            return None
        try:
            return self.create_alias(DEFAULT_ALIAS)
        except AliasError:
            return None  # Another command was faster; this one takes what that one made.

    def aliases(self) -> list[tuple[str, str]]:
        """List aliases by name, each with the place of its grid."""
        if self._nodes.is_node_directory_given:
            return self._nodes.aliases()
        configuration = self.file.read()
        return [
            (name, show_location(configuration.grids[alias.grid].location) if alias.grid in configuration.grids else "unknown")
            for name, alias in sorted(configuration.aliases.items())
        ]

    def vault_key(self, alias: str) -> VaultKey:
        """Give the vault key that is known for an alias's grid.

        Raises:
            AliasError: There is no such alias.
        """
        configuration = self.file.read()
        identity = self.known_alias(configuration, alias.partition(":")[0]).grid
        return self.vaults.parse_key(self.vaults.known(configuration, identity))

    def identity_of(self, place: str) -> str:
        """Give the identity of the vault that an alias is on; for "", of the one that is meant where no place says it.

        Raises:
            AliasError: There is no such alias.
            UsageError: It is not clear which vault is meant, or the grid is none.
        """
        configuration = self.file.read()
        identity = self.known_alias(configuration, place.partition(":")[0]).grid if place else self.vaults.chosen(configuration)
        if _tahoe_location(configuration, identity) is not None:
            raise UsageError(f"{place or 'this grid'}: a Tahoe-LAFS grid has no vault key; keep a copy of the caps of its aliases")
        return identity

    def folder_of(self, grid: Grid) -> Path | None:
        """Give the folder that a grid's vault is in; None where it is elsewhere."""
        if self._nodes.has_opened(grid):
            return None
        url = self.vaults.known(self.file.read(), grid.identity).location
        return folder_of_url(url) if is_folder_url(url) else None

    def _open_alias(self, configuration: Configuration, name: str) -> tuple[Grid, Cap]:
        on_node = self._nodes.find_alias(name)
        if on_node is not None:
            return self.default_grid(), on_node
        alias = self.known_alias(configuration, name)
        return self._open(configuration, alias.grid), self._cap_of(configuration, name)

    def _open(self, configuration: Configuration, identity: str) -> Grid:
        chosen, location = self._nodes.chosen(), _tahoe_location(configuration, identity)
        if chosen is not None and chosen != location:
            raise UsageError("this alias is on another grid than the Tahoe-LAFS node that the options name; leave them out")
        return self.vaults.open(configuration, identity) if location is None else self._nodes.open(location)

    def _enter_on_node(self, name: str, cap: Cap) -> None:
        """Enter an alias of the chosen Tahoe-LAFS grid where `tahoe` finds it, and unless its directory was given, here too."""
        if self._nodes.is_node_directory_given:
            self._nodes.add_alias(name, cap)
            return
        with self.file.updating() as configuration:
            self._require_free(configuration, name)
            location = self._nodes.chosen()
            assert location is not None
            identity = identity_of(location)
            configuration.grids[identity] = KnownGrid(location, "")
            configuration.aliases[name] = Alias(identity, cap.danger_whole_text())
            self._nodes.add_alias(name, cap)

    def known_alias(self, configuration: Configuration, name: str) -> Alias:
        """Give an alias of the configuration.

        Raises:
            AliasError: There is none of this name.
            UsageError: It is one of a Tahoe-LAFS node.
        """
        alias = configuration.aliases.get(name)
        if alias is not None:
            return alias
        if self._nodes.find_alias(name) is not None:
            raise UsageError(f"{name}: this is on a Tahoe-LAFS grid and in no vault; its caps suffice, there are no vault keys")
        names = ", ".join(sorted(configuration.aliases))
        there_are = f"existing ones are {names}" if names else "there is none yet"
        how = (
            "`tallac backup FOLDER` makes it" if name == DEFAULT_ALIAS else f"make one with `tallac create-alias {name or 'NAME'}`"
        )
        raise AliasError(f"no alias {name!r}: {there_are}; {how}")

    def _cap_of(self, configuration: Configuration, name: str) -> Cap:
        text = self.kept.cap_of(configuration, configuration.aliases[name])
        try:
            return parse(text)
        except MalformedCapError as error:
            raise ConfigurationError(f"{self.file.path}: the cap of alias {name!r} is damaged: {error}") from error

    def _require_free(self, configuration: Configuration, name: str) -> None:
        if name in configuration.aliases:
            raise AliasError(f"there is an alias {name!r} already; choose another name")


def _tahoe_location(configuration: Configuration, identity: str) -> str | None:
    """Give the location of a known grid that is a Tahoe-LAFS grid; None for any other."""
    known = configuration.grids.get(identity)
    return known.location if known is not None and is_tahoe(known.location) else None
