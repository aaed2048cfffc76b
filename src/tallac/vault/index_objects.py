"""Index objects: footers of some packs, together. docs/format.md, "Index"."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator

from tallac.crypto import NONCE_SIZE, SEAL_OVERHEAD, hash_file_bytes, open_sealed, seal_checked
from tallac.errors import CorruptObjectError, MalformedObjectError, MissingObjectError, ObjectNotFoundError, StoreReadOnlyError
from tallac.interfaces import Backend, Randomness
from tallac.vault.codec import Codec
from tallac.vault.format_version import FORMAT_VERSION
from tallac.vault.packs import FinishedPack, pad_plain, unpad_plain
from tallac.vault.registers import put_new

INDEX_PREFIX = "index/"
INDEX_NAME_SIZE = 32
INDEX_BODY_SIZE_MAX = 8 << 20
_CONTEXT = b"index" + bytes((FORMAT_VERSION,))
_PACK_HEAD = struct.Struct(">32sQI")


def index_path(name: bytes) -> str:
    """Give the backend's name of an index object."""
    return INDEX_PREFIX + name.hex()


def encode_index(packs: Iterable[FinishedPack]) -> bytes:
    """Encode the footers of some packs, one after the other."""
    return b"".join(_PACK_HEAD.pack(pack.name, pack.size, len(pack.body)) + pack.body for pack in packs)


def decode_index(body: bytes) -> list[FinishedPack]:
    """Read what `encode_index` gave.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    packs = []
    place = 0
    while place < len(body):
        if place + _PACK_HEAD.size > len(body):
            raise MalformedObjectError("an index object is cut short")
        name, size, length = _PACK_HEAD.unpack_from(body, place)
        place += _PACK_HEAD.size
        if place + length > len(body):
            raise MalformedObjectError("an index object is cut short")
        packs.append(FinishedPack(name, size, body[place : place + length]))
        place += length
    return packs


def names_in(text: bytes | None) -> list[bytes]:
    """Read the index register's text: the names of the index objects, 32 bytes each."""
    if text is None:
        return []
    if len(text) % INDEX_NAME_SIZE:
        raise MalformedObjectError("the index register has a wrong length")
    return [text[place : place + INDEX_NAME_SIZE] for place in range(0, len(text), INDEX_NAME_SIZE)]


class IndexStore:
    """Index objects in the store."""

    def __init__(self, backend: Backend, frame_key: bytes, randomness: Randomness) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._frame_key = frame_key
        self._randomness = randomness
        self._codec = Codec()

    def put(self, packs: Iterable[FinishedPack]) -> bytes:
        """Store an index object of some packs, durably, and give its name. It was opened again and compared before."""
        body = encode_index(packs)
        plain = pad_plain(body, self._codec, SEAL_OVERHEAD)
        if unpad_plain(plain, self._codec) != body:
            raise CorruptObjectError("an index object came out as something else: this machine's memory or processor is failing")
        sealed = seal_checked(self._frame_key, self._randomness(NONCE_SIZE), plain, _CONTEXT)
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
        return decode_index(unpad_plain(open_sealed(self._frame_key, sealed, _CONTEXT), self._codec))

    def delete(self, name: bytes) -> None:
        """Remove an index object that no register names any more. A client that may not delete leaves it: it does no harm."""
        with contextlib.suppress(StoreReadOnlyError):
            self._backend.delete(index_path(name))


def index_parts(packs: list[FinishedPack]) -> Iterator[list[FinishedPack]]:
    """Divide packs such that no index object grows too large."""
    part: list[FinishedPack] = []
    size = 0
    for pack in packs:
        if part and size + len(pack.body) > INDEX_BODY_SIZE_MAX:
            yield part
            part, size = [], 0
        part.append(pack)
        size += len(pack.body)
    if part:
        yield part
