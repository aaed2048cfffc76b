"""Opens what the configuration and the command line name: aliases, caps, vaults and Tahoe-LAFS grids."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tallac.app.configuration.configuration import Alias, Configuration, ConfigurationFile
from tallac.app.configuration.folders import Folders
from tallac.app.keys.sealed_secrets import SealedSecrets
from tallac.app.locations.grid_options import GridOptions
from tallac.app.locations.grid_path import DEFAULT_ALIAS, AliasName, CapSource, is_remote, parse_grid_path
from tallac.app.locations.snapshot_names import resolve_snapshot
from tallac.app.locations.tahoe_nodes import TahoeNodes
from tallac.app.locations.tahoe_urls import is_tahoe, is_tahoe_vault
from tallac.app.locations.urls import folder_of_url, is_folder_url
from tallac.app.locations.vault_keys import VaultKey
from tallac.app.locations.vaults import Vaults
from tallac.app.secrets.secret_reader import SecretSource
from tallac.caps import Cap, DirectoryWriteCap, parse
from tallac.errors import AliasError, ConfigurationError, MalformedCapError, UsageError
from tallac.interfaces import Grid, Randomness, TrafficCount
from tallac.transfer.place import Place

if TYPE_CHECKING:
    from tallac.app.locations.backends import Backends
    from tallac.app.locations.caches import Caches
    from tallac.source import OwnFiles
    from tallac.vault.format.header import Header


class Workspace:
    """Opens what the user's configuration and command line name, and closes it in the end.

    Not thread-safe.

    Attributes:
        folders: Where configuration, state and default vault are.
        file: The configuration.
        secrets: Where caps, keys and passphrases are read that do not stand on the command line.
        sealed: Reads and writes the secrets in the configuration.
        vaults: The vaults that the configuration and the command line name.
        nodes: The Tahoe-LAFS nodes that they name.
    """

    def __init__(
        self,
        folders: Folders,
        options: GridOptions | None = None,
        *,
        standard_input: BinaryIO | None = None,
        may_ask: bool = True,
        randomness: Randomness = os.urandom,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folders = folders
        self.file = ConfigurationFile(folders.configuration, warn, state=folders.state)
        self.secrets = SecretSource(standard_input, may_ask=may_ask)
        options = options or GridOptions()
        self._options = options
        self.vaults = Vaults(folders, self.file, options, self.secrets, randomness, lambda: self.backends)
        self.sealed = SealedSecrets(self.vaults, randomness)
        self.nodes = TahoeNodes(folders, options)
        self._is_grid_given = options.vault is not None

    @cached_property
    def backends(self) -> Backends:
        """Makes what a vault is in."""
        from tallac.app.locations.backends import Backends  # lazy import: a Tahoe-LAFS grid does without it

        return Backends(self.folders.state, lambda: self.caches, self._options)

    @cached_property
    def caches(self) -> Caches:
        """The caches of distant vaults."""
        from tallac.app.locations.caches import Caches  # lazy import: a vault in a folder does without it

        def size_max() -> int | None:
            configured = self.file.read().cache_size
            given = self._options.cache_size
            return given if given is not None else configured if isinstance(configured, int) else None

        return Caches(self.folders.caches, size_max)

    def traffic(self) -> TrafficCount | None:
        """Return what was sent to stores over lines by now, and received; None where nothing was."""
        return self.backends.traffic() if "backends" in vars(self) else None

    def cache_warnings(self) -> list[str]:
        """Return what was wrong with the caches of distant vaults, a sentence for each that was."""
        return self.caches.warnings() if "caches" in vars(self) else []

    @property
    def configuration_path(self) -> Path:
        """The file that holds aliases and vault keys."""
        return self.file.path

    @property
    def is_grid_given(self) -> bool:
        """Whether the command line says by itself which grid is meant."""
        return self._is_grid_given or self.nodes.chosen() is not None

    def close(self) -> None:
        """Close all grids."""
        self.vaults.close()
        self.nodes.close()
        if "backends" in vars(self):
            self.backends.close()
        if "caches" in vars(self):
            self.caches.close_all()

    def resolve(self, text: str) -> tuple[Grid, Place]:
        """Return the grid that a path names, written as `parse_grid_path` reads it, and where on it the path leads.

        `TARGET@WHEN` in it is the snapshot in `TARGET/Archives`; see `resolve_snapshot`.

        Raises:
            AliasError: There is no such alias.
            MalformedCapError: The cap has a typing error.
            StoreError: The vault is not where it should be, or can't be read.
        """
        written = parse_grid_path(text)
        configuration = self.file.read()
        self.require_colon(text)
        if isinstance(written.root, AliasName):
            grid, cap = self._open_alias(configuration, written.root.name)
            return grid, resolve_snapshot(grid, Place(cap, written.path, f"{written.root.name}:"))
        if isinstance(written.root, CapSource):
            cap = parse(self.secrets.read_line(written.root.file, "a cap"))
        else:
            cap = parse(written.root.text)
        grid = self.default_grid()
        return grid, resolve_snapshot(grid, Place(cap, written.path, f"{cap}:"))

    def may_back_up_to(self, text: str) -> bool:
        """Whether a path begins at an alias of a directory that this user may change, on a grid that this user may add to."""
        root = parse_grid_path(text).root
        if not isinstance(root, AliasName):
            return False
        on_node = self.nodes.find_alias(root.name)
        if on_node is not None:
            return isinstance(on_node, DirectoryWriteCap)
        configuration = self.file.read()
        alias = self.known_alias(configuration, root.name)
        if not isinstance(self._cap_of(configuration, root.name), DirectoryWriteCap):
            return False
        is_vault = _tahoe_location(configuration, alias.grid) is None
        return not is_vault or self.vaults.may_add_to(configuration, alias.grid)

    def require_colon(self, text: str) -> None:
        """Refuse a path without an alias whose first component is one: its colon was forgotten.

        Raises:
            UsageError: It is such a path.
        """
        name, slash, rest = text.partition("/")
        if not name or is_remote(text) or not self.has_alias(name):
            return
        raise UsageError(
            f"{text}: did you mean `{name}:{rest}`? {name}: is an alias; if not, write {DEFAULT_ALIAS}:{name}{slash}{rest}"
        )

    def has_alias(self, name: str) -> bool:
        """Whether there is an alias of this name, in the configuration or on a Tahoe-LAFS node that the options name."""
        return name in self.file.read().aliases or self.nodes.find_alias(name) is not None

    def default_grid(self) -> Grid:
        """Return the grid that is used where no alias is given: the one of --vault, of the default alias, or the only one."""
        chosen = self.nodes.chosen()
        if chosen is not None:
            return self.nodes.open(chosen)
        configuration = self.file.read()
        return self.open(configuration, self.vaults.chosen(configuration))

    def default_opener(self) -> Callable[[], Grid]:
        """Return a function that opens the default grid anew, for another thread; the caller closes what it returns.

        Raises:
            UsageError: There is none, or it is not clear which is meant.
        """
        chosen = self.nodes.chosen()
        if chosen is not None:
            return self.nodes.opener(chosen)
        configuration = self.file.read()
        identity = self.vaults.chosen(configuration)
        location = _tahoe_location(configuration, identity)
        return self.vaults.opener(configuration, identity) if location is None else self.nodes.opener(location)

    def opener_of(self, grid: Grid) -> Callable[[], Grid]:
        """Return a function that opens a vault that was opened here anew, for another thread; the caller closes what it returns."""
        return self.vaults.opener(self.file.read(), grid.identity)

    def seal(self, grid: Grid, secret: str) -> str:
        """Return a secret of a grid as local state may hold it: sealed where its aliases' caps are."""
        return self.sealed.seal(self.file.read(), grid.identity, secret)

    def unseal(self, grid: Grid, text: str) -> str:
        """Return the secret in what `seal` has given."""
        return self.sealed.unseal(self.file.read(), grid.identity, text)

    def location_of(self, text: str) -> str:
        """Return the URL of a vault that is written as a folder, as a URL, or as an alias with a colon at its end.

        Raises:
            AliasError: There is no such alias.
            UsageError: It is none of these.
        """
        alias = self.alias_of_vault(text)
        if alias is not None:
            configuration = self.file.read()
            return self.vaults.location_of(configuration, self.known_alias(configuration, alias).grid)
        return self.vaults.locate(self.file.read(), text)

    def alias_of_vault(self, text: str) -> str | None:
        """Return the alias in what names a vault, written `usb:`, `usb:PATH`, or `usb` where no folder has that name.

        None for a folder or a URL.
        """
        if not text or is_tahoe_vault(text) or "://" in text:
            return None
        alias, colon, _ = text.partition(":")
        if colon:
            return None if "/" in alias else alias
        return text if text in self.file.read().aliases and not os.path.exists(text) else None

    def with_colon(self, text: str) -> str:
        """Return `usb:` for `usb`, where that is an alias and no folder, and anything else as it is."""
        return f"{text}:" if self.alias_of_vault(text) == text else text

    def resolve_vault(self, text: str) -> Grid:
        """Return the grid that `usb:`, `usb:PATH` or `usb` is on; for "", the default one."""
        if not text:
            return self.default_grid()
        written = parse_grid_path(text)
        if isinstance(written.root, AliasName):
            text = f"{written.root.name if is_remote(text) else text.partition('/')[0]}:"
        return self.resolve(text)[0]

    def read_caps(self, grid: Grid) -> dict[str, Cap]:
        """Return the read caps of all aliases that are in a grid, by alias."""
        configuration = self.file.read()
        names = sorted(name for name, alias in configuration.aliases.items() if alias.grid == grid.identity)
        caps = {name: self._cap_of(configuration, name) for name in names}
        return {name: cap.read_cap if isinstance(cap, DirectoryWriteCap) else cap for name, cap in caps.items()}

    def key_at(self, url: str) -> VaultKey | None:
        """Return the key that the command line names, or that is known for the vault at a URL; None without either."""
        return self.vaults.key_at(self.file.read(), url)

    def parse_cap(self, text: str) -> Cap:
        """Read a cap from the command line: the cap itself, or `@FILE` or `@-` for where it stands.

        Raises:
            MalformedCapError: It has a typing error.
        """
        return parse(self.secrets.read_line(text[1:], "a cap") if text.startswith("@") else text)

    def vault_key(self, alias: str) -> VaultKey:
        """Return the vault key that is known for an alias's grid.

        Raises:
            AliasError: There is no such alias.
        """
        configuration = self.file.read()
        identity = self.known_alias(configuration, alias.partition(":")[0]).grid
        return self.vaults.key_of(configuration, identity)

    def identity_of(self, place: str) -> str:
        """Return the identity of the vault that an alias is on; for "", of the default vault.

        Raises:
            AliasError: There is no such alias.
            UsageError: It is not clear which vault that is, or the grid is none.
        """
        configuration = self.file.read()
        identity = self.known_alias(configuration, place.partition(":")[0]).grid if place else self.vaults.chosen(configuration)
        if _tahoe_location(configuration, identity) is not None:
            raise UsageError(f"{place or 'this grid'}: a Tahoe-LAFS grid has no vault key; keep a copy of the caps of its aliases")
        return identity

    def vault_url(self, alias: str) -> str | None:
        """Return the URL of the vault that an alias is on, or without one of the default vault, also where it is not there.

        None where it is not known, and for a Tahoe-LAFS grid.
        """
        if self.nodes.chosen() is not None:
            return None
        configuration = self.file.read()
        identity = self.known_alias(configuration, alias.partition(":")[0]).grid if alias else None
        url = self.vaults.url_of(configuration, identity)
        return None if url is None or is_tahoe(url) else url

    def remembered_header(self, url: str) -> Header | None:
        """Return the header of the vault that should be at a URL, as its writer key or this machine knows it; None without."""
        return self.vaults.remembered_header(self.file.read(), url)

    def folder_of(self, grid: Grid) -> Path | None:
        """Return the folder that a grid's vault is in; None where it is elsewhere."""
        if self.nodes.has_opened(grid):
            return None
        url = self.vaults.location_of(self.file.read(), grid.identity)
        return folder_of_url(url) if is_folder_url(url) else None

    def own_files(self, grid: Grid | None, *, includes_own: bool = False) -> OwnFiles:
        """Return what on this machine is Tallac's own; with `includes_own` only the vault of this grid."""
        from tallac.app.locations.own_places import own_places  # lazy import: a listing does without the source
        from tallac.source import OwnFiles  # lazy import: likewise

        configuration = self.file.read()
        folder = None if grid is None else self.folder_of(grid)
        target = None if grid is None or folder is None else (folder, grid.identity)
        places = own_places(self.folders, self.file.path, configuration, target)
        return OwnFiles(places, includes_own=includes_own)

    def _open_alias(self, configuration: Configuration, name: str) -> tuple[Grid, Cap]:
        on_node = self.nodes.find_alias(name)
        if on_node is not None:
            return self.default_grid(), on_node
        alias = self.known_alias(configuration, name)
        return self.open(configuration, alias.grid), self._cap_of(configuration, name)

    def open(self, configuration: Configuration, identity: str) -> Grid:
        chosen, location = self.nodes.chosen(), _tahoe_location(configuration, identity)
        if chosen is not None and chosen != location:
            raise UsageError("this alias is not on the grid of the Tahoe-LAFS node that the options name; leave them out")
        return self.vaults.open(configuration, identity) if location is None else self.nodes.open(location)

    def known_alias(self, configuration: Configuration, name: str) -> Alias:
        """Return an alias of the configuration.

        Raises:
            AliasError: There is none of this name.
            UsageError: It is one of a Tahoe-LAFS node.
        """
        alias = configuration.aliases.get(name)
        if alias is not None:
            return alias
        if self.nodes.find_alias(name) is not None:
            raise UsageError(f"{name}: this is on a Tahoe-LAFS grid, not in a vault; it has no vault keys, its caps are enough")
        if not configuration.aliases and not configuration.grids and (lost := self.vaults.lost()) is not None:
            raise AliasError(lost)
        names = ", ".join(sorted(configuration.aliases))
        there_are = f"existing ones are {names}" if names else "there are none yet"
        how = (
            "`tallac backup FOLDER` creates it"
            if name == DEFAULT_ALIAS
            else f"create one with `tallac create-alias {name or 'NAME'}`"
        )
        raise AliasError(f"no alias {name!r}: {there_are}; {how}")

    def _cap_of(self, configuration: Configuration, name: str) -> Cap:
        text = self.sealed.cap_of(configuration, configuration.aliases[name])
        try:
            return parse(text)
        except MalformedCapError as error:
            raise ConfigurationError(f"{self.file.path}: the cap of alias {name!r} is damaged: {error}") from error


def _tahoe_location(configuration: Configuration, identity: str) -> str | None:
    """Return the location of a known grid that is a Tahoe-LAFS grid; None for any other."""
    known = configuration.grids.get(identity)
    return known.location if known is not None and is_tahoe(known.location) else None
