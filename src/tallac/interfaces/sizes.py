"""The objects in the store behind a cap, and their sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from tallac.caps import ReadCap


class StoredPart(NamedTuple):
    """One stored object.

    Attributes:
        name: Unique on its grid; not secret.
        size: Bytes of content that it holds; 0 if it only lists other objects.
        stored_size: Bytes that it occupies in the store, compressed and sealed, without its share of padding and indexes.
    """

    name: bytes
    size: int
    stored_size: int


@runtime_checkable
class StoredSizes(Protocol):
    """A grid that knows the objects in its store."""

    def stored_parts(self, cap: ReadCap) -> Iterator[StoredPart]:
        """Iterate over the objects of a file, or of a directory itself without its entries' own; one may come twice.

        Literal caps and mutable files and directories have none.

        Raises:
            DamageError: One of them is missing or damaged.
            AuthorityError: The cap was issued by another grid.
        """
        ...
