"""The objects in the store behind a cap, and their sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class StoredObject(NamedTuple):
    """One stored object.

    Attributes:
        name: Unique on its grid, of 16 bytes; not secret.
        size: Bytes of content that it holds; 0 if it only lists other objects.
    """

    name: bytes
    size: int


@runtime_checkable
class StoredSizes(Protocol):
    """A grid that knows the objects in its store."""

    def sole_objects(self, caps: Mapping[bytes, int]) -> tuple[dict[bytes, int], list[bytes]]:
        """Return the names of the objects of those caps that have one each and show which, and the other caps.

        Args:
            caps: Encoded caps of files with the sizes that they show, which the objects have, too.
        """
        ...

    def objects_of(self, encoded: bytes) -> Sequence[StoredObject]:
        """Return the objects of a file, or of a directory itself without its entries' own; one may come twice.

        Only what lists others is read, so that one that is lost may be among them. Literal caps, mutable files and directories, and
        what is no read cap have none.

        Args:
            encoded: The encoded cap, see `tallac.dag.EncodedCap`.

        Raises:
            DamageError: One that lists others is missing or damaged.
            AuthorityError: The cap was issued by another grid.
        """
        ...

    def stored_sizes(self, names: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
        """Iterate over those of some objects that the store has, each with the bytes that it occupies, compressed and sealed.

        Its share of padding and indexes is left out. One may come several times. Who takes out of the names what has come has the
        others looked for more thoroughly, and is spared a second time.
        """
        ...
