"""The guard of every path that is written: a name from a snapshot is one component, or is not used."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from enum import Enum

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
_PLAIN_TEXT = rb"[^\x00-\x1f\x7f-\xff\":*?<>|\\]{1,%d}(?<![. ])" % _LENGTH_USUAL
_DEVICE_TEXT = rb"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])"
_PLAIN = re.compile(_PLAIN_TEXT)
_DEVICES = re.compile(_DEVICE_TEXT + rb"(\.|\Z)", re.IGNORECASE)
# Names, each with a zero byte behind it, none of which is odd.
_PLAIN_ALL = re.compile(rb"(?:(?!" + _DEVICE_TEXT + rb"[.\0])" + _PLAIN_TEXT + rb"\0)*", re.IGNORECASE)


class Oddity(Enum):
    """A reason for which some file system refuses a name that Linux's own take, or gives another one in its place."""

    CODING = "not UTF-8"
    LENGTH = "long"
    DOT = "a dot at its end"
    SPACE = "a space at its end"
    CHARACTER = "a character that Windows refuses"
    DEVICE = "the name of a device on Windows"


def oddities_of(name: bytes) -> frozenset[Oddity]:
    """Return what is odd about a name."""
    if _PLAIN.fullmatch(name) and not _DEVICES.match(name):
        return frozenset()
    found = {
        Oddity.LENGTH: len(name) > _LENGTH_USUAL,
        Oddity.DOT: name.endswith(b"."),
        Oddity.SPACE: name.endswith(b" "),
        Oddity.CHARACTER: _REFUSED_SOMEWHERE.search(name) is not None,
        Oddity.DEVICE: _DEVICES.match(name) is not None,
        Oddity.CODING: not (name.isascii() or _is_utf8(name)),
    }
    return frozenset(oddity for oddity, is_found in found.items() if is_found)


def are_plain(names: Sequence[bytes]) -> bool:
    """Whether none of many names is odd, nor has other letters than ASCII's: asked at once, in a fraction of the time."""
    encoded = b"\0".join(names) + b"\0"
    return encoded.count(b"\0") == len(names) and _PLAIN_ALL.fullmatch(encoded) is not None


def is_unusual(name: bytes) -> bool:
    """Whether some file system refuses a name that Linux's own take: for its characters, its end or its length."""
    return bool(oddities_of(name))


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_TEMPORARY = re.compile(rb"\.tallac-restore-[0-9a-f]{32}\.part\Z")


def temporary_name() -> bytes:
    """Make a name that nothing has."""
    return b".tallac-restore-%b.part" % secrets.token_hex(16).encode("ascii")


def is_temporary(name: bytes) -> bool:
    """Whether a name is such a one."""
    return _TEMPORARY.match(name) is not None
