"""Who shall own what is restored, and whether this user may make it so."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from tallac.dag import Metadata

if sys.platform != "win32":
    import grp
    import pwd

_ID_MAX = (1 << 32) - 2


class Owners:
    """Finds owners, by name where this machine knows the name, else by number; and what this user may set of them."""

    def __init__(self, *, numeric: bool) -> None:
        """Look at who runs this process. With `numeric`, names are not looked at."""
        self._numeric = numeric
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
        if uid is None or gid is None or not 0 <= uid <= _ID_MAX or not 0 <= gid <= _ID_MAX:
            return None
        return uid, gid

    def may_set(self, uid: int, gid: int) -> bool:
        """Whether this user may give a new file this owner."""
        return self.is_root or (uid == self._uid and gid in self._gids)


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
