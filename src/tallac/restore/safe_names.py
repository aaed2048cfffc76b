"""The guard of every path that is written: a name from a snapshot is one component, or is not used."""

from __future__ import annotations

import os
import re
import secrets

_RESERVED = frozenset({b"", b".", b".."})
# On Windows a backslash divides, and a colon leads to another drive or stream.
_DIVIDERS_OF_WINDOWS = (b"\\", b":")


def is_safe_component(name: bytes) -> bool:
    """Whether a name stays in the directory it is used in."""
    if name in _RESERVED or b"/" in name or b"\0" in name:
        return False
    return os.name != "nt" or not any(divider in name for divider in _DIVIDERS_OF_WINDOWS)


_REFUSED_SOMEWHERE = re.compile(rb"[\x00-\x1f\x7f\":*?<>|\\]")
# ecryptfs has 143 bytes, and names of encfs and other encrypting file systems are longer than they look, too.
_LENGTH_USUAL = 140
_DEVICES = re.compile(rb"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)


def is_unusual(name: bytes) -> bool:
    """Whether some file system refuses a name that Linux's own take: for its characters, its end or its length."""
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return (
        len(name) > _LENGTH_USUAL
        or name.endswith((b".", b" "))
        or _REFUSED_SOMEWHERE.search(name) is not None
        or _DEVICES.match(name) is not None
    )


_TEMPORARY = re.compile(rb"\.tallac-restore-[0-9a-f]{32}\.part\Z")


def temporary_name() -> bytes:
    """Make a name that nothing has."""
    return b".tallac-restore-%b.part" % secrets.token_hex(16).encode("ascii")


def is_temporary(name: bytes) -> bool:
    """Whether a name is such a one."""
    return _TEMPORARY.match(name) is not None
