"""Names that a file system may take for one: by case, by how accents are written, by what does not show or is dropped."""

from __future__ import annotations

import re
import unicodedata


class NameCollisions:
    """Notices such names among those of one directory. It keeps a number a name, so it may suspect too many, and never too few."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: set[int] = set()

    def is_suspect(self, name: bytes) -> bool:
        """Whether a file system might take a name for one that came before; it is remembered."""
        number = hash(folded(name))
        if number in self._seen:
            return True
        self._seen.add(number)
        return _SHORT.match(name) is not None


# FAT gives long names a second, short one, which is not listed: LETTER~1.TXT.
_SHORT = re.compile(rb"[^.]{1,7}~[0-9]{1,6}(\.[^.]{0,3})?\Z")


def folded(name: bytes) -> str:
    """Return what all names have in common that a file system may take for one."""
    # FAT and exFAT drop dots and blanks at the end.
    name = name.rstrip(b". ") or name
    if name.isascii():
        return name.lower().decode("ascii")
    text = unicodedata.normalize("NFD", name.decode("utf-8", "surrogateescape")).casefold()
    # ext4's casefold and others ignore what does not show, such as a joiner.
    visible = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Mn") or unicodedata.combining(char))
    return unicodedata.normalize("NFC", visible)
