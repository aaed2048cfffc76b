"""Names in URLs and JSON, which are Unicode in normal form C (NFC), and names of entries, which are bytes."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote_to_bytes

from tallac.dag.child_names import grid_name, local_name
from tallac.errors import RequestError

NAME_LENGTH_MAX = 20000


def name_from_text(text: str) -> bytes:
    """Return the bytes of a name that a client sent: its NFC form in UTF-8, or the bytes that its stand-in encodes.

    Raises:
        RequestError: No entry can have this name.
    """
    name = local_name(unicodedata.normalize("NFC", text))
    if not name or b"\0" in name or len(name) > NAME_LENGTH_MAX or not _is_unicode(text):
        raise RequestError("this can't be the name of an entry: it is empty, too long, no Unicode, or holds a zero character")
    return name


def name_to_text(name: bytes) -> str:
    """Return the name of an entry as text: unchanged if it is UTF-8 in NFC, else a stand-in that `name_from_text` decodes."""
    return grid_name(name)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def path_from_raw(raw_path: bytes) -> list[str]:
    """Split the encoded path of a URL into decoded segments; a slash at its end is ignored.

    Raises:
        RequestError: A segment is empty, or not UTF-8.
    """
    segments = raw_path.split(b"/")[1:]
    if segments and not segments[-1]:
        segments.pop()
    if any(not segment for segment in segments):
        raise RequestError("The webapi does not allow empty pathname components, i.e. a double slash")
    try:
        return [unquote_to_bytes(segment).decode() for segment in segments]
    except UnicodeDecodeError:
        raise RequestError("the path is not UTF-8") from None
