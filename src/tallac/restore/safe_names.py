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


_TEMPORARY = re.compile(rb"\.tallac-restore-[0-9a-f]{32}\.part\Z")


def temporary_name() -> bytes:
    """Make a name that nothing has."""
    return b".tallac-restore-%b.part" % secrets.token_hex(16).encode("ascii")


def is_temporary(name: bytes) -> bool:
    """Whether a name is such a one."""
    return _TEMPORARY.match(name) is not None
