"""Index objects: footers of some packs, together. docs/format.md, "Index"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError, StorePermissionError
from tallac.interfaces import Backend, DistantBackend, Randomness
from tallac.vault.distance import BATCH_SIZE_MAX, at_hand, fetched, run_together
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, names_in, open_entries, seal_entries
from tallac.vault.format.structure import Structure
from tallac.vault.mutable.conditional_put import Age, put_new
from tallac.vault.mutable.registers import Register

INDEX_PREFIX = "index/"
TOGETHER_MAX = 4
"""So many index objects, which have some megabytes at most, are in memory at a time."""


def index_path(name: bytes) -> str:
    """Return the backend's name of an index object."""
    return INDEX_PREFIX + name.hex()


class IndexStore:
    """Index objects in the store."""

    def __init__(self, backend: Backend, structure: Structure, randomness: Randomness) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._structure = structure
        self._randomness = randomness
        self._codec = Codec()

    def put(self, packs: Iterable[FinishedPack]) -> bytes:
        """Store an index object of some packs, durably, and give its name. It was opened again and compared before."""
        sealed = seal_entries(packs, self._structure, self._codec, self._randomness)
        name = hash_file_bytes(sealed)
        put_new(self._backend, index_path(name), sealed)
        return name

    def get(self, name: bytes) -> list[FinishedPack]:
        """Read an index object.

        Raises:
            MissingObjectError, CorruptObjectError: It is lost or damaged, or somebody wrote it who may not.
        """
        place = f"the index object {name.hex()[:12]} in {self._backend.location()}"
        try:
            sealed = self._backend.get(index_path(name))
        except ObjectNotFoundError:
            raise MissingObjectError(f"{place} is missing") from None
        if hash_file_bytes(sealed) != name:
            raise CorruptObjectError(f"{place} is damaged")
        try:
            return open_entries(sealed, self._structure, self._codec)
        except CorruptObjectError as error:
            raise type(error)(f"{place} is damaged: {error}") from None

    def at_hand(self, names: Sequence[bytes]) -> Iterator[bytes]:
        """Iterate over the names of index objects, a few of which are asked for together, so that `get` need not wait for each."""
        paths = ((index_path(name), BATCH_SIZE_MAX // TOGETHER_MAX) for name in names)
        for _, name in zip(at_hand(self._backend, paths), names, strict=True):
            yield name

    @contextmanager
    def fetched(self, register: Register) -> Iterator[None]:
        """Keep the first index objects that a register names ready for the length of the block, where the store is distant.

        These are those of the state that was seen last; who uses them reads the register, or swaps it.
        """
        names: list[bytes] = []
        if isinstance(self._backend, DistantBackend) and (state := register.read(Age.ANY)) is not None:
            names = names_in(state.text)[:TOGETHER_MAX]
        with fetched(self._backend, [index_path(name) for name in names]):
            yield

    def sizes(self, names: Iterable[bytes]) -> dict[bytes, int]:
        """Return the bytes that some index objects take in the store, by one listing; those that it lacks are left out.

        All are, where this client may list nothing but the packs.
        """
        try:
            listed = {item.name: item.size for item in self._backend.list(INDEX_PREFIX)}
        except StorePermissionError:
            return {}
        return {name: listed[path] for name in names if (path := index_path(name)) in listed}

    def delete(self, names: Iterable[bytes]) -> None:
        """Remove index objects that no register names any more. A client that may not delete leaves them: they do no harm."""
        run_together(self._backend, [partial(self.is_deleted, name) for name in names])

    def is_deleted(self, name: bytes) -> bool:
        """Remove one, as `delete` does; False where this client may not."""
        try:
            self._backend.delete(index_path(name))
        except StorePermissionError:
            return False
        return True
