"""Damaged packs, moved away by a repair: out of use for writers, and the last resort of readers. docs/format.md, "Damaged packs".

A damaged pack moves from `packs/` to `damaged/` with the bytes that it has. Beside it lies what the index knew of it, as an index
object, since its own footer may be what is damaged.
"""

from __future__ import annotations

import re

from tallac.errors import CorruptObjectError, ObjectNotFoundError, StoreError
from tallac.interfaces import Backend, Randomness
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, open_entries, seal_entries
from tallac.vault.format.structure import Structure
from tallac.vault.packs.pack import pack_path

DAMAGED_PREFIX = "damaged/"
STEP_SIZE = 4 << 20
SECTOR_SIZE = 4096

_ENTRY = re.compile(f"{DAMAGED_PREFIX}[0-9a-f]{{64}}\\.index")


def damaged_path(name: bytes) -> str:
    """Return the backend's name of a damaged pack."""
    return DAMAGED_PREFIX + name.hex()


def _entry_path(name: bytes) -> str:
    return f"{damaged_path(name)}.index"


class DamagedPacks:
    """The damaged packs that repairs have moved away."""

    def __init__(self, backend: Backend, structure: Structure, randomness: Randomness) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._structure = structure
        self._randomness = randomness

    def read(self) -> list[FinishedPack]:
        """Return what is known of them; those of which nothing can be known any more are left out."""
        found = []
        for item in list(self._backend.list(DAMAGED_PREFIX)):
            if not _ENTRY.fullmatch(item.name):
                continue
            try:
                sealed = self._backend.get(item.name)
                found += open_entries(sealed, self._structure, Codec())
            except (CorruptObjectError, ObjectNotFoundError):
                continue  # What its pack holds can't be found, as if the pack were lost.
        return found

    def put(self, pack: bytes, size: int, known: FinishedPack | None) -> None:
        """Copy a pack of so many bytes to `damaged/`, with what is known of it; durable when this returns."""
        if known is not None:
            self._backend.put(_entry_path(pack), seal_entries([known], self._structure, Codec(), self._randomness))
        upload = self._backend.upload()
        try:
            for start in range(0, size, STEP_SIZE):
                upload.write(self._read(pack_path(pack), start, min(start + STEP_SIZE, size)))
            upload.commit(damaged_path(pack))
        finally:
            upload.abort()

    def _read(self, path: str, start: int, stop: int) -> bytes:
        """Read what can be read of a range; what the disk does not give out becomes zeros."""
        try:
            return self._backend.get(path, start, stop)
        except ObjectNotFoundError:
            raise
        except StoreError:
            if stop - start <= SECTOR_SIZE:
                return bytes(stop - start)
            middle = start + max(SECTOR_SIZE, (stop - start) // 2 // SECTOR_SIZE * SECTOR_SIZE)
            return self._read(path, start, middle) + self._read(path, middle, stop)
