import pytest
import zstandard

from tallac.caps import storage_index_of
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import CorruptObjectError
from tallac.interfaces import Buffer
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.objects import (
    Kind,
    cap_hash_of,
    check_content,
    commitment_of,
    object_name_of,
    open_content,
    open_links,
    read_key_of,
    seal_content,
    seal_links,
)

CONVERGENCE = bytes(range(32))
TEXT = b"some text that compresses " * 100
LINKS = b"\0" + bytes(16)
RANDOM = SeededRandomness(1)


def sealed(kind: Kind, content: bytes, codec: Codec | None = None) -> tuple[bytes, bytes, bytes, bool]:
    """Seal content; give read key, storage index, sealed bytes, and whether they are compressed."""
    key = read_key_of(CONVERGENCE, kind, hash_file_bytes(content))
    index = storage_index_of(key)
    body, is_compressed = seal_content(kind, key, index, content, codec or Codec(), RANDOM)
    return key, index, body, is_compressed


def opened(kind: Kind, key: bytes, index: bytes, body: Buffer, *, is_compressed: bool) -> bytes:
    """Open sealed content."""
    return open_content(kind, key, index, body, is_compressed=is_compressed, size_max=1 << 22, codec=Codec())


class OtherCodec(Codec):
    """Compresses as another version or setting of zstd would."""

    def compress(self, plain: Buffer) -> bytes | None:
        """Compress harder."""
        return zstandard.ZstdCompressor(level=19).compress(plain)


@pytest.mark.parametrize("content", [TEXT, noise(1, 3000), b"x"])
def test_the_same_content_has_the_same_cap(content: bytes) -> None:
    """Key and hash depend on the content alone, not on the compressor or the nonce; each sealing differs."""
    one = sealed(Kind.CHUNK, content)
    other = sealed(Kind.CHUNK, content, OtherCodec())
    assert one[:2] == other[:2]
    assert one[2] != other[2]
    for key, index, body, is_compressed in (one, other):
        assert opened(Kind.CHUNK, key, index, body, is_compressed=is_compressed) == content


def test_another_secret_gives_another_key() -> None:
    """Under another convergence secret nothing is shared; nor do one vault's names tell another's."""
    content_hash = hash_file_bytes(TEXT)
    assert read_key_of(CONVERGENCE, Kind.CHUNK, content_hash) != read_key_of(bytes(32), Kind.CHUNK, content_hash)
    assert object_name_of(CONVERGENCE, bytes(16)) != object_name_of(bytes(32), bytes(16))


def test_kinds_are_never_interchangeable() -> None:
    """The same content as another kind has another key, another hash, and does not open."""
    key, index, body, is_compressed = sealed(Kind.CHUNK, TEXT)
    keys = {read_key_of(CONVERGENCE, kind, hash_file_bytes(TEXT)) for kind in Kind}
    hashes = {commitment_of(kind, key, hash_file_bytes(TEXT)) for kind in Kind}
    assert len(keys) == len(hashes) == len(Kind)
    for kind in (Kind.LIST, Kind.DIRECTORY):
        with pytest.raises(CorruptObjectError):
            opened(kind, key, index, body, is_compressed=is_compressed)
        with pytest.raises(CorruptObjectError):
            check_content(kind, key, cap_hash_of(commitment_of(Kind.CHUNK, key, hash_file_bytes(TEXT)), b""), TEXT, b"")


def test_the_place_is_part_of_the_seal() -> None:
    """Sealed content opens under its own key and storage index only, and not when a bit has changed."""
    key, index, body, is_compressed = sealed(Kind.CHUNK, TEXT)
    other = bytes(16)
    for wrong_key, wrong_index in ((other, index), (key, other)):
        with pytest.raises(CorruptObjectError):
            opened(Kind.CHUNK, wrong_key, wrong_index, body, is_compressed=is_compressed)
    for place in range(len(body)):
        changed = bytearray(body)
        changed[place] ^= 1
        with pytest.raises(CorruptObjectError):
            opened(Kind.CHUNK, key, index, changed, is_compressed=is_compressed)
    with pytest.raises(CorruptObjectError):
        opened(Kind.CHUNK, key, index, body[:10], is_compressed=is_compressed)


def test_links_are_those_that_the_cap_promises() -> None:
    """A verify cap opens the links of its own object, of its own kind, and believes no others."""
    key, index, _, _ = sealed(Kind.LIST, TEXT)
    commitment = commitment_of(Kind.LIST, key, hash_file_bytes(TEXT))
    cap_hash = cap_hash_of(commitment, LINKS)
    body = seal_links(Kind.LIST, index, commitment, LINKS, RANDOM)
    assert open_links(Kind.LIST, index, cap_hash, body) == LINKS
    other = seal_links(Kind.LIST, index, commitment, LINKS + LINKS, RANDOM)
    for kind, storage_index, promised, given in (
        (Kind.DIRECTORY, index, cap_hash, body),
        (Kind.LIST, bytes(16), cap_hash, body),
        (Kind.LIST, index, bytes(32), body),
        (Kind.LIST, index, cap_hash, other),
        (Kind.LIST, index, cap_hash, body[:-1]),
    ):
        with pytest.raises(CorruptObjectError):
            open_links(kind, storage_index, promised, given)


def test_content_is_checked_with_its_links() -> None:
    """A read cap's hash covers the content and the links that follow from it."""
    key, _, _, _ = sealed(Kind.LIST, TEXT)
    cap_hash = cap_hash_of(commitment_of(Kind.LIST, key, hash_file_bytes(TEXT)), LINKS)
    check_content(Kind.LIST, key, cap_hash, TEXT, LINKS)
    for content, links in ((TEXT + b"x", LINKS), (TEXT, b"")):
        with pytest.raises(CorruptObjectError):
            check_content(Kind.LIST, key, cap_hash, content, links)


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
