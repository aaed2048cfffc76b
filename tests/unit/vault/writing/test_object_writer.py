"""Storing objects: many chunks at once come out as they do one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import CorruptObjectError
from tallac.interfaces import Buffer
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import decode_body
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.pending_deletions import pending_deletions_of
from tallac.vault.reading.worker_reader import RunsFinder
from tallac.vault.writing import object_writer as module
from tallac.vault.writing.claims import Claims
from tallac.vault.writing.object_writer import ObjectWriter

KEY = WriterKey(bytes(range(32)))
CONTENTS: list[Buffer] = [b"text " * 400, noise(1, 3_000), bytearray(b"text " * 400), noise(2, 100), memoryview(noise(1, 3_000))]


class Writers:
    """Makes object writers with one table of claims, and counts what they have stored."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def make(self) -> ObjectWriter:
        """Make one with a store of its own."""
        nothing_held = RunsFinder([], frozenset(), pending_deletions_of(None))
        structure = Structure(KEY, Signers.of(KEY))
        return ObjectWriter(MemoryBackend(), KEY, structure, nothing_held, self._claims, SeededRandomness(1))


@pytest.fixture
def writers() -> Iterator[Writers]:
    """Give writers that share their claims."""
    with Claims() as claims:
        yield Writers(claims)


def stored_count(writer: ObjectWriter) -> int:
    """Return how many objects a writer has put into packs."""
    return sum(len(list(decode_body(pack.body))) for pack in writer.finish())


def test_many_chunks_are_stored_as_one_by_one(writers: Writers) -> None:
    """Caps do not depend on what is stored together; what comes twice, or was claimed before, is stored once."""
    together = writers.make()
    found = together.store_chunks(CONTENTS)
    assert found[0] == found[2] != found[1] == found[4]
    assert stored_count(together) == 3
    later = writers.make()
    assert [later.store_chunk(content) for content in CONTENTS] == found
    assert later.store_chunks([*CONTENTS, noise(3, 200)])[:-1] == found
    assert stored_count(later) == 1
    with Claims() as others:
        alone = Writers(others).make()
        assert [alone.store_chunk(content) for content in CONTENTS] == found
        assert stored_count(alone) == 3


def test_no_chunks(writers: Writers) -> None:
    """Where there is nothing to store, nothing is."""
    writer = writers.make()
    assert writer.store_chunks([]) == []
    assert stored_count(writer) == 0


class OneFlippingCodec(Codec):
    """A compressor that changes a bit of one content alone, as failing memory does."""

    def compress(self, plain: Buffer) -> bytes | None:
        """Compress something else in place of what begins with `text`."""
        changed = bytearray(plain)
        changed[0] ^= changed.startswith(b"text")
        return super().compress(changed)


def test_one_flipped_bit_among_many_chunks_is_caught(writers: Writers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of many chunks does not open to what was given, none of them is stored (row 18)."""
    monkeypatch.setattr(module, "Codec", OneFlippingCodec)
    writer = writers.make()
    with pytest.raises(CorruptObjectError, match="memory or processor"):
        writer.store_chunks(CONTENTS)
    assert stored_count(writer) == 0
