"""Adding what came from an envelope or a recovery kit to the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from tallac.app.configuration.configuration import Configuration, KnownGrid
from tallac.app.keys.sealed_secrets import SealedSecrets
from tallac.app.locations.grid_path import check_alias_name
from tallac.app.locations.vault_keys import VaultKey
from tallac.caps import DirectoryReadCap, DirectoryWriteCap, parse
from tallac.errors import AliasError

if TYPE_CHECKING:
    from tallac.vault.access.envelopes import Envelope, NamedCap
    from tallac.vault.format.keys import EnvelopeKey


class ImportedAlias(msgspec.Struct, frozen=True):
    """An alias that came from an envelope or a recovery kit.

    Attributes:
        name: What it is called there.
        alias: What it is called here, where another alias may have had that name.
        is_new: Whether it was not here before.
    """

    name: str
    alias: str
    is_new: bool


class AliasImport:
    """Adds what came from an envelope or a recovery kit to a configuration that is being updated.

    Nothing that is there is lost: of two vault keys the stronger stays, the user's own envelope is never exchanged for another, and
    an alias whose name stands for something else here gets a number after its name. All keys have proved themselves before.
    """

    def __init__(self, configuration: Configuration, kept: SealedSecrets, identity: str) -> None:
        """Add to the configuration what belongs to the vault of this identity."""
        self._configuration = configuration
        self._kept = kept
        self._identity = identity

    def add_vault(self, location: str, key: VaultKey) -> None:
        """Add the vault and its key; of a known one, change the location, and the key where it is kept in the configuration."""
        known = self._configuration.grids.get(self._identity)
        if known is None:
            here = KnownGrid(location, key.danger_whole_text())
        elif known.key_source is None:
            here = msgspec.structs.replace(known, location=location, vault_key=key.danger_whole_text())
        else:
            here = msgspec.structs.replace(known, location=location)
        self._configuration.grids[self._identity] = here

    def may_use(self, envelope: Envelope, key: EnvelopeKey) -> bool:
        """Whether an envelope may become the user's own, or is it: what the configuration has of the vault is sealed into that.

        Whoever gave the passphrase to this user may open it too, so that it may become so only where it holds all of that already.
        To be asked before anything is added.
        """
        known = self._configuration.grids.get(self._identity)
        if known is None:
            return True
        present = self._kept.envelope_key(self._configuration, self._identity)
        if present:
            return present == key.danger_whole_text()
        held = {cap for _, cap in envelope.aliases}
        is_held = held.issuperset(self._kept.aliases_on(self._configuration, self._identity).values())
        return is_held and envelope.holds(self._kept.vault_key(self._configuration, self._identity))

    def use_envelope(self, key: EnvelopeKey) -> None:
        """Make an envelope the user's own."""
        self._kept.set_envelope_key(self._configuration, self._identity, key.danger_whole_text())

    def add_aliases(self, aliases: Iterable[NamedCap]) -> list[ImportedAlias]:
        """Add aliases on the vault, which the configuration knows, and return what each is called here.

        Raises:
            AliasError: A name can't be one, or stands for no directory.
        """
        named = sorted(aliases)
        for name, cap in named:
            check_alias_name(name)
            if not isinstance(parse(cap), DirectoryReadCap | DirectoryWriteCap):
                raise AliasError(f"the alias {name!r} does not name a directory")
        # Those whose names are free or theirs come first, so that none of them is taken for a numbered one.
        here = self._kept.aliases_on(self._configuration, self._identity)
        contested = [each for each in named if self._is_taken(each[0]) and here.get(each[0]) != each[1]]
        return [self._add(*each) for each in [*(each for each in named if each not in contested), *contested]]

    def _add(self, name: str, cap: str) -> ImportedAlias:
        here = self._kept.aliases_on(self._configuration, self._identity)
        if here.get(name) == cap:
            return ImportedAlias(name, name, is_new=False)
        known = [other for other, its in here.items() if its == cap]
        if known and self._is_taken(name):
            return ImportedAlias(name, known[0], is_new=False)
        number, free = 2, name
        while self._is_taken(free):
            number, free = number + 1, f"{name}-{number}"
        self._kept.set_alias(self._configuration, free, self._identity, cap)
        return ImportedAlias(name, free, is_new=True)

    def _is_taken(self, name: str) -> bool:
        return name in self._configuration.aliases
