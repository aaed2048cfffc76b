"""Names of files, which are bytes, and names of children on a Tahoe-LAFS grid, which are Unicode in the composed form (NFC).

A name that a grid can't hold gets a stand-in, `tallac-name:` and the bytes as in a URL, from which it comes back. So does a name
that looks like a stand-in; hence no two names have the same one.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import quote_from_bytes, unquote_to_bytes

STAND_IN_PREFIX = "tallac-name:"
_PLAIN = " !#$&'()*+,;=@[]"


def grid_name(name: bytes) -> str:
    """Give the name that a file has on a grid."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return _stand_in(name)
    if text.startswith(STAND_IN_PREFIX) or unicodedata.normalize("NFC", text) != text:
        return _stand_in(name)
    return text


def local_name(text: str) -> bytes:
    """Give the name that a child has as a file: the opposite of `grid_name`. What only looks like a stand-in is taken as it is."""
    if text.startswith(STAND_IN_PREFIX):
        name = unquote_to_bytes(text.removeprefix(STAND_IN_PREFIX))
        if name and grid_name(name) == text:
            return name
    return text.encode("utf-8", "surrogatepass")


def _stand_in(name: bytes) -> str:
    return STAND_IN_PREFIX + quote_from_bytes(name, safe=_PLAIN)
