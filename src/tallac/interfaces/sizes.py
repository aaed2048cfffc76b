"""What the store keeps for a cap, and how large that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from tallac.caps import ReadCap


class StoredPart(NamedTuple):
    """One stored object.

    Attributes:
        name: Tells it from the others of its grid; no secret.
        size: Bytes of content that it holds; 0 where it only lists others.
        stored_size: Bytes that it takes in the store, compressed and sealed, without its share of padding and indexes.
    """

    name: bytes
    size: int
    stored_size: int


@runtime_checkable
class StoredSizes(Protocol):
    """Tell what the store keeps: what a grid offers that knows it."""

    def stored_parts(self, cap: ReadCap) -> Iterator[StoredPart]:
        """Give the objects of a file, or of a directory itself without what its entries lead to; one may come twice.

        What is in the cap itself, and what can be changed, has none.

        Raises:
            DamageError: One of them is lost, or can't be followed.
            AuthorityError: The cap was issued by another grid.
        """
        ...
