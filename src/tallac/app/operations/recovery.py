"""Connecting a machine to a vault that it does not know, by passphrase or recovery kit; and making such kits."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tallac.app.configuration.configuration import Configuration, KnownGrid
from tallac.app.keys.imported_keys import AliasImport, ImportedAlias
from tallac.app.keys.recovery_kit import KIT_SIZE_MAX, RecoveryKit, parse_kit
from tallac.app.keys.recovery_kit_page import kit_text, write_kit
from tallac.app.locations.snapshot_paths import find_targets
from tallac.app.locations.urls import show_location
from tallac.app.locations.vault_keys import VaultKey
from tallac.app.operations.user_envelopes import UserEnvelopes
from tallac.app.secrets.secret_reader import STANDARD_INPUT
from tallac.app.workspace import Workspace
from tallac.caps import parse
from tallac.clock import SystemClock
from tallac.errors import AuthorityError, LocalStateError, MalformedKitError, StoreError, UsageError, VaultNotFoundError
from tallac.transfer.place import Place
from tallac.vault.access.envelopes import Envelope, EnvelopeFile, NamedCap
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.header import Header, prove
from tallac.vault.format.keys import EnvelopeKey


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
            AuthorityError: It leads to a key that is none of this vault's.
        """
        url = self._located(location)
        header = self._header_at(url)
        backend = self._workspace.backends.at(url)
        passphrases = Passphrases(backend, header.signers, randomness=os.urandom, clock=SystemClock())
        # Nobody is asked for what opens nothing.
        passphrases.require_any()
        key = passphrases.open(read())
        envelope = EnvelopeFile(backend, header.identity, key, os.urandom).read()
        return self._enter(header, envelope, key, url, may_move=True)

    def connect_with_kit(self, kit: RecoveryKit, location: str | None = None) -> list[ImportedAlias]:
        """Take over what a recovery kit says; the vault may have moved to a location since.

        Raises:
            VaultNotFoundError: The vault is not there.
            UsageError: Another vault is there.
            AuthorityError: The kit's key is none of this vault's.
        """
        url = self._located(kit.location if location is None else location)
        header = self._header_at(url)
        if header.identity != kit.identity:
            raise UsageError(f"{show_location(url)}: this is not the vault of the recovery kit")
        return self._enter(header, Envelope(kit.key, frozenset(kit.aliases)), None, url, may_move=location is not None)

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

    def _enter(
        self, header: Header, envelope: Envelope, envelope_key: EnvelopeKey | None, url: str, *, may_move: bool
    ) -> list[ImportedAlias]:
        """Enter into the configuration what was brought, once it has proved itself.

        Args:
            header: That of the vault at the URL. Anybody may have copied it there, but nobody can make it up.
            envelope: What was brought.
            envelope_key: The key of the envelope that this comes from; None for a kit.
            url: Where the vault was found.
            may_move: The user has said that it is there, so that it takes the place of where it is known to be.
        """
        workspace, where = self._workspace, show_location(url)
        prove(header, envelope.key, where)
        with workspace.file.updating() as configuration:
            known = configuration.grids.get(header.identity)
            entering = AliasImport(configuration, workspace.sealed, header.identity)
            is_own = envelope_key is not None and entering.may_use(envelope, envelope_key)
            key, location = envelope.key, url
            if known is not None:
                here = workspace.vaults.keys.parse(known)
                prove(header, here, where)
                key = envelope.joined(Envelope(here, frozenset())).key
                location = self._location_of_known(known, url, header, key, may_move=may_move)
                if location != known.location or type(key) is not type(here):
                    kept = workspace.file.keep_copy()
                    self._warn(f"the configuration as it was before is kept in {kept}")
            entering.add_vault(location, key)
            if is_own and envelope_key is not None:
                entering.use_envelope(envelope_key)
            elif envelope_key is not None and not workspace.sealed.envelope_key(configuration, header.identity):
                self._warn(
                    "that passphrase may be somebody else's too, so what this machine has of the vault does not come behind it; "
                    "`tallac add-passphrase` sets one of your own"
                )
            return entering.add_aliases(envelope.aliases)

    def _location_of_known(self, known: KnownGrid, url: str, header: Header, key: VaultKey, *, may_move: bool) -> str:
        """Return where a known vault is from now on: at the new place if the user says so and it is more than a header."""
        if url == known.location:
            return url
        if not may_move:
            self._warn(
                f"the vault stays at {show_location(known.location)}; if it is at {show_location(url)} now, give that location too"
            )
            return known.location
        self._workspace.vaults.require_copy(url, header, key)
        self._warn(f"the vault was at {show_location(known.location)}, and is used at {show_location(url)} from now on")
        return url

    def _located(self, location: str) -> str:
        return self._workspace.vaults.locate(self._workspace.file.read(), location)

    def _header_at(self, url: str) -> Header:
        header = self._workspace.vaults.header_at(url)
        if header is None:
            raise VaultNotFoundError(f"{show_location(url)}: no vault found; give the folder or URL that holds it")
        return header
