"""How large what hangs from a cap is, as it is stored: see `tallac.interfaces.StoredSizes`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

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
from tallac.errors import AuthorityError
from tallac.interfaces import StoredObject
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.links import SMALL_SIZE_MAX, require_issued
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import HASH_SIZE
from tallac.vault.format.tables import TABLE_SIZE_MIN
from tallac.vault.index.index import VaultIndex
from tallac.vault.reading.object_reader import ObjectReader

_WITHOUT_OBJECTS = (LiteralFile, LiteralDirectory, MutableDirectoryRead, MutableFileRead)


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


def stored_sizes(index: VaultIndex, names: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
    """Iterate over the sizes of stored objects, by their stored hashes, in one pass over the index.

    What is not found is looked for once more, in a fresh index.
    """
    yield from _sizes_in(index, names)
    if names:
        index.search()
        yield from _sizes_in(index, names)


def _sizes_in(index: VaultIndex, names: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
    for run in index.runs():
        packs = [name for name, _ in run.packs]
        for _, stored_hash, pack, offset, length, links_length in run.columns():
            if stored_hash in names:
                location = ObjectLocation(packs[pack], offset, length, links_length, stored_hash)
                if index.is_present(location):
                    yield stored_hash, location.size


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
