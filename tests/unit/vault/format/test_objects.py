import pytest
import zstandard

from tallac.caps import storage_index_of
from tallac.crypto.hashing import hash_file_bytes, keyed, tag_key
from tallac.crypto.padding import rounded
from tallac.crypto.sealing import OBJECT_OVERHEAD, seal_object
from tallac.errors import CorruptObjectError, MalformedObjectError
from tallac.interfaces import Buffer
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.objects import (
    HASH_SIZE,
    Kind,
    check_content,
    check_stored,
    commitment_of,
    object_name_of,
    open_content,
    open_links,
    read_key_of,
    seal_content,
    seal_links,
    stored_hash_of,
)

CONVERGENCE = bytes(range(32))
TEXT = b"some text that compresses " * 100 + b"".join(b"%d " % number**3 for number in range(200))
LINKS = b"\0" + bytes(16)
SIZE_MAX = 1 << 22


def sealed(kind: Kind, content: bytes, codec: Codec | None = None) -> tuple[bytes, bytes, bytes]:
    """Seal content; give read key, storage index and sealed bytes."""
    content_hash = hash_file_bytes(content)
    key = read_key_of(CONVERGENCE, kind, content_hash)
    index = storage_index_of(key)
    return key, index, seal_content(kind, key, index, content, content_hash, codec or Codec())


def opened(kind: Kind, key: bytes, index: bytes, body: Buffer, size_max: int = SIZE_MAX) -> bytes:
    """Open sealed content."""
    return open_content(kind, key, index, body, size_max=size_max, codec=Codec())


class OtherCodec(Codec):
    """Compresses as another version or setting of zstd would."""

    def compress(self, plain: Buffer) -> bytes | None:
        """Compress harder."""
        return zstandard.ZstdCompressor(level=19).compress(plain)


@pytest.mark.parametrize("content", [TEXT, noise(1, 3000), noise(2, 70_000) + bytes(9), b"x", bytes(7), b"ends in zeros\0\0\0"])
def test_the_same_content_gives_the_same_bytes(content: bytes) -> None:
    """Content and compressor alone decide what is stored; another compressor shares neither bytes nor nonce, and opens as well."""
    one, again, other = sealed(Kind.CHUNK, content), sealed(Kind.CHUNK, content), sealed(Kind.CHUNK, content, OtherCodec())
    assert one == again
    assert one[:2] == other[:2]
    assert one[2] == other[2] or one[2][:12] != other[2][:12]
    for key, index, body in (one, other):
        assert len(body) == rounded(len(body))
        assert opened(Kind.CHUNK, key, index, body) == content
        assert opened(Kind.CHUNK, key, index, body, len(content)) == content


def test_the_compressor_shows() -> None:
    """The sample text is one that two compressors don't compress alike."""
    assert sealed(Kind.CHUNK, TEXT)[2] != sealed(Kind.CHUNK, TEXT, OtherCodec())[2]


def test_sizes_are_told_roughly() -> None:
    """Contents of neighbouring sizes have the same size when they are stored."""
    sizes = {len(sealed(Kind.CHUNK, noise(size, size))[2]) for size in range(10_000, 10_400)}
    assert len(sizes) <= 3
    for size in range(1, 100_000):
        assert size <= rounded(size) == rounded(rounded(size)) <= size * 33 // 32


def test_another_secret_gives_another_key() -> None:
    """Under another convergence secret nothing is shared; nor do one vault's names tell another's."""
    content_hash = hash_file_bytes(TEXT)
    assert read_key_of(CONVERGENCE, Kind.CHUNK, content_hash) != read_key_of(bytes(32), Kind.CHUNK, content_hash)
    assert object_name_of(CONVERGENCE, bytes(16)) != object_name_of(bytes(32), bytes(16))


def test_kinds_are_never_interchangeable() -> None:
    """The same content as another kind has another key, another hash, and does not open."""
    key, index, body = sealed(Kind.CHUNK, TEXT)
    keys = {read_key_of(CONVERGENCE, kind, hash_file_bytes(TEXT)) for kind in Kind}
    hashes = {commitment_of(kind, key, hash_file_bytes(TEXT)) for kind in Kind}
    stored = {stored_hash_of(kind, body) for kind in Kind}
    assert len(keys) == len(hashes) == len(stored) == len(Kind)
    cap_hash = stored_hash_of(Kind.CHUNK, body) + commitment_of(Kind.CHUNK, key, hash_file_bytes(TEXT))
    for kind in (Kind.LIST, Kind.DIRECTORY):
        with pytest.raises(CorruptObjectError):
            opened(kind, key, index, body)
        with pytest.raises(CorruptObjectError):
            check_content(kind, key, cap_hash, TEXT)
        with pytest.raises(CorruptObjectError):
            check_stored(kind, cap_hash, body, b"")


def test_the_place_is_part_of_the_seal() -> None:
    """Sealed content opens under its own key and storage index only, and not when a bit has changed."""
    key, index, body = sealed(Kind.CHUNK, TEXT)
    cap_hash = stored_hash_of(Kind.CHUNK, body)
    check_stored(Kind.CHUNK, cap_hash, body, b"")
    other = bytes(16)
    for wrong_key, wrong_index in ((other, index), (key, other)):
        with pytest.raises(CorruptObjectError):
            opened(Kind.CHUNK, wrong_key, wrong_index, body)
    for place in range(len(body)):
        changed = bytearray(body)
        changed[place] ^= 1
        with pytest.raises(CorruptObjectError):
            opened(Kind.CHUNK, key, index, changed)
        with pytest.raises(CorruptObjectError):
            check_stored(Kind.CHUNK, cap_hash, changed, b"")
    with pytest.raises(CorruptObjectError):
        opened(Kind.CHUNK, key, index, body[:10])


def test_links_and_content_are_one_thing() -> None:
    """A link commits to content and sealed links as they are stored, to each byte and to where one ends."""
    key, index, body = sealed(Kind.LIST, TEXT)
    links = seal_links(Kind.LIST, index, LINKS)
    assert links == seal_links(Kind.LIST, index, LINKS)
    assert len(links) == rounded(len(links))
    assert open_links(Kind.LIST, index, links).rstrip(b"\xff") == LINKS
    stored = stored_hash_of(Kind.LIST, body, links)
    check_stored(Kind.LIST, stored, body, links)
    other = seal_links(Kind.LIST, index, LINKS + LINKS)
    assert other[:12] != links[:12]
    for content, given in ((body, other), (body, b""), (body + links[:1], links[1:]), (body[:-1], body[-1:] + links)):
        with pytest.raises(CorruptObjectError):
            check_stored(Kind.LIST, stored, content, given)
    for kind, storage_index in ((Kind.DIRECTORY, index), (Kind.LIST, bytes(16))):
        with pytest.raises(CorruptObjectError):
            open_links(kind, storage_index, links)
    assert opened(Kind.LIST, key, index, body) == TEXT


def test_readers_notice_another_content() -> None:
    """The second half of a cap's hash commits to the content, whoever has sealed it."""
    key, _, body = sealed(Kind.CHUNK, TEXT)
    cap_hash = stored_hash_of(Kind.CHUNK, body) + commitment_of(Kind.CHUNK, key, hash_file_bytes(TEXT))
    assert len(cap_hash) == 2 * HASH_SIZE
    check_content(Kind.CHUNK, key, cap_hash, TEXT)
    for content in (TEXT + b"x", b""):
        with pytest.raises(CorruptObjectError):
            check_content(Kind.CHUNK, key, cap_hash, content)


def _sealed_as_it_is(plain: bytes) -> tuple[bytes, bytes, bytes]:
    key = bytes(16)
    index = storage_index_of(key)
    secret = keyed(tag_key("tallac vault 2 content key"), b"\1\2" + key, 64)
    return key, index, seal_object(secret[:32], bytes(12), plain, b"\1\2" + index)


def test_padding_is_read_strictly() -> None:
    """A content is padded in one way, and grows no larger than its cap says; an unknown method needs a newer Tallac."""
    text = noise(3, 1000)
    size = len(text) + 1 + OBJECT_OVERHEAD
    zeros = bytes(rounded(size) - size)
    for plain in (text + b"\1" + zeros + b"\0", (text + b"\1" + zeros)[:-1], bytes(1000), b""):
        with pytest.raises(MalformedObjectError):
            opened(Kind.CHUNK, *_sealed_as_it_is(plain))
    with pytest.raises(MalformedObjectError, match="newer"):
        opened(Kind.CHUNK, *_sealed_as_it_is(text + b"\3" + zeros))
    assert opened(Kind.CHUNK, *_sealed_as_it_is(text + b"\1" + zeros)) == text
    with pytest.raises(CorruptObjectError):
        opened(Kind.CHUNK, *_sealed_as_it_is(text + b"\1" + zeros), size_max=999)


@pytest.mark.parametrize("declares_size", [True, False])
def test_bombs_are_refused_before_they_grow(declares_size: bool) -> None:
    """A frame that declares more than its cap allows, or nothing, is not decompressed."""
    compressor = zstandard.ZstdCompressor(write_content_size=declares_size)
    frame = compressor.compress(bytes(100 << 20))
    size = len(frame) + 1 + OBJECT_OVERHEAD
    with pytest.raises(CorruptObjectError):
        opened(Kind.CHUNK, *_sealed_as_it_is(frame + b"\2" + bytes(rounded(size) - size)))


class FlippingCodec(Codec):
    """A compressor that changes a bit, as failing memory does."""

    def compress(self, plain: Buffer) -> bytes | None:
        """Compress something else."""
        changed = bytearray(plain)
        changed[0] ^= 1
        return super().compress(changed)


def test_a_compressor_that_flips_bits_is_caught() -> None:
    """What does not open to what was given is not stored (row 18)."""
    with pytest.raises(CorruptObjectError, match="memory or processor"):
        sealed(Kind.CHUNK, TEXT, FlippingCodec())
