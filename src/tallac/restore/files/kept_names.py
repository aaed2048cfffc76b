"""Names that a file system changes without a word: `a.` becomes `a` on FAT, `con` becomes `CSHOFG~F` on a Windows server."""

from __future__ import annotations

import os
import sys
import unicodedata

from tallac.dag import display_path
from tallac.errors import EntryError
from tallac.restore.filesystem import DestinationSystem
from tallac.restore.safe_names import Oddity, oddities_of


class KeptNames:
    """Looks up what was made under an odd name, until names that are odd in this way were found to be kept.

    Calls answer to such a name as if nothing had happened; only the listing tells.
    """

    def __init__(self, system: DestinationSystem) -> None:
        """Look with these calls; nothing is known yet."""
        self._system = system
        # By device: a mount point below may be of another kind.
        self._kept: set[tuple[int, Oddity]] = set()

    def require(self, name: bytes, directory: int) -> None:
        """Require that what was just made in an open directory is listed under its name.

        Raises:
            EntryError: It has another name. The caller removes it by the name that it was made under.
            OSError: It can't be looked up.
        """
        oddities = oddities_of(name)
        if not oddities:
            return
        device = self._system.fstat(directory).st_dev
        kept = {(device, oddity) for oddity in oddities}
        if kept <= self._kept:
            return
        inode = self._system.lstat(name, directory).st_ino
        other = ""
        with self._system.scandir(directory) as listing:
            for listed in listing:
                if listed_form(os.fsencode(listed.name)) == listed_form(name):
                    self._kept |= kept
                    return
                if listed.inode() == inode:
                    other = f" ({display_path(os.fsencode(listed.name))!r})"
        raise EntryError(f"this file system would give it another name{other}; restore it elsewhere, or into an archive")


def listed_form(name: bytes) -> bytes:
    """Return a name as a listing has it: macOS may list other bytes for the same letters than were written."""
    if sys.platform != "darwin" or name.isascii():
        return name
    return unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
