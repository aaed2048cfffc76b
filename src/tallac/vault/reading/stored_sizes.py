"""How large what hangs from a cap is, as it is stored: see `tallac.interfaces.StoredSizes`."""

from __future__ import annotations

from collections.abc import Iterator

from tallac.caps import (
    ImmutableDirectory,
    ImmutableFile,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableFileRead,
    ReadCap,
    storage_index_of,
)
from tallac.dag import Entry
from tallac.errors import AuthorityError
from tallac.interfaces import StoredPart
from tallac.vault.format.links import SMALL_SIZE_MAX, require_issued
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import HASH_SIZE, object_name_of
from tallac.vault.format.tables import TABLE_SIZE_MIN
from tallac.vault.reading.object_reader import ObjectReader


def stored_parts(reader: ObjectReader, naming: bytes, cap: ReadCap) -> Iterator[StoredPart]:
    """Iterate over the stored objects of a file or directory, reading only those that list others.

    Args:
        reader: Reads objects, with an index that is loaded.
        naming: The locator key's secret that names objects.
        cap: A read cap.

    Raises:
        As `StoredSizes.stored_parts`.
    """
    if isinstance(cap, LiteralFile | LiteralDirectory | MutableDirectoryRead | MutableFileRead):
        return
    if not isinstance(cap, ImmutableFile | ImmutableDirectory):
        raise AuthorityError(f"{cap} is not in a vault: it belongs to another grid")
    require_issued(cap)
    waiting = [NodeRef.root(cap)]
    while waiting:
        child = waiting.pop()
        below = _children(reader, child, is_file=isinstance(cap, ImmutableFile))
        waiting += below
        name = object_name_of(naming, storage_index_of(child.key))
        location = reader.locate(name, child.hash[:HASH_SIZE])
        yield StoredPart(name, 0 if below else child.size, location.size)


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
