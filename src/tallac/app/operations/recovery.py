"""Connecting a machine to a vault that it does not know, by passphrase or recovery kit; and making such kits."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tallac.app.configuration.configuration import Configuration
from tallac.app.keys.imported_keys import AliasImport, ImportedAlias
from tallac.app.keys.recovery_kit import KIT_SIZE_MAX, RecoveryKit, parse_kit
from tallac.app.keys.recovery_kit_page import kit_text, write_kit
from tallac.app.locations.snapshot_paths import find_targets
from tallac.app.locations.urls import show_location
from tallac.app.operations.user_envelopes import UserEnvelopes
from tallac.app.secrets.secret_reader import STANDARD_INPUT
from tallac.app.workspace import Workspace
from tallac.caps import parse
from tallac.clock import SystemClock
from tallac.errors import AuthorityError, LocalStateError, MalformedKitError, StoreError, UsageError, VaultNotFoundError
from tallac.transfer import Place
from tallac.vault.access.envelopes import Envelope, EnvelopeFile, NamedCap
from tallac.vault.access.passphrases import Passphrases


class Recovery:
    """Brings keys and aliases into the configuration from outside it, and makes recovery kits to be kept in a safe."""

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._envelopes = UserEnvelopes(workspace, warn)
        self._warn = warn

    def connect(self, location: str, read: Callable[[], str]) -> list[ImportedAlias]:
        """Take over the key and the aliases that a passphrase leads to at a location, and return what the aliases are called here.

        Raises:
            VaultNotFoundError: There is no vault.
            WrongPassphraseError: The passphrase opens nothing in it, or none is set.
        """
        url = self._workspace.location_of(location)
        identity = self._vault_at(url)
        passphrases = Passphrases(self._workspace.backends.at(url), identity, randomness=os.urandom, clock=SystemClock())
        # Nobody is asked for what opens nothing.
        passphrases.require_any()
        key = passphrases.open(read())
        envelope = EnvelopeFile(self._workspace.backends.at(url), identity, key, os.urandom).read()
        with self._workspace.file.updating() as configuration:
            return self._add(configuration, identity, url, envelope, key.danger_whole_text())

    def connect_with_kit(self, kit: RecoveryKit, location: str | None = None) -> list[ImportedAlias]:
        """Take over what a recovery kit says; the vault may have moved to a location since.

        Raises:
            VaultNotFoundError: The vault is not there.
            UsageError: Another vault is there.
        """
        url = self._workspace.location_of(kit.location if location is None else location)
        identity = self._vault_at(url)
        if identity != kit.identity:
            raise UsageError(f"{show_location(url)}: this is not the vault of the recovery kit")
        with self._workspace.file.updating() as configuration:
            return self._add(configuration, identity, url, Envelope(kit.key, frozenset(kit.aliases)), "")

    def read_kit(self, file: str) -> RecoveryKit:
        """Read a recovery kit from a file, or from standard input for `-`.

        Raises:
            UsageError: It can't be read.
            MalformedKitError: It is none.
        """
        if file == STANDARD_INPUT:
            return parse_kit(self._workspace.secrets.read_all().decode("utf-8", "replace"))
        try:
            with Path(file).open("rb") as opened:
                return parse_kit(opened.read(KIT_SIZE_MAX).decode("utf-8", "replace"))
        except OSError as error:
            raise UsageError(f"{file}: can't read it ({error.strerror})") from error
        except MalformedKitError as error:
            raise MalformedKitError(f"{file}: {error}") from None

    def kit(self, vault: str = "") -> RecoveryKit:
        """Return all that is needed beside a vault's files to use it as this user does."""
        identity = self._workspace.identity_of(vault)
        configuration = self._workspace.file.read()
        envelope = self._envelopes.content(configuration, identity)
        location = self._workspace.vaults.location_of(configuration, identity)
        aliases = tuple(sorted(envelope.aliases))
        return RecoveryKit(location, identity, envelope.key, aliases, self._targets(configuration, identity, aliases))

    def _targets(self, configuration: Configuration, identity: str, aliases: tuple[NamedCap, ...]) -> tuple[str, ...] | None:
        """Return all targets below the aliases, as a user writes them; None where the vault can't be asked."""
        try:
            grid = self._workspace.open(configuration, identity)
            roots = [Place(parse(cap), (), f"{name}:") for name, cap in aliases]
            return tuple(str(target) for root in roots for target in find_targets(grid, root))
        except (StoreError, AuthorityError, LocalStateError) as error:
            self._warn(f"the targets are not named in this kit, because the vault can't be asked for them: {error}")
            return None

    def kit_text(self, kit: RecoveryKit) -> bytes:
        """Write a recovery kit as text. Whoever reads it has its authority."""
        return kit_text(kit, datetime.now(UTC)).encode()

    def write_kit(self, kit: RecoveryKit, file: str) -> None:
        """Write a recovery kit into a new file: a page to print, with QR codes, or text, as the name's ending says.

        Raises:
            UsageError: The name has another ending than .html and .txt, or there is such a file.
        """
        write_kit(kit, Path(file))

    def _add(
        self, configuration: Configuration, identity: str, url: str, envelope: Envelope, envelope_key: str
    ) -> list[ImportedAlias]:
        aliases = AliasImport(configuration, self._workspace.sealed, identity)
        known = configuration.grids.get(identity)
        here = None if known is None else Envelope(self._workspace.vaults.parse_key(known), frozenset())
        aliases.add_grid(url, envelope.key if here is None else envelope.joined(here).key, envelope_key)
        return aliases.add_aliases(envelope.aliases)

    def _vault_at(self, url: str) -> str:
        identity = self._workspace.vaults.identity_at(url)
        if identity is None:
            raise VaultNotFoundError(f"{show_location(url)}: no vault found; give the folder or URL that holds it")
        return identity
