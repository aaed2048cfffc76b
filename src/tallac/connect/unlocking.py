"""Ways into a vault for a user who has lost everything else: passphrases and recovery kits."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tallac.connect.configuration import Configuration
from tallac.connect.connection import Connection
from tallac.connect.enveloping import Connected, Entering, digest_of
from tallac.connect.location import backend_at, parse_location, show_location
from tallac.connect.passphrase_input import PassphraseChoice, PassphraseSource
from tallac.connect.recovery_kit import KIT_SIZE_MAX, RecoveryKit, parse_kit
from tallac.connect.secrets_input import STANDARD_INPUT
from tallac.errors import (
    ConfigurationError,
    MalformedCapError,
    MalformedKitError,
    NotAVaultError,
    TallacError,
    UsageError,
)
from tallac.vault import (
    Envelope,
    EnvelopeFile,
    EnvelopeKey,
    Passphrases,
    SetPassphrase,
    SystemClock,
    parse_envelope_key,
)
from tallac.vault.keys import KEY_SIZE

LENGTH_ADVISED = 14
"""Characters below which a passphrase is called short; three short words have more."""


class Unlocking:
    """The part of `tallac.Client` that is about getting in. A vault is named by an alias on it, or by "" for the one that is meant.

    Attributes:
        warn: Told what did not work and can wait.
    """

    connection: Connection
    warn: Callable[[str], None]

    def passphrase_source(self, choice: PassphraseChoice) -> PassphraseSource:
        """Say where passphrases come from."""
        return PassphraseSource(choice, self.connection.secrets)

    def list_passphrases(self, vault: str = "") -> list[SetPassphrase]:
        """List the passphrases that the user of this configuration has set on a vault, the oldest first."""
        identity = self.connection.identity_of(vault)
        return (
            self._passphrases(identity).of(self._envelope_key(self.connection.file.read(), identity))
            if self._has_envelope(identity)
            else []
        )

    def add_passphrase(self, vault: str, read: Callable[[], str], label: str | None = None) -> str:
        """Set one more passphrase on a vault, and give its label. What the configuration has of the vault is sealed into it.

        Args:
            vault: An alias, or "".
            read: Gives the passphrase; called once it is clear that it can be set.
            label: What to call it; None for the user's and the machine's name.

        Raises:
            UsageError: Another passphrase has this label.
        """
        identity = self.connection.identity_of(vault)
        known = self.list_passphrases(vault)
        label = _free_label(known) if label is None else label
        if any(each.label == label for each in known):
            raise UsageError(
                f"there is a passphrase {label!r} already; change it with `tallac change-passphrase`, or choose another --label"
            )
        passphrase = self._read_new(read)
        key = self._begin_envelope(identity)
        self.seal_aliases(identity, at_once=True)
        # What it leads to is there first.
        self._passphrases(identity).add(passphrase, label, key)
        return label

    def change_passphrase(self, vault: str, read: Callable[[], str], label: str | None = None) -> str:
        """Set another passphrase in place of one, and give its label. Without a label, there must be but one.

        Raises:
            UsageError: It is not clear which is meant.
        """
        identity = self.connection.identity_of(vault)
        replaced = self._labelled(vault, label)
        passphrases = self._passphrases(identity)
        passphrase = self._read_new(read)
        self.seal_aliases(identity, at_once=True)
        passphrases.add(passphrase, replaced[0].label, self._envelope_key(self.connection.file.read(), identity))
        for each in replaced:
            passphrases.remove(each.path)
        return replaced[0].label

    def remove_passphrase(self, vault: str, label: str | None = None, *, allow_none: bool = False, dry_run: bool = False) -> str:
        """Let a passphrase open nothing any more, and give its label.

        Raises:
            UsageError: It is not clear which is meant, or it is the last and `allow_none` is not given.
        """
        removed = self._labelled(vault, label)
        if len(removed) == len(self.list_passphrases(vault)) and not allow_none:
            raise UsageError(
                f"{removed[0].label!r} is the last passphrase that leads to your aliases here; remove it with --allow-none"
            )
        for each in () if dry_run else removed:
            self._passphrases(self.connection.identity_of(vault)).remove(each.path)
        return removed[0].label

    def connect(self, location: str, read: Callable[[], str]) -> list[Connected]:
        """Take over the key and the aliases that a passphrase leads to at a location, and say what the aliases are called here.

        Raises:
            NotAVaultError: There is no vault.
            WrongPassphraseError: The passphrase opens nothing in it, or none is set.
        """
        url = parse_location(location)
        identity = self._vault_at(url)
        passphrases = self._passphrases_at(url, identity)
        # Nobody is asked for what opens nothing.
        passphrases.require_any()
        key = passphrases.open(read())
        envelope = EnvelopeFile(backend_at(url), identity, key, os.urandom).read()
        with self.connection.file.updating() as configuration:
            return self._enter(configuration, identity, url, envelope, key.danger_whole_text())

    def connect_with_kit(self, kit: RecoveryKit, location: str | None = None) -> list[Connected]:
        """Take over what a recovery kit says; the vault may have moved to a location since.

        Raises:
            NotAVaultError: The vault is not there.
            UsageError: Another vault is there.
        """
        url = parse_location(kit.location if location is None else location)
        identity = self._vault_at(url)
        if identity != kit.identity:
            raise UsageError(f"{show_location(url)}: another vault is here than the one that the recovery kit is for")
        with self.connection.file.updating() as configuration:
            return self._enter(configuration, identity, url, Envelope(kit.key, frozenset(kit.aliases)), "")

    def read_kit(self, file: str) -> RecoveryKit:
        """Read a recovery kit from a file, or from standard input for `-`.

        Raises:
            UsageError: It can't be read.
            MalformedKitError: It is none.
        """
        if file == STANDARD_INPUT:
            return parse_kit(self.connection.secrets.read_all().decode("utf-8", "replace"))
        try:
            with Path(file).open("rb") as opened:
                return parse_kit(opened.read(KIT_SIZE_MAX).decode("utf-8", "replace"))
        except OSError as error:
            raise UsageError(f"{file}: can't read it ({error.strerror})") from error
        except MalformedKitError as error:
            raise MalformedKitError(f"{file}: {error}") from None

    def recovery_kit(self, vault: str = "") -> RecoveryKit:
        """Give all that is needed beside a vault's files to use it as this user does."""
        identity = self.connection.identity_of(vault)
        configuration = self.connection.file.read()
        envelope = self._envelope_of(configuration, identity)
        location = self.connection.vaults.known(configuration, identity).location
        return RecoveryKit(location, identity, envelope.key, tuple(sorted(envelope.aliases)))

    def kit_text(self, kit: RecoveryKit) -> bytes:
        """Write a recovery kit as text. Whoever reads it has its authority."""
        # Late, as all that writes kits, which few commands do.
        from tallac.connect.kit_page import kit_text

        return kit_text(kit, datetime.now(UTC)).encode()

    def write_kit(self, kit: RecoveryKit, file: str) -> None:
        """Write a recovery kit into a new file: a page to print, with QR codes, or text, as the name's ending says.

        Raises:
            UsageError: The name has another ending than .html and .txt, or there is such a file.
        """
        # Late, as above.
        from tallac.connect.kit_page import write_kit

        write_kit(kit, Path(file))

    def seal_alias(self, name: str) -> None:
        """Let a new alias come behind its user's passphrases, if there are any."""
        alias = self.connection.file.read().aliases.get(name.partition(":")[0])
        if alias is not None:
            self.seal_aliases(alias.grid)

    def seal_aliases(self, identity: str, *, at_once: bool = False) -> None:
        """Bring the user's envelope in a vault up to what the configuration has of it. Nothing is read or written where it is.

        Trouble with the vault is told and left to the next time, unless it is wanted at once.
        """
        if not self._has_envelope(identity):
            return
        try:
            with self.connection.file.updating() as configuration:
                self._seal(configuration, identity, is_forced=at_once)
        except TallacError as error:
            if at_once:
                raise
            self.warn(f"a new alias is not behind the vault's passphrase yet, which the next backup tries again: {error}")

    def _read_new(self, read: Callable[[], str]) -> str:
        passphrase = read()
        if len(passphrase) < LENGTH_ADVISED:
            self.warn(
                "this passphrase is short: whoever gets at the vault's files can try many; five words drawn by lot are better"
            )
        return passphrase

    def _seal(self, configuration: Configuration, identity: str, *, is_forced: bool) -> None:
        vaults = self.connection.vaults
        envelope = self._envelope_of(configuration, identity)
        digest = digest_of(envelope)
        known = configuration.grids[identity]
        if digest == known.enveloped and not is_forced:
            return
        backend = vaults.backend_of(configuration, identity)
        EnvelopeFile(backend, identity, self._envelope_key(configuration, identity), os.urandom).add(envelope)
        configuration.grids[identity] = msgspec.structs.replace(known, enveloped=digest)

    def _begin_envelope(self, identity: str) -> EnvelopeKey:
        """Give the key of the user's envelope; a new one is in the configuration before anything is sealed under it."""
        with self.connection.file.updating() as configuration:
            self.connection.vaults.remember(configuration, identity)
            if configuration.grids[identity].envelope_key:
                return self._envelope_key(configuration, identity)
            key = EnvelopeKey(os.urandom(KEY_SIZE))
            self.connection.kept.enter_envelope_key(configuration, identity, key.danger_whole_text())
            return key

    def _envelope_of(self, configuration: Configuration, identity: str) -> Envelope:
        """Give what the configuration has of a vault, as an envelope holds it."""
        key = self.connection.vaults.parse_key(self.connection.vaults.known(configuration, identity))
        return Envelope(key, frozenset(self.connection.kept.aliases_on(configuration, identity).items()))

    def _enter(
        self, configuration: Configuration, identity: str, url: str, envelope: Envelope, envelope_key: str
    ) -> list[Connected]:
        entering = Entering(configuration, self.connection.kept, identity)
        known = configuration.grids.get(identity)
        here = None if known is None else Envelope(self.connection.vaults.parse_key(known), frozenset())
        entering.enter_grid(url, envelope.key if here is None else envelope.joined(here).key, envelope_key)
        return entering.enter_aliases(envelope.aliases)

    def _vault_at(self, url: str) -> str:
        identity = self.connection.vaults.identity_at(url)
        if identity is None:
            raise NotAVaultError(f"{show_location(url)}: there is no vault; give the folder or URL that holds it")
        return identity

    def _passphrases(self, identity: str) -> Passphrases:
        backend = self.connection.vaults.backend_of(self.connection.file.read(), identity)
        return Passphrases(backend, identity, randomness=os.urandom, clock=SystemClock())

    def _passphrases_at(self, url: str, identity: str) -> Passphrases:
        return Passphrases(backend_at(url), identity, randomness=os.urandom, clock=SystemClock())

    def _has_envelope(self, identity: str) -> bool:
        known = self.connection.file.read().grids.get(identity)
        return known is not None and bool(known.envelope_key)

    def _envelope_key(self, configuration: Configuration, identity: str) -> EnvelopeKey:
        try:
            return parse_envelope_key(self.connection.kept.envelope_key(configuration, identity))
        except MalformedCapError as error:
            raise ConfigurationError(f"{self.connection.file.path}: the envelope key of a vault is damaged: {error}") from error

    def _labelled(self, vault: str, label: str | None) -> list[SetPassphrase]:
        """Give the passphrase of a label; two where a run that changed it was killed."""
        known = self.list_passphrases(vault)
        labels = sorted({each.label for each in known})
        if not labels:
            raise UsageError("you have set no passphrase on this vault; `tallac add-passphrase` sets one")
        there_are = f"there are {', '.join(map(repr, labels))}"
        if label is None and len(labels) > 1:
            raise UsageError(f"say with --label which passphrase is meant; {there_are}")
        found = [each for each in known if each.label == (label or labels[0])]
        if not found:
            raise UsageError(f"there is no passphrase {label!r}; {there_are}")
        return found


def _free_label(known: Iterable[SetPassphrase]) -> str:
    try:
        name = f"{getpass.getuser()}@{platform.node()}"
    except (OSError, KeyError, ImportError):
        name = platform.node() or "passphrase"
    taken = {each.label for each in known}
    number, label = 2, name
    while label in taken:
        label, number = f"{name} {number}", number + 1
    return label
