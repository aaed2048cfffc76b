"""Names that a file system may take for one: that differ in case, or in how their accents are written."""

from __future__ import annotations

import unicodedata


class NameCollisions:
    """Notices such names among those of one directory. It keeps a number a name, so it may suspect too many, and never too few."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: set[int] = set()

    def is_suspect(self, name: bytes) -> bool:
        """Whether a file system might take a name for one that came before; it is remembered."""
        number = hash(_folded(name))
        if number in self._seen:
            return True
        self._seen.add(number)
        return False


def _folded(name: bytes) -> str:
    if name.isascii():
        return name.lower().decode("ascii")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name.decode("utf-8", "surrogateescape")).casefold())
