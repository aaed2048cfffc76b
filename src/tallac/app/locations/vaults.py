"""The vaults that a user has keys of: opens the known ones, makes new ones. Only here and in tahoe_nodes.py is a grid made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tallac.app.configuration.configuration import Configuration, ConfigurationFile, KnownGrid
from tallac.app.configuration.folders import Folders
from tallac.app.locations.grid_options import GridOptions
from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.app.locations.tahoe_urls import complete, has_cap, is_tahoe, is_tahoe_vault, with_new_directory
from tallac.app.locations.urls import is_absent, is_store, parse_location, show_location, url_of_folder
from tallac.app.locations.vault_keys import VaultKey, VaultKeys
from tallac.app.secrets.secret_reader import SecretSource
from tallac.errors import ConfigurationError, CorruptObjectError, UnsupportedFormatError, UsageError, VaultNotFoundError
from tallac.interfaces import Backend, Grid, Randomness
from tallac.vault.format.keys import WriterKey, make_writer_key

if TYPE_CHECKING:
    from tallac.app.locations.backends import Backends
    from tallac.vault.format.header import Header
    from tallac.vault.vault import Vault


class Vaults:
    """Opens vaults, each once, and makes new ones. Not thread-safe."""

    def __init__(
        self,
        folders: Folders,
        file: ConfigurationFile,
        options: GridOptions,
        secrets: SecretSource,
        randomness: Randomness,
        backends: Callable[[], Backends],
    ) -> None:
        self._folders = folders
        self._file = file
        self._options = options
        self._randomness = randomness
        self._backends = backends
        self._open_grids: dict[str, Grid] = {}
        self._given: dict[str, KnownGrid] = {}
        self.keys = VaultKeys(file, options, secrets)

    def close(self) -> None:
        """Close all grids."""
        while self._open_grids:
            self._open_grids.popitem()[1].close()

    def known(self, configuration: Configuration, identity: str) -> KnownGrid:
        """Return what is known about a vault; what the command line says comes first.

        Raises:
            ConfigurationError: Its key is missing.
            UsageError: The command line chose another vault.
        """
        if self._options.vault is not None and self.chosen(configuration) != identity:
            raise UsageError(f"{show_location(self._options.vault)}: this is not the vault of the alias; leave out --vault")
        known = self._given.get(identity) or configuration.grids.get(identity)
        if known is None:
            raise ConfigurationError(
                f"{self._file.path}: the key of vault {identity} is missing; restore a copy of this file, or remove the alias"
            )
        if is_tahoe(known.location):
            raise UsageError(f"{known.location}: this is a Tahoe-LAFS grid, not a vault; it has no vault keys, its caps are enough")
        return known

    def lost(self) -> str | None:
        """Return what to say where the configuration is empty and a vault is in the default folder; None where there is none."""
        folder = self._folders.vault
        if self.identity_at(url_of_folder(folder)) is None:
            return None
        return f"{folder}: there is a vault, and its key is not known here; `tallac connect {folder}` gets key and aliases back"

    def chosen(self, configuration: Configuration) -> str:
        """Return the identity of the vault that is used without an alias: that of --vault, of the default alias, or the only one.

        Raises:
            UsageError: It is not clear which, or its key is missing.
            VaultNotFoundError, StoreError: --vault leads to no vault.
        """
        if self._options.vault is not None:
            return self._choose(configuration, self.locate(configuration, self._options.vault))
        if self._options.gives_key:
            raise UsageError("--vault-key requires --vault, which names the vault")
        if DEFAULT_ALIAS in configuration.aliases:
            return configuration.aliases[DEFAULT_ALIAS].grid
        if len(configuration.grids) == 1:
            return next(iter(configuration.grids))
        if not configuration.grids:
            if (lost := self.lost()) is not None:
                raise UsageError(lost)
            raise UsageError("there is no vault yet: `tallac init` creates one, and `tallac connect FOLDER` opens one that exists")
        where = ", ".join(sorted(show_location(known.location) for known in configuration.grids.values()))
        raise UsageError(f"say with --vault which vault this is about: {where}")

    def chosen_or_new(self, configuration: Configuration) -> tuple[str, str]:
        """Return the identity of the vault for a new alias, and where it was made if it was.

        Only in an `updating` block: a vault's key is in the configuration before the vault is there.
        """
        if self._options.vault is not None:
            url = self.locate(configuration, self._options.vault)
        elif DEFAULT_ALIAS in configuration.aliases:
            return self.chosen(configuration), ""
        else:
            url = url_of_folder(self._folders.vault)
        identity = self.identity_at(url)
        is_begun = url in configuration.unfinished and identity not in configuration.grids
        if identity is None or (is_begun and not self._options.gives_key):
            return self._make(configuration, url), show_location(url)
        return self.remember(configuration, self._choose(configuration, url)), ""

    def make(self, configuration: Configuration, location: str | None) -> tuple[str, str]:
        """Make a vault at a location, or without one in the user's data folder; return its identity, and where it is.

        Only in an `updating` block, as above.

        Raises:
            UsageError: There is a vault already, or the location is none of a vault.
        """
        if self._options.gives_key:
            raise UsageError("a new vault gets a key of its own; leave out --vault-key")
        if location is not None and self._options.vault is not None:
            raise UsageError("the location of the new vault is given twice: leave out --vault")
        location = self._options.vault if location is None else location
        url = url_of_folder(self._folders.vault) if location is None else self.locate(configuration, location)
        identity, where = self.identity_at(url), show_location(url)
        if identity is not None and identity in configuration.grids:
            raise UsageError(
                f"{where}: there is a vault already, and its key is known here; `tallac create-alias` creates an alias in it"
            )
        if identity is not None and url not in configuration.unfinished:
            raise UsageError(f"{where}: there is a vault already; `tallac connect {where}` gets your aliases back")
        return self._make(configuration, url), where

    def remember_chosen(self, configuration: Configuration) -> str:
        """Keep the chosen vault's location and key in the configuration, and return its identity."""
        return self.remember(configuration, self.chosen(configuration))

    def remember(self, configuration: Configuration, identity: str) -> str:
        """Keep a vault's location and key in the configuration, if only the command line has named it; return its identity."""
        # A key that is there already may be a stronger one.
        if identity not in configuration.grids:
            configuration.grids[identity] = self._given[identity]
        return identity

    def location_of(self, configuration: Configuration, identity: str) -> str:
        """Return the URL of a vault. Raises as `known`."""
        return self.known(configuration, identity).location

    def key_of(self, configuration: Configuration, identity: str) -> VaultKey:
        """Return the key of a vault. Raises as `known` and `VaultKeys.parse`."""
        return self.keys.parse(self.known(configuration, identity))

    def may_add_to(self, configuration: Configuration, identity: str) -> bool:
        """Whether the key of a vault is one that stores snapshots. Raises as `key_of`."""
        return isinstance(self.key_of(configuration, identity), WriterKey)

    def open(self, configuration: Configuration, identity: str) -> Grid:
        """Open a vault, or give the open one.

        Raises:
            As `backend_of` and `open_vault`.
        """
        if identity not in self._open_grids:
            self._open_grids[identity] = self.opener(configuration, identity)()
        return self._open_grids[identity]

    def key_at(self, configuration: Configuration, url: str) -> VaultKey | None:
        """Return the key of the vault at a URL: the one that the command line names, or the one that is known; None without either.

        Raises:
            VaultNotFoundError, StoreError: There is no vault.
            AuthorityError: The key is none of this vault's.
        """
        header = self.header_at(url)
        if header is None:
            raise VaultNotFoundError(f"{show_location(url)}: no vault found")
        known = configuration.grids.get(header.identity)
        given = self.keys.given() if self._options.gives_key else None
        key = given if given is not None or known is None else self.keys.parse(known)
        if key is not None:
            _prove(header, key, url)
        return key

    def opener(self, configuration: Configuration, identity: str) -> Callable[[], Grid]:
        """Return a function that opens a vault anew, for another thread; the caller closes what it returns. Raises as `open`."""
        # A login takes as long as all that is loaded and read here meanwhile.
        self._backends().connect_ahead(self.location_of(configuration, identity))
        from tallac.vault.vault import open_vault  # lazy import: a Tahoe-LAFS grid does without it

        backend, header = self.found(configuration, identity)
        return partial(
            open_vault,
            backend,
            self.key_of(configuration, identity),
            state=self._folders.state,
            header=header,
            randomness=self._randomness,
            client=_client_name,
            cache=self._backends().cache(self.location_of(configuration, identity)),
        )

    def require_copy(self, url: str, header: Header, key: VaultKey) -> None:
        """Require that all that a vault begins with is at a location, and not older than what this machine has seen.

        A header alone is there for everybody to copy.

        Raises:
            VaultNotFoundError: It is not all there.
            RollbackDetectedError: It is older.
        """
        from tallac.vault.vault import open_vault  # lazy import: a Tahoe-LAFS grid does without it

        with open_vault(self._backends().at(url), key, state=self._folders.state, header=header) as vault:
            if vault.components.index_register.read() is None:
                raise VaultNotFoundError(
                    f"{show_location(url)}: there is only the header of this vault; give the location of all of it"
                )
            if vault.components.roots is not None:
                vault.components.roots.read()

    def url_of(self, configuration: Configuration, identity: str | None) -> str | None:
        """Return the URL of a known grid, or for None of the chosen one, whether it is there or not. Raises as `chosen`."""
        if self._options.vault is not None:
            return self.locate(configuration, self._options.vault)
        known = configuration.grids.get(self.chosen(configuration) if identity is None else identity)
        return None if known is None else known.location

    def remembered_header(self, configuration: Configuration, url: str) -> Header | None:
        """Return the header of the vault that should be at a URL, as its writer key or this machine knows it; None without."""
        from tallac.vault.format.header import Header  # lazy import: a Tahoe-LAFS grid does without it
        from tallac.vault.local_state import remembered_header  # lazy import: likewise

        known = [known for known in configuration.grids.values() if known.location == url]
        if not self._options.gives_key and len(known) != 1:
            return None
        key = self.keys.given() if self._options.gives_key else self.keys.parse(known[0])
        header = Header.of(key) if isinstance(key, WriterKey) else remembered_header(self._folders.state / key.vault.hex())
        if header is not None:
            _prove(header, key, url)
        return header

    def backend_of(self, configuration: Configuration, identity: str) -> Backend:
        """Return the backend that a vault is in, once it is known to be there.

        Raises:
            VaultNotFoundError: It is not where it was.
            UsageError: Another one is there.
        """
        return self.found(configuration, identity)[0]

    def found(self, configuration: Configuration, identity: str) -> tuple[Backend, Header]:
        """Return the backend that a vault is in, and its header. Raises as `backend_of`."""
        location = self.location_of(configuration, identity)
        header = self._header_seen(location) or self.header_at(location)
        where = show_location(location)
        if header is None:
            raise VaultNotFoundError(f"{where}: vault not found; attach its disk, or give its new location with --vault")
        if header.identity != identity:
            raise UsageError(f"{where}: this is another vault; give the location of the one you mean with --vault")
        return self._backends().at(location), header

    def locate(self, configuration: Configuration, text: str) -> str:
        """Return the location for what a user writes; a known vault need not be named by its cap or by the options of its store.

        Raises:
            UsageError: It is none, or an option of `--store` does not belong to it.
        """
        url = parse_location(text, self._options.store)
        known = [*(known.location for known in configuration.grids.values()), *configuration.unfinished]
        if is_tahoe_vault(url):
            return complete(url, known)
        if is_store(url):
            from tallac.app.locations.store_urls import complete_store, with_context  # lazy import: a folder does without them

            return complete_store(url, known) or with_context(url)
        return url

    def _choose(self, configuration: Configuration, url: str) -> str:
        header = self.header_at(url)
        if header is None:
            raise VaultNotFoundError(f"{show_location(url)}: no vault found; `tallac create-alias NAME --vault FOLDER` creates one")
        identity = header.identity
        if identity in self._given:
            return identity
        if self._options.gives_key:
            key = self.keys.given()
            _prove(header, key, url)
            self._given[identity] = KnownGrid(url, key.danger_whole_text())
        elif identity in configuration.grids:
            self._given[identity] = msgspec.structs.replace(configuration.grids[identity], location=url)
        else:
            raise UsageError(
                f"{show_location(url)}: there is a vault, and its key is not known here; "
                f"`tallac connect {show_location(url)}` gets it back, or give it with --vault-key FILE"
            )
        return identity

    def identity_at(self, url: str) -> str | None:
        """Return the identity of the vault at a location; None where there is none. Raises as `header_at`."""
        header = self.header_at(url)
        return None if header is None else header.identity

    def header_at(self, url: str) -> Header | None:
        """Return the header of the vault at a location; None where there is none. Anybody may have copied it there.

        Raises:
            StoreError: It can't be read, or is damaged.
        """
        from tallac.vault.format.header import read_header  # lazy import: a Tahoe-LAFS grid does without it

        try:
            return None if is_absent(url) else read_header(self._backends().at(url))
        except VaultNotFoundError:
            return None

    def _header_seen(self, url: str) -> Header | None:
        """Return the header that was seen lately at a distant location; who uses the vault finds out where it is gone."""
        from tallac.vault.format.header import decode_header  # lazy import: a Tahoe-LAFS grid does without it

        seen = self._backends().remembered_header(url)
        try:
            return None if seen is None else decode_header(seen, show_location(url))
        except (CorruptObjectError, UnsupportedFormatError, VaultNotFoundError):
            return None

    def _make(self, configuration: Configuration, url: str) -> str:
        """Make a vault, or go on with one that a killed run began. Its key is durable before it is."""
        from tallac.vault.vault import create_vault  # lazy import: a Tahoe-LAFS grid does without it

        if is_tahoe_vault(url) and not has_cap(url):
            url = with_new_directory(url)
        begun = configuration.unfinished.get(url)
        if begun is None and self._backends().has_other_things(url):
            kind = "prefix" if is_store(url) else "folder"
            raise VaultNotFoundError(f"{show_location(url)}: not a vault, and not empty; give a new or empty {kind}")
        key = make_writer_key(self._randomness) if begun is None else self.keys.parse(KnownGrid(url, begun))
        if not isinstance(key, WriterKey):
            raise ConfigurationError(f"{self._file.path}: the key of the unfinished vault at {show_location(url)} is no writer key")
        begun_at = url
        backend, url = self._backends().create(url)
        configuration.unfinished.pop(begun_at, None)
        configuration.unfinished[url] = key.danger_whole_text()
        self._file.write(configuration)
        create_vault(backend, key=key, randomness=self._randomness)
        identity = key.vault.hex()
        configuration.grids[identity] = KnownGrid(url, configuration.unfinished.pop(url))
        self._file.write(configuration)
        return identity


def _prove(header: Header, key: VaultKey, url: str) -> None:
    from tallac.vault.format.header import prove  # lazy import: a Tahoe-LAFS grid does without it

    prove(header, key, show_location(url))


def _client_name() -> str:
    import platform  # lazy import: only a session needs it

    return platform.node()


def vault_of(grid: Grid) -> Vault | None:
    """Return a grid that is a vault as one; None for any other grid."""
    from tallac.vault.vault import Vault  # lazy import: a Tahoe-LAFS grid does without it

    return grid if isinstance(grid, Vault) else None


def require_vault(grid: Grid, message: str) -> Vault:
    """Return a grid that has to be a vault.

    Raises:
        UsageError: It is none; the error says so in the words of the message.
    """
    vault = vault_of(grid)
    if vault is None:
        raise UsageError(message)
    return vault
