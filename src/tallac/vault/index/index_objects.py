"""Index objects: footers of some packs, together. docs/format.md, "Index"."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.sealing import NONCE_SIZE, SEAL_OVERHEAD, open_sealed, seal_checked
from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError, StorePermissionError
from tallac.interfaces import Backend, Randomness
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, decode_index, encode_index
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.mutable.conditional_put import put_new

INDEX_PREFIX = "index/"
_CONTEXT = b"index" + bytes((FORMAT_VERSION,))


def index_path(name: bytes) -> str:
    """Return the backend's name of an index object."""
    return INDEX_PREFIX + name.hex()


class IndexStore:
    """Index objects in the store."""

    def __init__(self, backend: Backend, structure_key: bytes, randomness: Randomness) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._structure_key = structure_key
        self._randomness = randomness
        self._codec = Codec()

    def put(self, packs: Iterable[FinishedPack]) -> bytes:
        """Store an index object of some packs, durably, and give its name. It was opened again and compared before."""
        body = encode_index(packs)
        plain = pad_plain(body, self._codec, SEAL_OVERHEAD)
        if unpad_plain(plain, self._codec) != body:
            raise CorruptObjectError("an index object came out as something else: this machine's memory or processor is failing")
        sealed = seal_checked(self._structure_key, self._randomness(NONCE_SIZE), plain, _CONTEXT)
        name = hash_file_bytes(sealed)
        put_new(self._backend, index_path(name), sealed)
        return name

    def get(self, name: bytes) -> list[FinishedPack]:
        """Read an index object.

        Raises:
            MissingObjectError, CorruptObjectError: It is lost or damaged.
        """
        place = f"the index object {name.hex()[:12]} in {self._backend.location()}"
        try:
            sealed = self._backend.get(index_path(name))
        except ObjectNotFoundError:
            raise MissingObjectError(f"{place} is missing") from None
        if hash_file_bytes(sealed) != name:
            raise CorruptObjectError(f"{place} is damaged")
        return decode_index(unpad_plain(open_sealed(self._structure_key, sealed, _CONTEXT), self._codec))

    def delete(self, name: bytes) -> None:
        """Remove an index object that no register names any more. A client that may not delete leaves it: it does no harm."""
        with contextlib.suppress(StorePermissionError):
            self._backend.delete(index_path(name))
