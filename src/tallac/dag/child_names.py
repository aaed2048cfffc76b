"""Names of files, which are bytes, and names of children on a Tahoe-LAFS grid, which are Unicode in normal form C (NFC).

A name that a grid can't hold gets a stand-in from which it can be decoded: `tallac-name:` and the percent-encoded bytes. A name
that looks like a stand-in gets one as well, so that no two names have the same one.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import quote_from_bytes, unquote_to_bytes

STAND_IN_PREFIX = "tallac-name:"
_PLAIN = " !#$&'()*+,;=@[]"


def grid_name(name: bytes) -> str:
    """Return the name of a file on a grid."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return _stand_in(name)
    if text.startswith(STAND_IN_PREFIX) or unicodedata.normalize("NFC", text) != text:
        return _stand_in(name)
    return text


def local_name(text: str) -> bytes:
    """Return the name of a child as a file: the inverse of `grid_name`. A malformed stand-in is an ordinary name."""
    if text.startswith(STAND_IN_PREFIX):
        name = unquote_to_bytes(text.removeprefix(STAND_IN_PREFIX))
        if name and grid_name(name) == text:
            return name
    return text.encode("utf-8", "surrogatepass")


def _stand_in(name: bytes) -> str:
    return STAND_IN_PREFIX + quote_from_bytes(name, safe=_PLAIN)
