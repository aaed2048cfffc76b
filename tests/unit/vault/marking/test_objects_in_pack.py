import tracemalloc

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import CorruptObjectError, MissingObjectError, StoreError
from tallac.testing.sample_vault import noise
from tallac.vault.format.footers import FooterEntries, FooterEntry
from tallac.vault.format.objects import Kind, stored_hash_of
from tallac.vault.marking import objects_in_pack
from tallac.vault.marking.copies import is_right
from tallac.vault.marking.objects_in_pack import read_objects, wrong_objects
from tallac.vault.packs.pack import pack_path

PACK = bytes(32)


class BadSectors(MemoryBackend):
    """A disk that does not give out some bytes."""

    def __init__(self, objects: dict[str, bytes], bad: range) -> None:
        super().__init__(objects)
        self._bad = bad

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """See `Backend`."""
        content = super().get(name, start, stop)
        if start < self._bad.stop and start + len(content) > self._bad.start:
            raise StoreError("I/O error")
        return content


def a_pack(sizes: list[tuple[int, int]]) -> tuple[bytes, list[FooterEntry]]:
    """Make objects of some lengths, with links of some lengths; a node where there are any."""
    content, entries = b"", []
    for number, (length, links_length) in enumerate(sizes):
        sealed, links = noise(number, length), noise(1000 + number, links_length)
        kind = Kind.CHUNK if not links else Kind.LIST if number % 2 else Kind.DIRECTORY
        entries.append(FooterEntry(b"", stored_hash_of(kind, sealed, links), len(content), length, links_length))
        content += sealed + links
    return content, entries


SIZES = [(100, 0), (3_000, 40), (50, 7), (9_000, 0), (1, 0), (2_000, 300)] * 10


@pytest.mark.parametrize("step", [1, 500, 5_000, 1 << 22])
def test_each_object_is_read_once(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Whatever the pieces, all objects come, right, and no byte behind the last is read."""
    monkeypatch.setattr(objects_in_pack, "STEP_SIZE", step)
    content, entries = a_pack(SIZES)
    backend = MemoryBackend({pack_path(PACK): content + b"footer"})
    read: list[int] = []
    found = [
        (entry, is_right(entry.hash, sealed, links)) for entry, sealed, links in read_objects(backend, PACK, entries, read.append)
    ]
    assert found == [(entry, True) for entry in entries]
    assert len(content) <= sum(read) <= 2 * len(content)
    assert wrong_objects(backend, PACK, entries) == set()
    chosen = entries[3:40:9]
    assert [entry for entry, _, _ in read_objects(backend, PACK, chosen)] == chosen


def test_each_wrong_byte_is_found() -> None:
    """A changed byte anywhere is found in the one object that has it."""
    content, entries = a_pack(SIZES[:6])
    for place in range(0, len(content), 97):
        changed = content[:place] + bytes((content[place] ^ 1,)) + content[place + 1 :]
        wrong = wrong_objects(MemoryBackend({pack_path(PACK): changed}), PACK, entries)
        assert wrong == {entry.offset for entry in entries if entry.offset <= place < entry.end}


def test_bad_sectors_hit_their_objects_alone() -> None:
    """Where a disk does not give out a sector, what lies elsewhere in the pack is right."""
    content, entries = a_pack(SIZES)
    for start in (0, 5_000, len(content) - 10):
        bad = range(start, start + 512)
        wrong = wrong_objects(BadSectors({pack_path(PACK): content}, bad), PACK, entries)
        assert wrong == {entry.offset for entry in entries if entry.offset < bad.stop and entry.end > bad.start}


def test_a_pack_that_is_cut_or_gone() -> None:
    """What is behind the cut is wrong; of a pack that is gone nothing can be said."""
    content, entries = a_pack(SIZES)
    cut = MemoryBackend({pack_path(PACK): content[:20_000]})
    assert wrong_objects(cut, PACK, entries) == {entry.offset for entry in entries if entry.end > 20_000}
    with pytest.raises(CorruptObjectError, match="cut short"):
        list(read_objects(cut, PACK, entries))
    with pytest.raises(MissingObjectError):
        wrong_objects(MemoryBackend(), PACK, entries)


def test_a_list_of_objects_stays_in_columns() -> None:
    """To compare 20,000 objects takes less memory than to list them as Python's own, of which each would take some 250 bytes."""
    content = bytes(20_000)
    hashes = [stored_hash_of(Kind.CHUNK, content[:1])] * len(content)
    entries = FooterEntries(FooterEntry(bytes(16), each, place, 1, 0) for place, each in enumerate(hashes))
    backend = MemoryBackend({pack_path(PACK): content})
    tracemalloc.start()
    try:
        assert wrong_objects(backend, PACK, entries) == set()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000 * 30
