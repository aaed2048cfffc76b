"""Index objects, and the entries of damaged packs, which are sealed and stamped alike: who makes them."""

import os

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, seal
from tallac.errors import AuthorityError, CorruptObjectError
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, encode_body, encode_index, open_entries, seal_entries
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.padding import pad_plain
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.packs.damaged import DAMAGED_PREFIX, DamagedPacks

KEY, STRANGER = WriterKey(bytes(32)), WriterKey(bytes(range(32)))
SIGNERS = Signers.of(KEY)
PACKS = [FinishedPack(bytes([number]) * 32, 1000, encode_body([bytes(16)], [bytes(16)], [500], [0])) for number in range(3)]


def forged(stamp: bytes) -> bytes:
    """Return an index object that is sealed as it should be, with any stamp."""
    plain = pad_plain(stamp + encode_index(PACKS), Codec(), SEAL_OVERHEAD)
    return seal(KEY.locator_key.structure_key, os.urandom(SALT_SIZE), plain, b"index\2")


OWN, ENTRIES = Structure(KEY, SIGNERS), encode_index(PACKS)
FORGERIES = {
    "zeros": bytes(65),
    "a stranger's": Structure(STRANGER, SIGNERS).stamp(b"index", ENTRIES),
    "a footer's": OWN.stamp(b"footer", ENTRIES),
    "of other entries": OWN.stamp(b"index", ENTRIES[:-1]),
    "of nobody": b"\3" + OWN.stamp(b"index", ENTRIES)[1:],
    "none": b"",
}
"""Stamps on index objects of those who have the locator key and no other."""


@pytest.mark.parametrize("key", [KEY, KEY.keeper_key])
def test_a_writer_and_a_keeper_make_them(key: WriterKey) -> None:
    """What either of them has stamped, the holder of any key opens and believes."""
    sealed = seal_entries(PACKS, Structure(key, SIGNERS), Codec(), os.urandom)
    for reader in (KEY, KEY.keeper_key, KEY.locator_key):
        assert open_entries(sealed, Structure(reader, SIGNERS), Codec()) == PACKS
    with pytest.raises(AuthorityError):
        seal_entries(PACKS, Structure(KEY.locator_key, SIGNERS), Codec(), os.urandom)


@pytest.mark.parametrize("stamp", FORGERIES.values(), ids=FORGERIES)
def test_nobody_else_does(stamp: bytes) -> None:
    """Whoever has the locator key can seal one, and is not believed."""
    with pytest.raises(CorruptObjectError):
        open_entries(forged(stamp), Structure(KEY, SIGNERS), Codec())


def test_a_forged_index_object_is_damaged() -> None:
    """An index object under its right name, but without a right stamp, is damaged, so that the packs are asked instead."""
    backend = MemoryBackend()
    store = IndexStore(backend, Structure(KEY, SIGNERS), os.urandom)
    name = store.put(PACKS)
    assert store.get(name) == PACKS
    other = IndexStore(backend, Structure(STRANGER, SIGNERS), os.urandom)
    other._structure.secret = store._structure.secret
    with pytest.raises(CorruptObjectError, match="signature of a writer or keeper"):
        store.get(other.put(PACKS))


def test_forged_entries_of_damaged_packs_are_left_out() -> None:
    """What somebody adds among the damaged packs is passed over, and the genuine entry beside it is read."""
    backend = MemoryBackend()
    damaged = DamagedPacks(backend, Structure(KEY, SIGNERS), os.urandom)
    backend.put("packs/" + PACKS[0].name.hex(), bytes(1000))
    damaged.put(PACKS[0].name, 1000, PACKS[0])
    for number, sealed in enumerate([*map(forged, FORGERIES.values()), b"", os.urandom(500)]):
        backend.put(f"{DAMAGED_PREFIX}{number + 16:064x}.index", sealed)
    assert damaged.read() == PACKS[:1]
