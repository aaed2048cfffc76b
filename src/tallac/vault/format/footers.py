"""Footers, which list a pack's objects, and index objects, which hold footers. docs/format.md, "Packs" and "Index"."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import add
from typing import NamedTuple, Self, overload

import msgspec

from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, open_sealed, seal_checked
from tallac.errors import CorruptObjectError, MalformedObjectError
from tallac.interfaces import Buffer, Randomness
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.objects import HASH_SIZE, NAME_SIZE
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.format.structure import STAMP_SIZE, Structure

PACK_NAME_SIZE = 32
LENGTH_MAX = (1 << 31) - 1
PACK_SIZE_BOUND = (1 << 32) - 1
"""Offsets in a pack have 32 bits. A writer closes packs long before."""

COLUMN_LENGTH_MAX = 1 << 13
"""Of so many objects at a time the columns are in memory."""

_TAKEN_TOGETHER = 1 << 10
_HEAD = struct.Struct(">IB")
_PURPOSE = b"index"
_CONTEXT = _PURPOSE + bytes((FORMAT_VERSION,))


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
        hash: Its stored hash, 16 bytes.
        offset: Where its sealed content begins in the pack.
        length: Length of the sealed content; the sealed links follow at once.
        links_length: Length of the sealed links.
    """

    name: bytes
    hash: bytes
    offset: int
    length: int
    links_length: int

    @property
    def end(self) -> int:
        """Where the object ends in the pack."""
        return self.offset + self.length + self.links_length


class FooterEntries(Sequence[FooterEntry]):
    """Objects of one pack, in columns of 44 bytes for each; one by one, as Python's own, they take some 250."""

    def __init__(self, entries: Iterable[FooterEntry] = ()) -> None:
        """Take some."""
        self._names, self._hashes = bytearray(), bytearray()
        self._offsets, self._lengths, self._links_lengths = array("I"), array("I"), array("I")
        for entry in entries:
            self._names += entry.name
            self._hashes += entry.hash
            self._offsets.append(entry.offset)
            self._lengths.append(entry.length)
            self._links_lengths.append(entry.links_length)

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Read a footer's content.

        Raises:
            MalformedObjectError: It does not follow the format.
        """
        entries = cls()
        for names, hashes, *numbers in decode_columns(body):
            entries._extend(b"".join(names), b"".join(hashes), *numbers)
        return entries

    def _extend(self, names: Buffer, hashes: Buffer, offsets: Iterable[int], lengths: Iterable[int], links: Iterable[int]) -> None:
        self._names += names
        self._hashes += hashes
        self._offsets.extend(offsets)
        self._lengths.extend(lengths)
        self._links_lengths.extend(links)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._offsets)

    @overload
    def __getitem__(self, place: int) -> FooterEntry: ...

    @overload
    def __getitem__(self, place: slice) -> FooterEntries: ...

    def __getitem__(self, place: int | slice) -> FooterEntry | FooterEntries:
        """Return one of them, or neighbours."""
        first, stop, step = (slice(place, place + 1 or None) if isinstance(place, int) else place).indices(len(self))
        if step != 1:
            raise ValueError("only neighbours can be taken")
        if isinstance(place, int) and first == stop:
            raise IndexError("there is no such object")
        some = FooterEntries()
        some._extend(
            self._names[NAME_SIZE * first : NAME_SIZE * stop],
            self._hashes[HASH_SIZE * first : HASH_SIZE * stop],
            self._offsets[first:stop],
            self._lengths[first:stop],
            self._links_lengths[first:stop],
        )
        return next(iter(some)) if isinstance(place, int) else some

    def __iter__(self) -> Iterator[FooterEntry]:
        """Iterate over them."""
        for first in range(0, len(self), _TAKEN_TOGETHER):
            numbers = range(first, min(first + _TAKEN_TOGETHER, len(self)))
            names = bytes(self._names[NAME_SIZE * first : NAME_SIZE * numbers.stop])
            hashes = bytes(self._hashes[HASH_SIZE * first : HASH_SIZE * numbers.stop])
            yield from map(
                FooterEntry,
                [names[at : at + NAME_SIZE] for at in range(0, len(names), NAME_SIZE)],
                [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)],
                self._offsets[first : numbers.stop],
                self._lengths[first : numbers.stop],
                self._links_lengths[first : numbers.stop],
            )


def encode_body(names: Iterable[Buffer], hashes: Iterable[Buffer], lengths: Sequence[int], links_lengths: Sequence[int]) -> bytes:
    """Encode a footer's content. Names and hashes may come one by one, or several in one piece."""
    has_links = any(links_lengths)
    parts = [_HEAD.pack(len(lengths), has_links), *names, *hashes, _encode_numbers(lengths)]
    return b"".join([*parts, _encode_numbers(links_lengths)] if has_links else parts)


def _encode_numbers(numbers: Sequence[int]) -> bytes:
    encoded = array("I", numbers)
    if sys.byteorder == "little":
        encoded.byteswap()
    return encoded.tobytes()


class Columns(NamedTuple):
    """Some neighbouring objects of a footer column by column, as FooterEntry has them one by one."""

    names: list[bytes]
    hashes: list[bytes]
    offsets: list[int]
    lengths: Sequence[int]
    links_lengths: Sequence[int]


def objects_end(body: bytes) -> int:
    """Return where the last object of a pack ends, as a footer's content says.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    return _read_shape(body).end


def decode_columns(body: bytes) -> Iterator[Columns]:
    """Read a footer's content, some thousand objects at a time; five times as fast as object by object.

    Raises:
        MalformedObjectError: It does not follow the format. Nothing is given then.
    """
    shape = _read_shape(body)
    start = 0
    for first in range(0, shape.objects, COLUMN_LENGTH_MAX):
        numbers = range(first, min(first + COLUMN_LENGTH_MAX, shape.objects))
        lengths = shape.lengths[first : numbers.stop]
        links_lengths = shape.links_lengths[first : numbers.stop] if shape.links_lengths else (0,) * len(numbers)
        offsets = list(accumulate(map(add, lengths, links_lengths), initial=start))
        start = offsets.pop()
        yield Columns(
            [body[at : at + NAME_SIZE] for at in range(*_places(_HEAD.size, NAME_SIZE, numbers))],
            [body[at : at + HASH_SIZE] for at in range(*_places(_HEAD.size + NAME_SIZE * shape.objects, HASH_SIZE, numbers))],
            offsets,
            lengths,
            links_lengths,
        )


def decode_body(body: bytes) -> Iterator[FooterEntry]:
    """Read a footer's content.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    for columns in decode_columns(body):
        for entry in zip(*columns, strict=True):
            yield FooterEntry(*entry)


class _Shape(NamedTuple):
    """The numbers of a footer; `links_lengths` is empty where no object has links."""

    objects: int
    lengths: array[int]
    links_lengths: array[int]
    end: int


def _read_shape(body: bytes) -> _Shape:
    if len(body) < _HEAD.size:
        raise MalformedObjectError("a pack's footer is cut short")
    count, has_links = _HEAD.unpack_from(body)
    hashes_end = _HEAD.size + (NAME_SIZE + HASH_SIZE) * count
    lengths_end = hashes_end + 4 * count
    if has_links > 1 or len(body) != lengths_end + 4 * count * has_links:
        raise MalformedObjectError("a pack's footer has a wrong length")
    lengths, links_lengths = _decode_numbers(body[hashes_end:lengths_end]), _decode_numbers(body[lengths_end:])
    if has_links and not any(links_lengths):
        raise MalformedObjectError("a pack's footer lists links where there are none")
    if max(lengths, default=0) > LENGTH_MAX or max(links_lengths, default=0) > LENGTH_MAX:
        raise MalformedObjectError("a pack's footer has an impossible length")
    end = sum(lengths) + sum(links_lengths)
    if end > PACK_SIZE_BOUND:
        raise MalformedObjectError("a pack's footer lists more than a pack can hold")
    return _Shape(count, lengths, links_lengths, end)


def _places(start: int, size: int, numbers: range) -> tuple[int, int, int]:
    """Return the places of some fields of one size in a column, as arguments of `range`."""
    return start + size * numbers.start, start + size * numbers.stop, size


def _decode_numbers(encoded: bytes) -> array[int]:
    numbers = array("I", encoded)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


class ObjectLocation(NamedTuple):
    """The place of an object.

    Attributes:
        pack: The pack's 32-byte name.
        offset: Where the sealed content begins; the sealed links follow it.
        length, links_length: Their lengths in bytes.
        hash: The stored hash that the object has, as who stored it says.
    """

    pack: bytes
    offset: int
    length: int
    links_length: int
    hash: bytes

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


def require_fitting(pack: FinishedPack) -> None:
    """Require that a pack's objects fit into it.

    Raises:
        MalformedObjectError: They do not, or the footer does not follow the format.
    """
    if objects_end(pack.body) >= pack.size:
        raise MalformedObjectError(f"pack {pack.name.hex()[:12]} would hold more than its size")


INDEX_NAME_SIZE = 32
INDEX_BODY_SIZE_MAX = 8 << 20
_PACK_HEAD = struct.Struct(">32sQI")


def encode_index(packs: Iterable[FinishedPack]) -> bytes:
    """Encode the footers of some packs, one after the other."""
    return b"".join(part for pack in packs for part in (_PACK_HEAD.pack(pack.name, pack.size, len(pack.body)), pack.body))


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
        pack = FinishedPack(name, size, body[place : place + length])
        require_fitting(pack)
        packs.append(pack)
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


def seal_entries(packs: Iterable[FinishedPack], structure: Structure, codec: Codec, randomness: Randomness) -> bytes:
    """Return an index object of some packs, with a stamp. It was opened again and compared.

    Raises:
        AuthorityError: The key is a locator key.
    """
    return seal_checked(structure.secret, randomness(SALT_SIZE), _padded(_stamped(structure, packs), codec), _CONTEXT)


def _stamped(structure: Structure, packs: Iterable[FinishedPack]) -> bytes:
    entries = encode_index(packs)
    return structure.stamp(_PURPOSE, entries) + entries


def _padded(stamped: bytes, codec: Codec) -> bytes:
    plain = pad_plain(stamped, codec, SEAL_OVERHEAD)
    if unpad_plain(plain, codec, SEAL_OVERHEAD) != stamped:
        raise CorruptObjectError("an index object came out as something else: this machine's memory or processor is failing")
    return plain


def open_entries(sealed: bytes, structure: Structure, codec: Codec) -> list[FinishedPack]:
    """Read what `seal_entries` gave, and check its stamp.

    Raises:
        CorruptObjectError: It is damaged, or somebody wrote it who may not.
    """
    stamped = unpad_plain(open_sealed(structure.secret, sealed, _CONTEXT), codec, SEAL_OVERHEAD)
    structure.check(_PURPOSE, stamped[STAMP_SIZE:], stamped[:STAMP_SIZE])
    return decode_index(stamped[STAMP_SIZE:])
