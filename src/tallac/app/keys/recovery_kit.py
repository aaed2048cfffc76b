"""Recovery kits: what a user has of a vault, as text that can be printed, typed in again, or scanned.

A kit is lines of words. A key's last characters tell a typing error, and so does the check at the end of an alias's line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tallac.app.locations.vault_keys import VaultKey
from tallac.caps import parse
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import MalformedCapError, MalformedKitError
from tallac.vault.format.keys import parse_vault_key

if TYPE_CHECKING:
    from tallac.vault.access.envelopes import NamedCap

BEGIN = "----- BEGIN TALLAC RECOVERY KIT -----"
END = "----- END TALLAC RECOVERY KIT -----"
KIT_SIZE_MAX = 16 << 20
_KIT_FORMAT = "2"
_FIRST_LINE = f"tallac-kit {_KIT_FORMAT}"
_IDENTITY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class RecoveryKit:
    """The content of a kit.

    Attributes:
        location: The URL where the vault was.
        identity: The vault's 32 hexadecimal digits, which its key names too.
        key: The vault key.
        aliases: Names with the whole texts of their caps.
        targets: What was backed up to, as `ALIAS:PATH`, when the kit was made: its commands name them, and no line of it has them.
            None where that is not known.
    """

    location: str
    identity: str
    key: VaultKey
    aliases: tuple[NamedCap, ...] = field(repr=False)
    targets: tuple[str, ...] | None = None

    def danger_vault_lines(self) -> list[str]:
        """Write what opens the vault. Whoever reads it has the key's authority."""
        key = self.key.danger_whole_text()
        return [_FIRST_LINE, f"location {self.location}", f"vault {self.identity}", f"key {key}"]

    def danger_alias_lines(self) -> list[str]:
        """Write the aliases, a line each. Whoever reads them has the caps' authority."""
        return [_with_check(f"alias {name} {cap}") for name, cap in self.aliases]


def parse_kit(text: str) -> RecoveryKit:
    """Read a kit: a text or page that `tallac recovery-kit` wrote, or the lines alone, as typed or scanned, in any order.

    Raises:
        MalformedKitError: It is none, or has a typing error.
    """
    if "<html" in text:
        # lazy import: its tables are large and seldom needed.
        import html

        text = html.unescape(text)
    _, begin, rest = text.partition(BEGIN)
    lines = [line.strip() for line in (rest.partition(END)[0] if begin else text).splitlines()]
    found: dict[str, str] = {}
    aliases: list[NamedCap] = []
    for number, line in enumerate(lines, 0 if begin else 1):
        word, _, value = line.partition(" ")
        if word == "alias":
            aliases.append(_parse_alias(line, number))
        elif word in ("tallac-kit", "location", "vault", "key") and found.setdefault(word, value) == value:
            continue
        elif line:
            raise MalformedKitError(f"line {number} does not belong to a recovery kit; copy the kit again completely")
    return _made_of(found, aliases)


def _made_of(found: dict[str, str], aliases: list[NamedCap]) -> RecoveryKit:
    for word in ("tallac-kit", "location", "vault", "key"):
        if word not in found:
            raise MalformedKitError(f"the recovery kit is incomplete: the line that begins with {word!r} is missing")
    if found["tallac-kit"] != _KIT_FORMAT:
        raise MalformedKitError(f"another Tallac wrote this recovery kit, in form {found['tallac-kit'][:9]}; use the one that did")
    if not _IDENTITY.fullmatch(found["vault"]):
        raise MalformedKitError("the recovery kit's vault number has a typing error: it has 32 of the characters 0-9 and a-f")
    try:
        key = parse_vault_key(found["key"])
    except MalformedCapError as error:
        raise MalformedKitError(f"the recovery kit's key can't be read: {error}") from error
    if key.vault.hex() != found["vault"]:
        raise MalformedKitError("the recovery kit's key belongs to another vault than its line says; copy the kit again completely")
    return RecoveryKit(found["location"], found["vault"], key, tuple(aliases))


def _parse_alias(line: str, number: int) -> NamedCap:
    words = line.split()
    if len(words) != 4 or _with_check(" ".join(words[:3])) != " ".join(words):
        raise MalformedKitError(f"line {number} of the recovery kit, which gives an alias, has a typing error")
    try:
        parse(words[2])
    except MalformedCapError as error:
        raise MalformedKitError(f"line {number} of the recovery kit has a damaged cap: {error}") from error
    return words[1], words[2]


def _with_check(line: str) -> str:
    check = hash_file_bytes(line.encode("utf-8", "surrogateescape")).hex()[:6]
    return f"{line} {check}"
