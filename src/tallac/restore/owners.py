"""Who shall own what is restored, and whether this user may make it so."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache

from tallac.dag import Metadata
from tallac.errors import UsageError

if sys.platform != "win32":
    import grp
    import pwd

_ID_MAX = (1 << 32) - 2


OwnerRules = tuple[tuple[str, str], ...]
"""Pairs of users or groups, by name or number: whom things belonged to, and whom they are to belong to here."""


def parse_owner_rules(texts: Sequence[str]) -> OwnerRules:
    """Read `FROM:TO` pairs.

    Raises:
        UsageError: One is no pair.
    """
    rules = []
    for text in texts:
        old, colon, new = text.partition(":")
        if not (old and colon and new) or ":" in new:
            raise UsageError(f"{text!r} is not a pair of owners: give FROM:TO, each a name or a number")
        rules.append((old, new))
    return tuple(rules)


class Owners:
    """Finds owners: by a rule, by name where this machine knows the name, else by number; and what this user may set of them."""

    def __init__(self, *, numeric: bool, user_rules: OwnerRules = (), group_rules: OwnerRules = ()) -> None:
        """Look at who runs this process. With `numeric`, names are not looked at, except by rules.

        Raises:
            UsageError: This machine does not know an owner that a rule names.
        """
        self._numeric = numeric
        self._users = {old: _number_of(new, _uid_of(new, None), "user") for old, new in user_rules}
        self._groups = {old: _number_of(new, _gid_of(new, None), "group") for old, new in group_rules}
        self._uid = os.geteuid() if sys.platform != "win32" else -1
        self._gids = frozenset((os.getegid(), *os.getgroups())) if sys.platform != "win32" else frozenset[int]()

    @property
    def is_root(self) -> bool:
        """Whether any owner may be set."""
        return self._uid == 0

    def owner_of(self, metadata: Metadata) -> tuple[int, int] | None:
        """Find the owner as numbers; None where none is known, or the numbers are none that a system can have."""
        uid, gid = metadata.uid, metadata.gid
        if not self._numeric:
            uid = _uid_of(metadata.user, uid)
            gid = _gid_of(metadata.group, gid)
        if self._users:
            uid = _ruled(self._users, metadata.user, metadata.uid, uid)
        if self._groups:
            gid = _ruled(self._groups, metadata.group, metadata.gid, gid)
        if uid is None or gid is None or not 0 <= uid <= _ID_MAX or not 0 <= gid <= _ID_MAX:
            return None
        return uid, gid

    def is_stored_owner(self, metadata: Metadata) -> bool:
        """Whether `owner_of` gives the owner that was stored, and no other one: by a rule, or by a number that is somebody else's.

        A name that this machine does not know says nothing about who has its number here; with `numeric` the number is who it is.
        """
        if (owner := self.owner_of(metadata)) is None:
            return False
        uid, gid = metadata.uid, metadata.gid
        if not self._numeric:
            uid, gid = _own_uid_of(metadata.user, uid), _own_gid_of(metadata.group, gid)
        return owner == (uid, gid)

    def may_set(self, uid: int, gid: int) -> bool:
        """Whether this user may give a new file this owner."""
        return self.is_root or (uid == self._uid and gid in self._gids)


def _ruled(rules: Mapping[str, int], name: str | None, number: int | None, otherwise: int | None) -> int | None:
    """Find what a rule for the name, else for the number, says."""
    if name is not None and name in rules:
        return rules[name]
    return rules.get(str(number), otherwise)


def _number_of(text: str, known: int | None, kind: str) -> int:
    if known is not None:
        return known
    if text.isascii() and text.isdecimal() and int(text) <= _ID_MAX:
        return int(text)
    raise UsageError(f"{text!r}: no such {kind} on this machine; give one that exists, or a number")


@lru_cache(maxsize=4096)
def _uid_of(name: str | None, uid: int | None) -> int | None:
    if name and sys.platform != "win32":
        try:
            return pwd.getpwnam(name).pw_uid
        except (KeyError, ValueError):
            pass
    return uid


@lru_cache(maxsize=4096)
def _gid_of(name: str | None, gid: int | None) -> int | None:
    if name and sys.platform != "win32":
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError):
            pass
    return gid


def _own_uid_of(name: str | None, uid: int | None) -> int | None:
    """Find the number of a user here; None where the name is unknown, and the number is that of another one."""
    known = _uid_of(name, None)
    if known is not None or not name:
        return uid if known is None else known
    return None if _is_number_taken(uid, is_group=False) else uid


def _own_gid_of(name: str | None, gid: int | None) -> int | None:
    """Find the number of a group here, likewise."""
    known = _gid_of(name, None)
    if known is not None or not name:
        return gid if known is None else known
    return None if _is_number_taken(gid, is_group=True) else gid


def _is_number_taken(number: int | None, *, is_group: bool) -> bool:
    if number is None or sys.platform == "win32":
        return False
    try:
        if is_group:
            grp.getgrgid(number)
        else:
            pwd.getpwuid(number)
    except (KeyError, ValueError, OverflowError):
        return False
    return True
