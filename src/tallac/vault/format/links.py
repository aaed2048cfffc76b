"""Links: the verify caps of what an object refers to, in the order in which its content names them.

0 storage index(16)                        chunk, which has no links itself and so needs no hash here
1 storage index(16) hash(32)               list of a large file's chunks
2 storage index(16) hash(32)               directory
3 storage index(16) fingerprint(32)        slot of a mutable directory or file
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
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
from tallac.dag import EncodedCap, Entry, decode_cap
from tallac.errors import AuthorityError, MalformedObjectError
from tallac.vault.format.objects import Kind

SMALL_SIZE_MAX = 1 << 19
"""Files of up to so many bytes are one chunk; larger ones are a list of chunks. So a verify cap's size tells which it is."""

_INDEX_SIZE = 16
_HASH_SIZE = 32


class LinkKind(IntEnum):
    """The kind of object that a link leads to."""

    CHUNK = 0
    LIST = 1
    DIRECTORY = 2
    SLOT = 3


OBJECT_KINDS = {LinkKind.CHUNK: Kind.CHUNK, LinkKind.LIST: Kind.LIST, LinkKind.DIRECTORY: Kind.DIRECTORY}


class Link(NamedTuple):
    """One link; hash is empty for a chunk, and a slot's fingerprint."""

    kind: LinkKind
    storage_index: bytes
    hash: bytes


def chunk_link(key: bytes) -> bytes:
    """Encode a link to a chunk with this read key."""
    return b"\0" + storage_index_of(key)


def list_link(key: bytes, cap_hash: bytes) -> bytes:
    """Encode a link to a list with this read key."""
    return b"\1" + storage_index_of(key) + cap_hash


def directory_link(key: bytes, cap_hash: bytes) -> bytes:
    """Encode a link to a directory object with this read key."""
    return b"\2" + storage_index_of(key) + cap_hash


def links_of_encoded(encoded: bytes) -> bytes:
    """Encode the link that follows from an encoded cap; empty for literal and unknown caps."""
    hashed = EncodedCap(encoded)
    if hashed.is_file:
        return chunk_link(hashed.key) if hashed.size <= SMALL_SIZE_MAX else list_link(hashed.key, hashed.hash)
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
    return b"".join([links_of_encoded(entry.encoded) for entry in entries])


def decode_links(links: bytes) -> Iterator[Link]:
    """Read links.

    Raises:
        MalformedObjectError: They do not follow the format.
    """
    place = 0
    while place < len(links):
        try:
            kind = LinkKind(links[place])
        except ValueError:
            raise MalformedObjectError("an object has a link of an unknown kind") from None
        index_end = place + 1 + _INDEX_SIZE
        end = index_end if kind is LinkKind.CHUNK else index_end + _HASH_SIZE
        if end > len(links):
            raise MalformedObjectError("an object's links are cut short")
        yield Link(kind, links[place + 1 : index_end], links[index_end:end])
        place = end


def link_of(cap: VerifyCap) -> Link:
    """Turn a verify cap into a link.

    Raises:
        AuthorityError: No vault issues such caps.
    """
    if isinstance(cap, ImmutableFileVerify) and cap.total == 1:
        if cap.size <= SMALL_SIZE_MAX:
            return Link(LinkKind.CHUNK, cap.storage_index, b"")
        return Link(LinkKind.LIST, cap.storage_index, cap.hash)
    if isinstance(cap, ImmutableDirectoryVerify) and cap.total == 1:
        return Link(LinkKind.DIRECTORY, cap.storage_index, cap.hash)
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
