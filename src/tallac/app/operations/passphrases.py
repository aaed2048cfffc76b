"""Passphrases, through which a user who has lost everything else gets at a vault's key and their aliases."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tallac.app.secrets.passphrase_reader import PassphraseChoice, PassphraseSource
from tallac.app.workspace import Connection
from tallac.clock import SystemClock
from tallac.errors import TallacError, UsageError

if TYPE_CHECKING:
    from tallac.app.operations.user_envelopes import OwnEnvelopes
    from tallac.vault.access.passphrases import PassphraseInfo, Passphrases
    from tallac.vault.format.keys import EnvelopeKey

LENGTH_ADVISED = 14
"""Characters below which a passphrase is called short; three short words have more."""


class Unlocking:
    """The part of `tallac.Client` that is about passphrases.

    A vault is named by an alias on it, or by "" for the one that is meant where no place says it.

    Attributes:
        warn: Told what did not work and can wait.
    """

    connection: Connection
    warn: Callable[[str], None]

    def passphrase_source(self, choice: PassphraseChoice) -> PassphraseSource:
        """Say where passphrases come from."""
        return PassphraseSource(choice, self.connection.secrets)

    def list_passphrases(self, vault: str = "") -> list[PassphraseInfo]:
        """List the passphrases that the user of this configuration has set on a vault, the oldest first."""
        identity = self.connection.identity_of(vault)
        if not self._has_envelope(identity):
            return []
        return self._passphrases(identity).of(self._envelope_key(identity))

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
        self._envelopes.begin(identity)
        self.seal_aliases(identity, at_once=True)
        # What it leads to is there first.
        self._passphrases(identity).add(passphrase, label, self._envelope_key(identity))
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
        passphrases.add(passphrase, replaced[0].label, self._envelope_key(identity))
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

    def remove_alias(self, name: str, *, only_here: bool = False, dry_run: bool = False) -> str:
        """Forget an alias here and, unless `only_here`, behind its user's passphrases; give its name without a colon.

        Raises:
            AliasError: There is no such alias.
            StoreError: The vault can't be reached; nothing was changed.
        """
        name = name.partition(":")[0]
        with self.connection.file.updating() as configuration:
            alias = self.connection.known_alias(configuration, name)
            if not dry_run:
                if not only_here and self._has_envelope(alias.grid):
                    self._envelopes.remove(configuration, name)
                del configuration.aliases[name]
        return name

    def seal_alias(self, name: str) -> None:
        """Let a new alias come behind its user's passphrases, if there are any."""
        alias = self.connection.file.read().aliases.get(name.partition(":")[0])
        if alias is not None:
            self.seal_aliases(alias.grid)

    def seal_aliases(self, identity: str, *, at_once: bool = False) -> None:
        """Bring the user's envelope in a vault, if there is one, up to what the configuration has of it.

        ReadError with the vault is told and left to the next time, unless it is wanted at once.
        """
        if not self._has_envelope(identity):
            return
        try:
            self._envelopes.update(identity, is_forced=at_once)
        except TallacError as error:
            if at_once:
                raise
            self.warn(f"a new alias is not behind the vault's passphrase yet, which the next backup tries again: {error}")

    def _has_envelope(self, identity: str) -> bool:
        known = self.connection.file.read().grids.get(identity)
        return known is not None and bool(known.envelope_key)

    @property
    def _envelopes(self) -> OwnEnvelopes:
        from tallac.app.operations.user_envelopes import OwnEnvelopes  # late import: most commands do without it

        return OwnEnvelopes(self.connection)

    def _envelope_key(self, identity: str) -> EnvelopeKey:
        return self._envelopes.key(self.connection.file.read(), identity)

    def _passphrases(self, identity: str) -> Passphrases:
        from tallac.vault.access.passphrases import Passphrases  # late import: most commands do without it

        backend = self.connection.vaults.backend_of(self.connection.file.read(), identity)
        return Passphrases(backend, identity, randomness=os.urandom, clock=SystemClock())

    def _read_new(self, read: Callable[[], str]) -> str:
        passphrase = read()
        if len(passphrase) < LENGTH_ADVISED:
            self.warn(
                "this passphrase is short: whoever gets at the vault's files can try many; five words drawn by lot are better"
            )
        return passphrase

    def _labelled(self, vault: str, label: str | None) -> list[PassphraseInfo]:
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


def _free_label(known: Iterable[PassphraseInfo]) -> str:
    try:
        name = f"{getpass.getuser()}@{platform.node()}"
    except (OSError, KeyError, ImportError):
        name = platform.node() or "passphrase"
    taken = {each.label for each in known}
    number, label = 2, name
    while label in taken:
        label, number = f"{name} {number}", number + 1
    return label
