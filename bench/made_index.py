"""The local copy of an index with any number of objects, and a vault's index around it with no vault behind."""

from __future__ import annotations

import random
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

from tallac.vault.format.footers import FinishedPack, encode_body
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.sorted_runs import RECORD_SIZE, write_records

NEW_OBJECTS = 10_000
_BUCKETS = 4096
_REST = struct.pack("<16sIIII", b"h" * 16, 0, 0, 100, 0)


def write_run(folder: Path, count: int) -> Path:
    """Write a run whose names are as random as real ones: they lie as unevenly, which look-ups have to bear."""
    blocks = _blocks(count, random.Random(1))
    records = (block[place : place + RECORD_SIZE] for block in blocks for place in range(0, len(block), RECORD_SIZE))
    return write_records(folder, [b"i" * 32], [(b"p" * 32, 1 << 24)], records, count)


def _blocks(count: int, chance: random.Random) -> Iterator[bytes]:
    """Iterate over the records, those with the same first 12 bits together: names are drawn, sorted, and laid in by columns."""
    left = count
    for bucket in range(_BUCKETS):
        share = left / (_BUCKETS - bucket)
        size = left if bucket == _BUCKETS - 1 else max(0, min(left, round(chance.gauss(share, share**0.5))))
        left -= size
        low = array("Q", chance.randbytes(8 * size))
        names = array("Q", sorted((bucket << 52) + (each >> 12) for each in low))
        if sys.byteorder == "little":
            names.byteswap()
        records = bytearray((bytes(RECORD_SIZE - len(_REST)) + _REST) * size)
        columns, lows = names.tobytes(), chance.randbytes(8 * size)
        for place in range(8):
            records[place::RECORD_SIZE] = columns[place::8]
            records[8 + place :: RECORD_SIZE] = lows[place::8]
        yield bytes(records)


class MadeIndex(VaultIndex):
    """An index over the run in a folder, in whose vault a writer stores `NEW_OBJECTS` more when it is told to."""

    def __init__(self, folder: Path) -> None:
        """Open the run."""
        self._made = _Register(b"i" * 32)
        super().__init__(self._made, _NewPack(), folder, _NoPacks())
        self.refresh()

    def add(self) -> None:
        """Let the register name one more index object."""
        self._made.text += b"n" * 32


class _Register:
    """The register of an index, without a vault."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def read(self, age: object) -> _Register:
        """Return this state."""
        return self

    @property
    def version(self) -> bytes:
        """Another one for each text."""
        return self.text


class _NewPack:
    """An index object with one pack."""

    def get(self, name: bytes) -> list[FinishedPack]:
        """Make it up."""
        chance = random.Random(2)
        columns = [[chance.randbytes(16) for _ in range(NEW_OBJECTS)] for _ in ("names", "hashes")]
        return [FinishedPack(name, 1 << 24, encode_body(*columns, [100] * NEW_OBJECTS, [0] * NEW_OBJECTS))]


class _NoPacks:
    """A store that nobody looks into."""
