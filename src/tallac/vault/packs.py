"""Packs: many sealed objects in one stored object. docs/format.md, "Packs", is the specification.

    objects (each: sealed content, sealed links), footer (sealed and padded: which objects), trailer (sealed: the footer's length)

A pack's name is the BLAKE3 of all of it, so anyone can tell a damaged one. The padding lies inside the sealed footer, and at least
two packs are open at a time, of which an object goes to one at random: a store sees no object's size or place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from tallac.crypto import NONCE_SIZE, SEAL_OVERHEAD, Hasher, open_sealed, padme, seal
from tallac.errors import CorruptObjectError, MalformedObjectError, ObjectNotFoundError, StoreError
from tallac.interfaces import Backend, Randomness, Upload
from tallac.vault.codec import Codec
from tallac.vault.format_version import FORMAT_VERSION
from tallac.vault.objects import NAME_SIZE

PACK_PREFIX = "packs/"
PACK_NAME_SIZE = 32
PACK_SIZE_MIN = 16 << 20
PACK_SIZE_MAX = 32 << 20
WRITE_SIZE = 1 << 20
FOOTER_BODY_SIZE_MAX = 64 << 20
TRAILER_SIZE = SEAL_OVERHEAD + 8
COMPRESSED_BIT = 1 << 31
LENGTH_MASK = COMPRESSED_BIT - 1

_FOOTER_CONTEXT = b"footer" + bytes((FORMAT_VERSION,))
_TRAILER_CONTEXT = b"trailer" + bytes((FORMAT_VERSION,))
_HEAD = struct.Struct(">IB")


def pack_path(name: bytes) -> str:
    """Give the backend's name of a pack."""
    return PACK_PREFIX + name.hex()


class FinishedPack(msgspec.Struct, frozen=True):
    """What the index keeps of one pack.

    Attributes:
        name: BLAKE3 of the whole pack.
        size: Its length in bytes.
        body: The footer's content: which objects it holds, in their order.
    """

    name: bytes
    size: int
    body: bytes


class PackedObject(msgspec.Struct, frozen=True):
    """One object as a footer lists it.

    Attributes:
        name: The object's 16-byte name.
        offset: Where its sealed content begins in the pack.
        length: Length of the sealed content; the sealed links follow at once.
        links_length: Length of the sealed links.
        is_compressed: Whether the content is compressed inside its seal.
    """

    name: bytes
    offset: int
    length: int
    links_length: int
    is_compressed: bool


def encode_body(names: Sequence[bytes], lengths: Sequence[int], links_lengths: Sequence[int]) -> bytes:
    """Encode a footer's content; a length's highest bit says that the content is compressed."""
    count = len(names)
    has_links = any(links_lengths)
    body = _HEAD.pack(count, has_links) + b"".join(names) + struct.pack(f">{count}I", *lengths)
    return body + struct.pack(f">{count}I", *links_lengths) if has_links else body


class Columns(NamedTuple):
    """A footer's content column by column: what PackedObject says of each object. `lengths` have COMPRESSED_BIT."""

    names: list[bytes]
    offsets: list[int]
    lengths: tuple[int, ...]
    links_lengths: tuple[int, ...]


def decode_columns(body: bytes) -> Columns:
    """Read a footer's content; five times as fast as object by object, which counts where there are 100,000.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    if len(body) < _HEAD.size:
        raise MalformedObjectError("a pack's footer is cut short")
    count, has_links = _HEAD.unpack_from(body)
    names_end = _HEAD.size + NAME_SIZE * count
    if has_links > 1 or len(body) != names_end + 4 * count * (1 + has_links):
        raise MalformedObjectError("a pack's footer has a wrong length")
    names = [body[start : start + NAME_SIZE] for start in range(_HEAD.size, names_end, NAME_SIZE)]
    lengths = struct.unpack_from(f">{count}I", body, names_end)
    links_lengths = struct.unpack_from(f">{count}I", body, names_end + 4 * count) if has_links else (0,) * count
    sizes = [(length & LENGTH_MASK) + links_length for length, links_length in zip(lengths, links_lengths, strict=True)]
    return Columns(names, list(accumulate(sizes, initial=0))[:count], lengths, links_lengths)


def decode_body(body: bytes) -> Iterator[PackedObject]:
    """Read a footer's content.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    for name, offset, length, links_length in zip(*decode_columns(body), strict=True):
        yield PackedObject(name, offset, length & LENGTH_MASK, links_length, bool(length & COMPRESSED_BIT))


class OpenPack:
    """A pack that is being written. Not thread-safe."""

    def __init__(self, upload: Upload) -> None:
        """Begin a pack; upload is this object's own from now on."""
        self.upload = upload
        self.size = 0
        self._buffer = bytearray()
        self._hasher = Hasher()
        self._names: list[bytes] = []
        self._lengths: list[int] = []
        self._links_lengths: list[int] = []

    def append(self, name: bytes, content: bytes, links: bytes, *, is_compressed: bool) -> None:
        """Add one sealed object."""
        self._names.append(name)
        self._lengths.append(len(content) | COMPRESSED_BIT if is_compressed else len(content))
        self._links_lengths.append(len(links))
        self._write(content)
        self._write(links)

    @property
    def is_full(self) -> bool:
        """Whether the pack is large enough, and closing it now takes little padding."""
        if self.size < PACK_SIZE_MIN:
            return False
        unpadded = self.size + NAME_SIZE * len(self._names) + TRAILER_SIZE
        granule = 1 << (unpadded.bit_length() - 1 - (unpadded.bit_length() - 1).bit_length())
        return self.size >= PACK_SIZE_MAX or padme(unpadded) - unpadded < granule // 8

    def finish(self, frame_key: bytes, codec: Codec, randomness: Randomness) -> FinishedPack:
        """Write footer and trailer. The pack still has to be committed under the name that this gives."""
        body = encode_body(self._names, self._lengths, self._links_lengths)
        footer = pad_plain(body, codec, self.size + SEAL_OVERHEAD + TRAILER_SIZE)
        self._write(seal(frame_key, randomness(NONCE_SIZE), footer, _FOOTER_CONTEXT))
        length = (len(footer) + SEAL_OVERHEAD).to_bytes(8, "big")
        self._write(seal(frame_key, randomness(NONCE_SIZE), length, _TRAILER_CONTEXT))
        self._flush()
        return FinishedPack(self._hasher.digest(), self.size, body)

    def _write(self, data: bytes) -> None:
        self.size += len(data)
        if len(data) >= WRITE_SIZE:
            self._flush()
            self._hasher.update(data)
            self.upload.write(data)
            return
        self._buffer += data
        if len(self._buffer) >= WRITE_SIZE:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._hasher.update(self._buffer)
            self.upload.write(self._buffer)
            self._buffer = bytearray()


def pad_plain(body: bytes, codec: Codec, beside: int) -> bytes:
    """Compress and pad a text such that it and `beside` further bytes have a padded size together.

    Layout: 1 byte whether it is compressed, 4 bytes length of the body, 4 bytes length as stored, body, zeros.

    Raises:
        StoreError: No reader would take a text of this length.
    """
    if len(body) > FOOTER_BODY_SIZE_MAX:
        raise StoreError(
            f"a mutable directory or part of the vault's frame would have {len(body)} bytes, larger than the format allows "
            f"({FOOTER_BODY_SIZE_MAX}): keep fewer entries in one mutable directory"
        )
    compressed = codec.compress(body)
    stored = body if compressed is None else compressed
    plain = struct.pack(">BII", compressed is not None, len(body), len(stored)) + stored
    return plain + bytes(padme(beside + len(plain)) - beside - len(plain))


def unpad_plain(plain: bytes, codec: Codec) -> bytes:
    """Take out what `pad_plain` put in.

    Raises:
        MalformedObjectError: It is not of that form.
    """
    if len(plain) < 9:
        raise MalformedObjectError("a padded text is cut short")
    is_compressed, length, stored_length = struct.unpack_from(">BII", plain)
    stored = plain[9 : 9 + stored_length]
    if is_compressed > 1 or len(stored) != stored_length or length > FOOTER_BODY_SIZE_MAX:
        raise MalformedObjectError("a padded text has a wrong length")
    if any(plain[9 + stored_length :]):
        raise MalformedObjectError("padding is not zero")
    body = codec.decompress(stored, length) if is_compressed else stored
    if len(body) != length:
        raise MalformedObjectError("a padded text has a wrong length")
    return body


def read_footer(backend: Backend, name: bytes, size: int, frame_key: bytes, codec: Codec) -> FinishedPack:
    """Read a pack's footer from the store.

    Raises:
        CorruptObjectError: Footer or trailer do not open.
        MalformedObjectError: They do not follow the format.
    """
    path = pack_path(name)
    if size < TRAILER_SIZE + SEAL_OVERHEAD:
        raise CorruptObjectError(f"pack {name.hex()[:12]} is cut short")
    trailer = open_sealed(frame_key, backend.get(path, size - TRAILER_SIZE, size), _TRAILER_CONTEXT)
    length = int.from_bytes(trailer, "big")
    if len(trailer) != 8 or not SEAL_OVERHEAD <= length <= size - TRAILER_SIZE:
        raise MalformedObjectError(f"pack {name.hex()[:12]} has a malformed trailer")
    start = size - TRAILER_SIZE - length
    footer = open_sealed(frame_key, backend.get(path, start, start + length), _FOOTER_CONTEXT)
    body = unpad_plain(footer, codec)
    end = 0
    for stored in decode_body(body):
        end = stored.offset + stored.length + stored.links_length
    if end != start:
        raise MalformedObjectError(f"pack {name.hex()[:12]} has a footer that does not fit it")
    return FinishedPack(name, size, body)


class StoredPacks:
    """The packs that the store has, without any index."""

    def __init__(self, backend: Backend, frame_key: bytes) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._frame_key = frame_key
        self._codec = Codec()

    def sizes(self) -> dict[bytes, int]:
        """List names and sizes of all packs. What has no pack's name is left out."""
        found = {}
        for item in self._backend.list(PACK_PREFIX):
            text = item.name.removeprefix(PACK_PREFIX)
            if len(text) == 2 * PACK_NAME_SIZE and not text.strip("0123456789abcdef"):
                found[bytes.fromhex(text)] = item.size
        return found

    def footers(self, sizes: dict[bytes, int]) -> list[FinishedPack]:
        """Read the footers of some packs; those that are damaged, or gone meanwhile, are left out."""
        found = []
        for name, size in sizes.items():
            try:
                found.append(read_footer(self._backend, name, size, self._frame_key, self._codec))
            except (CorruptObjectError, ObjectNotFoundError):
                continue  # A check names it; here it only means that nothing in it can be re-used.
        return found
