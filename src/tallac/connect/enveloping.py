"""What a user has of a vault, between the configuration and the user's envelope in the vault."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, parse
from tallac.connect.configuration import Alias, Configuration, KnownGrid
from tallac.connect.vaults import VaultKey
from tallac.connect.written_place import check_alias_name
from tallac.crypto import hash_file_bytes
from tallac.errors import AliasError
from tallac.vault import Envelope
from tallac.vault.envelopes import NamedCap


@dataclass(frozen=True, slots=True)
class Connected:
    """An alias that came from an envelope or a recovery kit.

    Attributes:
        name: What it is called there.
        alias: What it is called here, where another alias may have had that name.
        is_new: Whether it was not here before.
    """

    name: str
    alias: str
    is_new: bool


def envelope_of(configuration: Configuration, identity: str, key: VaultKey) -> Envelope:
    """Give what the configuration has of a vault, as an envelope holds it."""
    aliases = frozenset((name, alias.cap) for name, alias in configuration.aliases.items() if alias.grid == identity)
    return Envelope(key, aliases)


def digest_of(envelope: Envelope) -> str:
    """Give a hash that tells whether two envelopes hold the same."""
    held = [envelope.key.danger_whole_text(), *(word for named in sorted(envelope.aliases) for word in named)]
    return hash_file_bytes(msgspec.json.encode(held)).hex()[:32]


def enter_known(
    configuration: Configuration, identity: str, location: str, envelope: Envelope, envelope_key: str
) -> list[Connected]:
    """Let the configuration know a vault, and the aliases that came with it; say what each is called here.

    The stronger of two keys stays. An alias whose name stands for something else here gets a number after its name.

    Raises:
        AliasError: An alias's name can't be one, or it stands for no directory.
    """
    known = configuration.grids.get(identity)
    here = KnownGrid(location, envelope.key.danger_whole_text(), envelope_key)
    if known is not None:
        here = msgspec.structs.replace(here, envelope_key=envelope_key or known.envelope_key)
    configuration.grids[identity] = here
    named = sorted(envelope.aliases)
    for name, cap in named:
        check_alias_name(name)
        if not isinstance(parse(cap), DirectoryReadCap | DirectoryWriteCap):
            raise AliasError(f"the alias {name!r} stands for something that is no directory")
    # Those whose names are free or theirs come first, so that none of them is taken for a numbered one.
    contested = [each for each in named if _is_contested(configuration, identity, each)]
    return [
        *_enter(configuration, identity, (each for each in named if each not in contested)),
        *_enter(configuration, identity, contested),
    ]


def _is_contested(configuration: Configuration, identity: str, named: NamedCap) -> bool:
    return configuration.aliases.get(named[0], Alias(identity, named[1])) != Alias(identity, named[1])


def _enter(configuration: Configuration, identity: str, aliases: Iterable[NamedCap]) -> Iterable[Connected]:
    for name, cap in aliases:
        alias = Alias(identity, cap)
        if configuration.aliases.get(name) == alias:
            yield Connected(name, name, is_new=False)
            continue
        known = [other for other, its in configuration.aliases.items() if its == alias]
        if known and name in configuration.aliases:
            yield Connected(name, known[0], is_new=False)
            continue
        free = name
        number = 2
        while free in configuration.aliases:
            free, number = f"{name}-{number}", number + 1
        configuration.aliases[free] = alias
        yield Connected(name, free, is_new=True)
