"""Links: the verify caps of what an object refers to, in the order in which its content names them.

0 stored hash(16)                          chunk, which has no links itself and is found by its hash
1 storage index(16) stored hash(16)        list of a large file's chunks
2 storage index(16) stored hash(16)        directory
3 storage index(16) fingerprint(32)        slot of a mutable directory or file

Behind the last link bytes FF may follow, which hide how many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import IntEnum
from operator import attrgetter
from typing import NamedTuple

from tallac.caps import (
    ImmutableDirectory,
    ImmutableDirectoryVerify,
    ImmutableFile,
    ImmutableFileVerify,
    MutableDirectoryRead,
    MutableDirectoryVerify,
    MutableFileRead,
    MutableFileVerify,
    VerifyCap,
    storage_index_of,
)
from tallac.dag import HASHED_SIZE_MIN, EncodedCap, Entry, decode_cap
from tallac.errors import AuthorityError, MalformedObjectError
from tallac.vault.format.objects import HASH_SIZE, Kind

SMALL_SIZE_MAX = 1 << 19
"""Files of up to so many bytes are one chunk; larger ones are a list of chunks. So a verify cap's size tells which it is."""

_INDEX_SIZE = 16
_FINGERPRINT_SIZE = 32
_FILLING = 0xFF
_CHUNK_LINK_SIZE = 1 + HASH_SIZE
_ENCODED_OF = attrgetter("encoded")
_HASH_START = HASHED_SIZE_MIN - 2 * HASH_SIZE
_HASH_END = _HASH_START + HASH_SIZE
_SHORT_FILE_MAX = HASHED_SIZE_MIN + 2
_NODE_LINK_SIZE = 1 + _INDEX_SIZE + HASH_SIZE
_SLOT_LINK_SIZE = 1 + _INDEX_SIZE + _FINGERPRINT_SIZE


class LinkKind(IntEnum):
    """The kind of object that a link leads to."""

    CHUNK = 0
    LIST = 1
    DIRECTORY = 2
    SLOT = 3


OBJECT_KINDS = {LinkKind.CHUNK: Kind.CHUNK, LinkKind.LIST: Kind.LIST, LinkKind.DIRECTORY: Kind.DIRECTORY}


class Link(NamedTuple):
    """One link. It has the stored hash, or a slot's fingerprint; the storage index is empty for a chunk."""

    kind: LinkKind
    storage_index: bytes
    hash: bytes


def chunk_link(cap_hash: bytes) -> bytes:
    """Encode a link to a chunk whose cap has this hash."""
    return b"\0" + cap_hash[:HASH_SIZE]


def list_link(key: bytes, cap_hash: bytes) -> bytes:
    """Encode a link to a list with this read key."""
    return b"\1" + storage_index_of(key) + cap_hash[:HASH_SIZE]


def directory_link(key: bytes, cap_hash: bytes) -> bytes:
    """Encode a link to a directory object with this read key."""
    return b"\2" + storage_index_of(key) + cap_hash[:HASH_SIZE]


def links_of_encoded(encoded: bytes) -> bytes:
    """Encode the link that follows from an encoded cap; empty for literal and unknown caps."""
    hashed = EncodedCap(encoded)
    if hashed.is_file:
        return chunk_link(hashed.hash) if hashed.size <= SMALL_SIZE_MAX else list_link(hashed.key, hashed.hash)
    if hashed.is_directory:
        return directory_link(hashed.key, hashed.hash)
    if not hashed.is_text:
        return b""
    cap = decode_cap(encoded)
    if isinstance(cap, MutableDirectoryRead | MutableFileRead):
        return b"\3" + cap.verify_cap.storage_index + cap.verify_cap.fingerprint
    return b""


def links_of_entries(entries: Iterable[Entry]) -> bytes:
    """Encode the links of a directory table."""
    return links_of_caps(map(_ENCODED_OF, entries))


def links_of_caps(caps: Iterable[bytes]) -> bytes:
    """Encode the links of a directory table whose entries have these encoded caps."""
    # Nearly all are files whose size takes two bytes at most, so that they are one chunk.
    return b"".join(
        [
            b"\0" + encoded[_HASH_START:_HASH_END]
            if encoded[:1] == b"C" and len(encoded) <= _SHORT_FILE_MAX
            else links_of_encoded(encoded)
            for encoded in caps
        ]
    )


def decode_links(links: bytes) -> Iterator[Link]:
    """Read links.

    Raises:
        MalformedObjectError: They do not follow the format.
    """
    place = 0
    while place < len(links):
        if links[place] == _FILLING:
            if links[place:].strip(bytes((_FILLING,))):
                raise MalformedObjectError("an object has links behind its last one")
            return
        try:
            kind = LinkKind(links[place])
        except ValueError:
            raise MalformedObjectError("an object has a link of an unknown kind") from None
        index_end = place + 1 if kind is LinkKind.CHUNK else place + 1 + _INDEX_SIZE
        end = index_end + (_FINGERPRINT_SIZE if kind is LinkKind.SLOT else HASH_SIZE)
        if end > len(links):
            raise MalformedObjectError("an object's links are cut short")
        yield Link(kind, links[place + 1 : index_end], links[index_end:end])
        place = end


def split_links(links: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Divide encoded links into the hashes of chunks, and the encoded links to lists and directories, and to slots.

    Raises:
        MalformedObjectError: They do not follow the format.
    """
    chunks: list[bytes] = []
    nodes: list[bytes] = []
    slots: list[bytes] = []
    place, end = 0, len(links)
    while place < end:
        kind = links[place]
        if kind == LinkKind.CHUNK:
            chunks.append(links[place + 1 : place + _CHUNK_LINK_SIZE])
            place += _CHUNK_LINK_SIZE
        elif kind in (LinkKind.LIST, LinkKind.DIRECTORY):
            nodes.append(links[place : place + _NODE_LINK_SIZE])
            place += _NODE_LINK_SIZE
        elif kind == LinkKind.SLOT:
            slots.append(links[place : place + _SLOT_LINK_SIZE])
            place += _SLOT_LINK_SIZE
        elif kind == _FILLING and not links[place:].strip(bytes((_FILLING,))):
            break
        else:
            raise MalformedObjectError("an object has a link of an unknown kind")
    if place > end:
        raise MalformedObjectError("an object's links are cut short")
    return chunks, nodes, slots


def leave_out(links: bytes, left_out: Collection[bytes]) -> bytes:
    """Return encoded links without some to lists, directories or slots, each of which is encoded by itself.

    Raises:
        MalformedObjectError: They do not follow the format.
    """
    chunks, nodes, slots = split_links(links)
    kept = [link for link in (*nodes, *slots) if link not in left_out]
    return b"".join([*(bytes((LinkKind.CHUNK,)) + stored_hash for stored_hash in chunks), *kept])


def link_from(encoded: bytes) -> Link:
    """Read one link to a list, a directory or a slot, as `split_links` gave it."""
    return Link(LinkKind(encoded[0]), encoded[1 : 1 + _INDEX_SIZE], encoded[1 + _INDEX_SIZE :])


def encode_link(link: Link) -> bytes:
    """Encode a link."""
    return bytes((link.kind,)) + link.storage_index + link.hash


def link_of(cap: VerifyCap) -> Link:
    """Turn a verify cap into a link.

    Raises:
        AuthorityError: No vault issues such caps.
    """
    if isinstance(cap, ImmutableFileVerify) and cap.total == 1:
        if cap.size <= SMALL_SIZE_MAX:
            return Link(LinkKind.CHUNK, b"", cap.hash[:HASH_SIZE])
        return Link(LinkKind.LIST, cap.storage_index, cap.hash[:HASH_SIZE])
    if isinstance(cap, ImmutableDirectoryVerify) and cap.total == 1:
        return Link(LinkKind.DIRECTORY, cap.storage_index, cap.hash[:HASH_SIZE])
    if isinstance(cap, MutableDirectoryVerify | MutableFileVerify):
        return Link(LinkKind.SLOT, cap.storage_index, cap.fingerprint)
    raise AuthorityError(f"{cap} was not issued by a vault: it belongs to another grid")


def require_issued(cap: ImmutableFile | ImmutableDirectory) -> None:
    """Refuse a cap that only a Tahoe-LAFS grid can have issued.

    Raises:
        AuthorityError: It has more than one share.
    """
    if cap.total != 1:
        raise AuthorityError(f"{cap} was not issued by a vault: it belongs to a Tahoe-LAFS grid")
