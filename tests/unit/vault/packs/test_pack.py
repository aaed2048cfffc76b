import struct

import pytest
from hypothesis import given, settings, strategies as st

from tallac.backends.memory import MemoryBackend
from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.padding import padme
from tallac.crypto.sealing import SALT_SIZE, seal
from tallac.errors import AuthorityError, CorruptObjectError, MalformedObjectError, StoreError
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import (
    LENGTH_MAX,
    FinishedPack,
    FooterEntries,
    decode_body,
    decode_index,
    encode_body,
    encode_index,
)
from tallac.vault.format.keys import LocatorKey, WriterKey
from tallac.vault.format.padding import FOOTER_BODY_SIZE_MAX, pad_plain, unpad_plain
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.packs.pack import PACK_SIZE_MIN, PACK_SIZE_MIN_FIRST, OpenPack, StoredPacks, pack_path, read_footer

KEY = WriterKey(bytes(range(32)))
SIGNERS = Signers.of(KEY)
STRUCTURE = Structure(KEY, SIGNERS)
FRAME = STRUCTURE.secret
RANDOM = SeededRandomness(1)
OBJECTS = st.lists(
    st.tuples(
        st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.binary(max_size=200), st.binary(max_size=50)
    ),
    max_size=20,
)
Object = tuple[bytes, bytes, bytes, bytes]


def stored_pack(backend: MemoryBackend, objects: list[Object], structure: Structure = STRUCTURE) -> FinishedPack:
    """Write a pack of these objects."""
    pack = OpenPack(backend.upload())
    for each in objects:
        pack.append(*each)
    finished = pack.finish(structure, Codec(), RANDOM)
    pack.upload.commit(pack_path(finished.name))
    return finished


@given(OBJECTS, st.integers(0, 20), st.integers(0, 20))
def test_entries_in_columns_are_entries(objects: list[Object], first: int, stop: int) -> None:
    """Entries in columns are a sequence of those of the footer, and so are neighbours among them."""
    names, hashes, contents, links = ([each[column] for each in objects] for column in range(4))
    body = encode_body(names, hashes, list(map(len, contents)), list(map(len, links)))
    entries = list(decode_body(body))
    for columns in (FooterEntries.of(body), FooterEntries(entries)):
        assert list(columns) == entries
        assert len(columns) == len(entries)
        assert list(columns[first:stop]) == entries[first:stop]
        assert list(columns[first:]) == entries[first:]
        assert [columns[place] for place in range(-len(entries), len(entries))] == [*entries, *entries]
        for place in (len(entries), -len(entries) - 1):
            with pytest.raises(IndexError):
                columns[place]
        with pytest.raises(ValueError, match="neighbours"):
            columns[::2]


@given(OBJECTS)
def test_what_was_packed_is_found(objects: list[Object]) -> None:
    """Footer and objects come back; the name is the hash, and the size a padded one."""
    backend = MemoryBackend()
    finished = stored_pack(backend, objects)
    whole = backend.get(pack_path(finished.name))
    assert hash_file_bytes(whole) == finished.name
    assert len(whole) == finished.size == padme(finished.size)
    footer = read_footer(backend, finished.name, finished.size, STRUCTURE, Codec())
    assert footer.pack == finished
    assert footer.region == hash_file_bytes(whole[: footer.region_size])
    found = [
        (
            stored.name,
            stored.hash,
            whole[stored.offset : stored.offset + stored.length],
            whole[stored.offset + stored.length : stored.offset + stored.length + stored.links_length],
        )
        for stored in decode_body(finished.body)
    ]
    assert found == objects
    assert decode_index(encode_index([finished, finished])) == [finished, finished]
    packs = StoredPacks(backend, STRUCTURE)
    assert packs.footers(packs.sizes()) == packs.proved(packs.sizes()) == [finished]


@given(st.integers(0, 300), st.data())
@settings(max_examples=200)
def test_a_damaged_pack_gives_declared_errors(place: int, data: st.DataObject) -> None:
    """Whatever byte of footer and trailer changes, or wherever the pack is cut, no footer is read."""
    backend = MemoryBackend()
    finished = stored_pack(backend, [(bytes(16), bytes(16), b"content", b"")])
    whole = bytearray(backend.get(pack_path(finished.name)))
    place = 7 + place % (len(whole) - 7)
    whole[place] ^= data.draw(st.integers(1, 255))
    backend.put(pack_path(finished.name), whole)
    with pytest.raises(CorruptObjectError):
        read_footer(backend, finished.name, len(whole), STRUCTURE, Codec())
    cut = bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    backend.put(pack_path(finished.name), cut)
    with pytest.raises(CorruptObjectError):
        read_footer(backend, finished.name, len(cut), STRUCTURE, Codec())
    for read in (StoredPacks(backend, STRUCTURE).footers, StoredPacks(backend, STRUCTURE).proved):
        assert read({finished.name: len(cut)}) == []
    backend.delete(pack_path(finished.name))
    for read in (StoredPacks(backend, STRUCTURE).footers, StoredPacks(backend, STRUCTURE).proved):
        assert read({finished.name: len(cut)}) == []


def test_a_footer_that_does_not_fit_is_refused() -> None:
    """Authentic footers and trailers that promise what is not there are refused."""
    body = encode_body([bytes(16)], [bytes(16)], [100], [0])
    text = bytes(32) + STRUCTURE.stamp(b"footer", bytes(32) + body) + body
    footer = seal(FRAME, RANDOM(SALT_SIZE), pad_plain(text, Codec(), 100 + 88), b"footer\2")
    for content, length in (
        (bytes(99), len(footer)),
        (bytes(101), len(footer)),
        (bytes(100), len(footer) + 1),
        (b"", 0),
        (bytes(100), 1 << 62),
    ):
        trailer = seal(FRAME, RANDOM(SALT_SIZE), length.to_bytes(8, "big"), b"trailer\2")
        backend = MemoryBackend()
        whole = content + footer + trailer
        name = hash_file_bytes(whole)
        backend.put(pack_path(name), whole)
        with pytest.raises(CorruptObjectError):
            read_footer(backend, name, len(whole), STRUCTURE, Codec())


def test_a_footer_is_no_trailer() -> None:
    """The associated data keeps footers, trailers and other frames apart."""
    backend = MemoryBackend()
    for footer_context, trailer_context in (
        (b"trailer\2", b"trailer\2"),
        (b"footer\2", b"footer\2"),
        (b"footer\1", b"trailer\2"),
        (b"index\2", b"trailer\2"),
    ):
        body = encode_body([], [], [], [])
        text = bytes(32) + STRUCTURE.stamp(b"footer", bytes(32) + body) + body
        footer = seal(FRAME, RANDOM(SALT_SIZE), pad_plain(text, Codec(), 88), footer_context)
        whole = footer + seal(FRAME, RANDOM(SALT_SIZE), len(footer).to_bytes(8, "big"), trailer_context)
        backend.put(pack_path(bytes(32)), whole)
        with pytest.raises(CorruptObjectError):
            read_footer(backend, bytes(32), len(whole), STRUCTURE, Codec())


@given(st.binary(max_size=100), st.integers(0, 255), st.integers(0, 100))
def test_bodies_are_parsed_strictly(junk: bytes, value: int, place: int) -> None:
    """A body is read as what it says in the one way to say it, or refused with the declared error."""
    body = bytearray(encode_body([bytes(16), b"x" * 16], [bytes(16), b"y" * 16], [5, 6], [0, 7]))
    body[place % len(body)] = value
    for candidate in (junk, bytes(body), struct.pack(">IB", 1 << 31, 1) + junk, struct.pack(">IB", 1, 2) + junk):
        try:
            stored = list(decode_body(candidate))
        except MalformedObjectError:
            continue
        assert all(0 <= each.length <= LENGTH_MAX for each in stored)
    for candidate in (junk, bytes(50) + junk, bytes(40) + b"\xff" * 4 + junk):
        try:
            packs = decode_index(candidate)
        except MalformedObjectError:
            continue
        assert encode_index(packs) == candidate


@given(st.one_of(st.binary(max_size=500), st.integers(0, 5000).map(bytes)), st.integers(0, 1000))
def test_padding_hides_sizes(body: bytes, beside: int) -> None:
    """A padded text and what stands beside it have a padded size, and the text comes back."""
    plain = pad_plain(body, Codec(), beside)
    assert len(plain) + beside == padme(len(plain) + beside)
    assert unpad_plain(plain, Codec(), beside) == body
    with pytest.raises(MalformedObjectError):
        unpad_plain(plain + b"\0", Codec(), beside)


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(1, 255))
def test_padding_is_parsed_strictly(junk: bytes, place: int, change: int) -> None:
    """What is not of the form is refused with the declared error; padding is zero."""
    plain = bytearray(pad_plain(b"some text", Codec(), 1000))
    plain[-1 - place % 3] ^= change
    with pytest.raises(MalformedObjectError):
        unpad_plain(bytes(plain), Codec(), 1000)
    huge = struct.pack(">BII", 1, FOOTER_BODY_SIZE_MAX + 1, len(junk)) + junk
    short = struct.pack(">BII", 0, len(junk) + 1, len(junk)) + junk
    for candidate in (junk, huge, short):
        try:
            unpad_plain(candidate, Codec(), 0)
        except CorruptObjectError:
            continue
        assert candidate == junk


def test_a_text_that_could_not_be_read_is_not_written() -> None:
    """A text beyond the limit of the reader is refused by the writer."""
    with pytest.raises(StoreError, match="larger than"):
        pad_plain(bytes(FOOTER_BODY_SIZE_MAX + 1), Codec(), 0)


@pytest.mark.parametrize("size_min", [PACK_SIZE_MIN_FIRST, PACK_SIZE_MIN])
def test_packs_end_where_little_padding_is_needed(size_min: int) -> None:
    """Full packs have between the least size and twice that, and hardly any padding."""
    backend = MemoryBackend()
    chunk = noise(1, 77_777)
    pack = OpenPack(backend.upload())
    while not pack.is_full(size_min):
        pack.append(RANDOM(16), RANDOM(16), chunk, b"")
    assert size_min <= pack.size <= 2 * size_min + len(chunk)
    before = pack.size
    finished = pack.finish(STRUCTURE, Codec(), RANDOM)
    assert finished.size == padme(finished.size)
    assert finished.size - before < before // 50


def test_only_writers_and_keepers_make_packs() -> None:
    """A footer without a stamp, with another vault's or with that of another body is none; a locator key can't make one."""
    backend = MemoryBackend()
    stranger = WriterKey(bytes(32))
    with pytest.raises(AuthorityError):
        Structure(KEY.locator_key, SIGNERS).stamp(b"footer", b"")
    for structure in (STRUCTURE, Structure(KEY.keeper_key, SIGNERS)):
        finished = stored_pack(backend, [(bytes(16), bytes(16), b"content", b"")], structure)
        for key in (KEY, KEY.keeper_key, LocatorKey(KEY.locator_key.secret, KEY.vault)):
            assert read_footer(backend, finished.name, finished.size, Structure(key, SIGNERS), Codec()).pack == finished
        with pytest.raises(CorruptObjectError):
            read_footer(backend, finished.name, finished.size, Structure(KEY, Signers.of(stranger)), Codec())
    body = encode_body([bytes(16)], [bytes(16)], [7], [0])
    right = STRUCTURE.stamp(b"footer", hash_file_bytes(b"content") + body)
    signature = KEY.sign(b"footer\2" + stranger.vault + hash_file_bytes(b"content") + body)
    for region, stamp in (
        (bytes(32), right),
        (hash_file_bytes(b"content"), bytes(65)),
        (hash_file_bytes(b"content"), b"\2" + right[1:]),
        (hash_file_bytes(b"content"), STRUCTURE.stamp(b"index", hash_file_bytes(b"content") + body)),
        (hash_file_bytes(b"content"), signature),
    ):
        whole = _forged(b"content", region + stamp + body)
        backend.put(pack_path(hash_file_bytes(whole)), whole)
        with pytest.raises(CorruptObjectError):
            read_footer(backend, hash_file_bytes(whole), len(whole), STRUCTURE, Codec())
    whole = _forged(b"content", hash_file_bytes(b"content") + right + body)
    assert read_footer(MemoryBackend({pack_path(bytes(32)): whole}), bytes(32), len(whole), STRUCTURE, Codec()).region_size == 7


def test_a_footer_behind_other_bytes_proves_nothing() -> None:
    """Who can add files puts a right footer behind noise: it reads as a footer, and does not prove the pack."""
    backend = MemoryBackend()
    finished = stored_pack(backend, [(bytes(16), bytes(16), b"content" * 1000, b"")])
    whole = backend.get(pack_path(finished.name))
    forged = noise(7, 7000) + whole[7000:]
    backend.put(pack_path(hash_file_bytes(forged)), forged)
    packs = StoredPacks(backend, STRUCTURE)
    assert len(packs.footers(packs.sizes())) == 2
    assert packs.proved(packs.sizes()) == [finished]


def _forged(content: bytes, text: bytes) -> bytes:
    footer = seal(FRAME, RANDOM(SALT_SIZE), pad_plain(text, Codec(), len(content) + 88), b"footer\2")
    return content + footer + seal(FRAME, RANDOM(SALT_SIZE), len(footer).to_bytes(8, "big"), b"trailer\2")


@pytest.mark.parametrize("off", [-1, 1, 40])
def test_a_footer_fits_its_pack(off: int) -> None:
    """A writer's footer lists fewer bytes than lie before it, or more: what it says of any object's place is not believed."""
    backend = MemoryBackend()
    pack = OpenPack(backend.upload())
    pack.append(bytes(16), bytes(16), noise(1, 100), b"links")
    pack.append(bytes([1]) * 16, bytes(16), noise(2, 60), b"")
    pack._lengths[0] += off
    finished = pack.finish(STRUCTURE, Codec(), RANDOM)
    pack.upload.commit(pack_path(finished.name))
    with pytest.raises(MalformedObjectError, match="does not fit it"):
        read_footer(backend, finished.name, finished.size, STRUCTURE, Codec())
    assert StoredPacks(backend, STRUCTURE).footers({finished.name: finished.size}) == []
