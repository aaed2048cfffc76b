"""The guard of every path that is written: a name from a snapshot is one component, or is not used."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence

_RESERVED = frozenset({b"", b".", b".."})
# On Windows a backslash divides, and a colon leads to another drive or stream.
_DIVIDERS_OF_WINDOWS = (b"\\", b":")


def is_safe_component(name: bytes) -> bool:
    """Whether a name stays in the directory it is used in."""
    if name in _RESERVED or b"/" in name or b"\0" in name:
        return False
    return os.name != "nt" or not any(divider in name for divider in _DIVIDERS_OF_WINDOWS)


def join_path(components: Sequence[bytes], name: bytes | None = None) -> bytes:
    """Join components to a path for messages; it is never given to the system."""
    return b"/".join(components if name is None else (*components, name))


def shown(path: bytes) -> str:
    """Write a path for a message of one line, with all that could confuse a terminal escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


_TEMPORARY = re.compile(rb"\.tallac-restore-[0-9a-f]{32}\.part\Z")


def temporary_name() -> bytes:
    """Make a name that nothing has."""
    return b".tallac-restore-%b.part" % secrets.token_hex(16).encode("ascii")


def is_temporary(name: bytes) -> bool:
    """Whether a name is such a one."""
    return _TEMPORARY.match(name) is not None
