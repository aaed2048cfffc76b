"""Footers, which list a pack's objects, and index objects, which hold footers. docs/format.md, "Packs" and "Index"."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from tallac.errors import (
    MalformedObjectError,
)
from tallac.vault.format.objects import NAME_SIZE

PACK_NAME_SIZE = 32
COMPRESSED_BIT = 1 << 31
LENGTH_MASK = COMPRESSED_BIT - 1
_HEAD = struct.Struct(">IB")


class FinishedPack(msgspec.Struct, frozen=True):
    """One pack, as the index knows it.

    Attributes:
        name: BLAKE3 of the whole pack.
        size: Its length in bytes.
        body: The footer's content: which objects it holds, in their order.
    """

    name: bytes
    size: int
    body: bytes


class FooterEntry(msgspec.Struct, frozen=True):
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

    def location_in(self, pack: bytes) -> ObjectLocation:
        """Return where the object lies in the pack of this name."""
        return ObjectLocation(pack, self.offset, self.length, self.links_length, self.is_compressed)


def encode_body(names: Sequence[bytes], lengths: Sequence[int], links_lengths: Sequence[int]) -> bytes:
    """Encode a footer's content; a length's highest bit says that the content is compressed."""
    count = len(names)
    has_links = any(links_lengths)
    body = _HEAD.pack(count, has_links) + b"".join(names) + struct.pack(f">{count}I", *lengths)
    return body + struct.pack(f">{count}I", *links_lengths) if has_links else body


class Columns(NamedTuple):
    """A footer's content column by column: what FooterEntry says of each object. `lengths` have COMPRESSED_BIT."""

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


def decode_body(body: bytes) -> Iterator[FooterEntry]:
    """Read a footer's content.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    for name, offset, length, links_length in zip(*decode_columns(body), strict=True):
        yield FooterEntry(name, offset, length & LENGTH_MASK, links_length, bool(length & COMPRESSED_BIT))


class ObjectLocation(NamedTuple):
    """The place of an object.

    Attributes:
        pack: The pack's 32-byte name.
        offset: Where the sealed content begins; the sealed links follow it.
        length, links_length: Their lengths in bytes.
        is_compressed: Whether the content is compressed inside its seal.
    """

    pack: bytes
    offset: int
    length: int
    links_length: int
    is_compressed: bool

    @property
    def content(self) -> slice:
        """Where the sealed content lies in the pack."""
        return slice(self.offset, self.offset + self.length)

    @property
    def links(self) -> slice:
        """Where the sealed links lie in the pack; empty where there are none."""
        start = self.offset + self.length
        return slice(start, start + self.links_length)

    @property
    def size(self) -> int:
        """How many bytes of the pack the object takes."""
        return self.length + self.links_length


INDEX_NAME_SIZE = 32
INDEX_BODY_SIZE_MAX = 8 << 20
_PACK_HEAD = struct.Struct(">32sQI")


def encode_index(packs: Iterable[FinishedPack]) -> bytes:
    """Encode the footers of some packs, one after the other."""
    return b"".join(_PACK_HEAD.pack(pack.name, pack.size, len(pack.body)) + pack.body for pack in packs)


def decode_index(body: bytes) -> list[FinishedPack]:
    """Read what `encode_index` gave.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    packs = []
    place = 0
    while place < len(body):
        if place + _PACK_HEAD.size > len(body):
            raise MalformedObjectError("an index object is cut short")
        name, size, length = _PACK_HEAD.unpack_from(body, place)
        place += _PACK_HEAD.size
        if place + length > len(body):
            raise MalformedObjectError("an index object is cut short")
        packs.append(FinishedPack(name, size, body[place : place + length]))
        place += length
    return packs


def names_in(text: bytes | None) -> list[bytes]:
    """Read the index register's text: the names of the index objects, 32 bytes each."""
    if text is None:
        return []
    if len(text) % INDEX_NAME_SIZE:
        raise MalformedObjectError("the index register has a wrong length")
    return [text[place : place + INDEX_NAME_SIZE] for place in range(0, len(text), INDEX_NAME_SIZE)]


def index_parts(packs: list[FinishedPack]) -> Iterator[list[FinishedPack]]:
    """Divide packs such that no index object grows too large."""
    part: list[FinishedPack] = []
    size = 0
    for pack in packs:
        if part and size + len(pack.body) > INDEX_BODY_SIZE_MAX:
            yield part
            part, size = [], 0
        part.append(pack)
        size += len(pack.body)
    if part:
        yield part
