"""Passphrases, through which a user who has lost everything else gets at a vault's key and their aliases."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable
from typing import TypeAlias

from tallac.app.configuration.folders import host_name
from tallac.app.operations.user_envelopes import UserEnvelopes
from tallac.app.secrets.passphrase_reader import PassphraseChoice, PassphraseSource
from tallac.app.workspace import Workspace
from tallac.clock import SystemClock
from tallac.errors import UsageError
from tallac.vault.access.passphrases import PassphraseInfo, Passphrases
from tallac.vault.format.keys import EnvelopeKey
from tallac.wording import of_vault

LENGTH_ADVISED = 14
"""Characters below which a passphrase is called short; three short words have more."""

PassphraseList: TypeAlias = list[PassphraseInfo]


class UserPassphrases:
    """Sets, lists and removes passphrases. A vault is named by an alias on it, or by "" for the one that no path names."""

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._warn = warn
        self._envelopes = UserEnvelopes(workspace, warn)

    def source(self, choice: PassphraseChoice) -> PassphraseSource:
        """Return what reads passphrases from where a user says."""
        return PassphraseSource(choice, self._workspace.secrets)

    def list(self, vault: str = "") -> PassphraseList:
        """List the passphrases that the user of this configuration has set on a vault, the oldest first."""
        identity = self._workspace.identity_of(vault)
        if not self._envelopes.is_used(identity):
            return []
        return self._passphrases(identity).of(self._envelope_key(identity))

    def add(self, vault: str, read: Callable[[], str], label: str | None = None) -> str:
        """Set one more passphrase on a vault, and return its label. What the configuration has of the vault is sealed into it.

        Args:
            vault: An alias, or "".
            read: Gives the passphrase; called once it is clear that it can be set.
            label: What to call it; None for the user's and the machine's name.

        Raises:
            UsageError: Another passphrase has this label.
        """
        identity = self._workspace.identity_of(vault)
        known = self.list(vault)
        label = _free_label(known) if label is None else label
        if any(each.label == label for each in known):
            change = of_vault("tallac change-passphrase", vault)
            raise UsageError(f"the passphrase {label!r} exists already; change it with `{change}`, or choose another --label")
        passphrase = self._read_new(read)
        self._envelopes.begin(identity)
        self._envelopes.write(identity)
        # What it leads to is there first.
        self._passphrases(identity).add(passphrase, label, self._envelope_key(identity))
        return label

    def change(self, vault: str, read: Callable[[], str], label: str | None = None) -> str:
        """Set another passphrase in place of one, and return its label. Without a label, there must be but one.

        Raises:
            UsageError: It is not clear which is meant.
        """
        identity = self._workspace.identity_of(vault)
        replaced = self._labelled(vault, label)
        passphrases = self._passphrases(identity)
        passphrase = self._read_new(read)
        self._envelopes.write(identity)
        passphrases.add(passphrase, replaced[0].label, self._envelope_key(identity))
        for each in replaced:
            passphrases.remove(each.path)
        return replaced[0].label

    def remove(self, vault: str, label: str | None = None, *, allow_none: bool = False, dry_run: bool = False) -> str:
        """Remove a passphrase, and return its label.

        Raises:
            UsageError: It is not clear which is meant, or it is the last and `allow_none` is not given.
        """
        removed = self._labelled(vault, label)
        if len(removed) == len(self.list(vault)) and not allow_none:
            raise UsageError(f"{removed[0].label!r} is your last passphrase on this vault; remove it with --allow-none")
        for each in () if dry_run else removed:
            self._passphrases(self._workspace.identity_of(vault)).remove(each.path)
        return removed[0].label

    def _envelope_key(self, identity: str) -> EnvelopeKey:
        return self._envelopes.key(self._workspace.file.read(), identity)

    def _passphrases(self, identity: str) -> Passphrases:
        configuration, vaults = self._workspace.file.read(), self._workspace.vaults
        backend, header = vaults.found(configuration, identity)
        key = vaults.key_of(configuration, identity)
        return Passphrases(backend, header.signers, key=key, randomness=os.urandom, clock=SystemClock())

    def _read_new(self, read: Callable[[], str]) -> str:
        passphrase = read()
        if len(passphrase) < LENGTH_ADVISED:
            self._warn(
                "this passphrase is short: whoever copies the vault's files can try many; five randomly chosen words are better"
            )
        return passphrase

    def _labelled(self, vault: str, label: str | None) -> PassphraseList:
        """Return the passphrase of a label; two where a run that changed it was killed."""
        known = self.list(vault)
        labels = sorted({each.label for each in known})
        if not labels:
            raise UsageError(f"no passphrase of yours found on this vault; `{of_vault('tallac add-passphrase', vault)}` adds one")
        there_are = f"there are {', '.join(map(repr, labels))}"
        if label is None and len(labels) > 1:
            raise UsageError(f"several passphrases found: name one with --label; {there_are}")
        found = [each for each in known if each.label == (label or labels[0])]
        if not found:
            raise UsageError(f"no passphrase {label!r} found; {there_are}")
        return found


def _free_label(known: Iterable[PassphraseInfo]) -> str:
    try:
        name = f"{getpass.getuser()}@{host_name()}"
    except (OSError, KeyError, ImportError):
        name = host_name() or "passphrase"
    taken = {each.label for each in known}
    number, label = 2, name
    while label in taken:
        label, number = f"{name} {number}", number + 1
    return label
