"""Which packs this machine has made: what lies in others may be something else than its name says, if a co-writer meant it so.

One small file in the state folder. Losing it costs a look at what is used again of others, and at what a killed run has left.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from tallac.local_files import Durability, replace
from tallac.vault.format.footers import PACK_NAME_SIZE

OWN_PACKS_FILE = "own-packs"


class OwnPacks:
    """The names of the packs that were made with this state folder. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._path = folder / OWN_PACKS_FILE
        self._names: set[bytes] | None = None

    def names(self) -> Collection[bytes]:
        """Return all of them, 32 bytes each; what can't be read counts as none."""
        if self._names is None:
            self._names = set()
            with suppress(OSError):
                text = self._path.read_bytes()
                whole = range(0, len(text) - PACK_NAME_SIZE + 1, PACK_NAME_SIZE)
                self._names = {text[start : start + PACK_NAME_SIZE] for start in whole}
        return self._names

    def add(self, names: Iterable[bytes]) -> None:
        """Remember packs. Where that fails they count as somebody else's."""
        known = self.names()
        new = [name for name in names if name not in known]
        if not new or self._names is None:
            return
        self._names.update(new)
        with suppress(OSError), open(self._path, "ab", opener=_open_privately) as file:
            file.write(b"".join(new))

    def forget_all_but(self, kept: Collection[bytes]) -> None:
        """Throw away the names of packs that are gone, once these are most of them."""
        known = self.names()
        left = {name for name in known if name in kept}
        if len(left) * 2 < len(known):
            self._names = left
            with suppress(OSError):
                replace(self._path, b"".join(sorted(left)), Durability.NONE)


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
