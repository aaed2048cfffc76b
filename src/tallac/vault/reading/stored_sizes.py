"""How large what hangs from a cap is, as it is stored: see `tallac.interfaces.StoredSizes`."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence

from tallac.buckets import Buckets
from tallac.caps import (
    ImmutableDirectory,
    ImmutableFile,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableFileRead,
    ReadCap,
)
from tallac.dag import EncodedCap, Entry, decode_cap
from tallac.dag.encoded import HASHED_SIZE_MIN
from tallac.errors import AuthorityError
from tallac.interfaces import StoredObject
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.links import SMALL_SIZE_MAX, require_issued
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import HASH_SIZE
from tallac.vault.format.tables import TABLE_SIZE_MIN
from tallac.vault.index.index import VaultIndex
from tallac.vault.reading.object_reader import ObjectReader

_HASH = slice(17, 17 + HASH_SIZE)
"""Where the encoded cap of a file has the stored hash of its chunk."""

_SIZE_RECORD = struct.Struct(f"={HASH_SIZE}sQ")
_WITHOUT_OBJECTS = (LiteralFile, LiteralDirectory, MutableDirectoryRead, MutableFileRead)


def sole_objects(caps: Mapping[bytes, int]) -> tuple[dict[bytes, int], list[bytes]]:
    """Divide caps into files of one chunk, each as the chunk's stored hash and size, and others: `StoredSizes.sole_objects`."""
    # A size that begins with a zero byte is refused where others are looked at.
    others = [
        encoded
        for encoded, size in caps.items()
        if not 0 < size <= SMALL_SIZE_MAX or encoded[:1] != b"C" or not encoded[HASHED_SIZE_MIN]
    ]
    if others:
        left_out = {*others}
        return {encoded[_HASH]: size for encoded, size in caps.items() if encoded not in left_out}, others
    return {encoded[_HASH]: size for encoded, size in caps.items()}, others


def objects_of(reader: ObjectReader, encoded: bytes) -> Sequence[StoredObject]:
    """Return the stored objects of a file or directory, by their stored hashes, reading only those that list others.

    Raises:
        As `StoredSizes.objects_of`.
    """
    known = EncodedCap(encoded)
    if known.is_file and 0 < (size := known.size) <= SMALL_SIZE_MAX:
        known.require_hashed()
        return (StoredObject(known.hash[:HASH_SIZE], size),)
    cap = known if known.is_hashed else decode_cap(known)
    if not isinstance(cap, EncodedCap):
        if isinstance(cap, ImmutableFile | ImmutableDirectory):
            require_issued(cap)
        elif isinstance(cap, ReadCap) and not isinstance(cap, _WITHOUT_OBJECTS):
            raise AuthorityError(f"{cap} is not in a vault: it belongs to another grid")
        return ()
    cap.require_hashed()
    found: list[StoredObject] = []
    waiting = [NodeRef.root(cap)]
    while waiting:
        child = waiting.pop()
        below = _children(reader, child, is_file=cap.is_file)
        waiting += below
        found.append(StoredObject(child.hash[:HASH_SIZE], 0 if below else child.size))
    return found


class StoredSizesTable:
    """The sizes of all objects in an index, asked for any number of times: the index is passed over once, or twice."""

    def __init__(self, index: VaultIndex) -> None:
        """Read nothing yet."""
        self._index = index
        self._state: object = None
        self._divided: Buckets | None = None

    def of(self, names: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
        """Iterate over the sizes of stored objects, by their stored hashes.

        What is not found is looked for once more, in a fresh index.

        Raises:
            LocalStateError: What was put into a temporary file can't be read again, or is something else.
        """
        is_second_look = False
        while names:
            yield from self._found(names)
            if is_second_look:
                return
            is_second_look = True
            if names:
                self._index.search()

    def _found(self, names: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
        """Look once: whoever asks for the first time may well have asked for everything."""
        index = self._index
        state = index.generation, index.absent_packs, index.pending
        if state != self._state:
            self._state, self._divided = state, None
            yield from ((stored_hash, size) for stored_hash, size in _sizes(index) if stored_hash in names)
            return
        if self._divided is None:
            self._divided = _by_first_byte(index)
        # The caller takes what has come out of the names.
        for first in sorted({name[0] for name in names}):
            for stored_hash, size in _SIZE_RECORD.iter_unpack(self._divided.starting_with(first)):
                if stored_hash in names:
                    yield stored_hash, size


def _by_first_byte(index: VaultIndex) -> Buckets:
    """Divide the sizes of all objects by the first byte of their hash, in 24 bytes each."""
    divided = Buckets()
    buckets, full_size, pack_record = divided.recent, divided.full_size, _SIZE_RECORD.pack
    for stored_hash, size in _sizes(index):
        bucket = buckets[stored_hash[0]]
        bucket += pack_record(stored_hash, size)
        if len(bucket) >= full_size:
            divided.settle()
            full_size = divided.full_size
    return divided


def _sizes(index: VaultIndex) -> Iterator[tuple[bytes, int]]:
    """Iterate over the sizes of all copies that are present."""
    for run in index.runs():
        packs = [name for name, _ in run.packs]
        is_there = [name not in index.absent_packs for name in packs]
        is_pending = [name in index.pending.packs for name in packs]
        for _, stored_hash, pack, offset, length, links_length in run.columns():
            if is_there[pack]:
                location = ObjectLocation(packs[pack], offset, length, links_length, stored_hash) if is_pending[pack] else None
                if location is None or index.is_present(location):
                    yield stored_hash, length + links_length


def _children(reader: ObjectReader, child: NodeRef, *, is_file: bool) -> list[NodeRef]:
    """Return what an object lists; [] for a chunk or a table."""
    if is_file:
        # Only roots have no level, and only their size says whether they are lists.
        is_list = child.size > SMALL_SIZE_MAX if child.level is None else child.level > 0
        return [below for below in reader.read_list(child)[1] if not below.is_hole] if is_list else []
    # No directory of several tables is as small as one that a builder would close.
    if child.level == 0 or (child.level is None and child.size < TABLE_SIZE_MIN):
        return []
    return [below for below in reader.read_table(child) if not isinstance(below, Entry)]
