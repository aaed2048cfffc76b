"""Packs: many sealed objects in one stored object. docs/format.md, "Packs", is the specification.

    objects (each: sealed content, sealed links), footer (sealed and padded: which objects), trailer (sealed: the footer's length)

A pack's name is the BLAKE3 of all of it, so anyone can tell a damaged one. The padding lies inside the sealed footer, and at least
two packs are open at a time, of which an object goes to one at random: a store sees no object's size or place.
"""

from __future__ import annotations

from tallac.crypto.hashing import Hasher
from tallac.crypto.padding import padme
from tallac.crypto.sealing import NONCE_SIZE, SEAL_OVERHEAD, open_sealed, seal
from tallac.errors import CorruptObjectError, MalformedObjectError, ObjectNotFoundError
from tallac.interfaces import Backend, Randomness, Upload
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import COMPRESSED_BIT, PACK_NAME_SIZE, FinishedPack, decode_body, encode_body
from tallac.vault.format.objects import NAME_SIZE
from tallac.vault.format.padding import pad_plain, unpad_plain

PACK_PREFIX = "packs/"
PACK_SIZE_MIN = 16 << 20
PACK_SIZE_MAX = 32 << 20
WRITE_SIZE = 1 << 20
TRAILER_SIZE = SEAL_OVERHEAD + 8

_FOOTER_CONTEXT = b"footer" + bytes((FORMAT_VERSION,))
_TRAILER_CONTEXT = b"trailer" + bytes((FORMAT_VERSION,))


def pack_path(name: bytes) -> str:
    """Return the backend's name of a pack."""
    return PACK_PREFIX + name.hex()


class OpenPack:
    """A pack that is being written. Not thread-safe."""

    def __init__(self, upload: Upload) -> None:
        """Begin a pack; upload is this object's own from now on."""
        self.upload = upload
        self.size = 0
        self._buffer = bytearray()
        self._hasher = Hasher()
        self._names: list[bytes] = []
        self._lengths: list[int] = []
        self._links_lengths: list[int] = []

    def append(self, name: bytes, content: bytes, links: bytes, *, is_compressed: bool) -> None:
        """Add one sealed object."""
        self._names.append(name)
        self._lengths.append(len(content) | COMPRESSED_BIT if is_compressed else len(content))
        self._links_lengths.append(len(links))
        self._write(content)
        self._write(links)

    @property
    def is_full(self) -> bool:
        """Whether the pack is large enough, and closing it now takes little padding."""
        if self.size < PACK_SIZE_MIN:
            return False
        unpadded = self.size + NAME_SIZE * len(self._names) + TRAILER_SIZE
        granule = 1 << (unpadded.bit_length() - 1 - (unpadded.bit_length() - 1).bit_length())
        return self.size >= PACK_SIZE_MAX or padme(unpadded) - unpadded < granule // 8

    def finish(self, structure_key: bytes, codec: Codec, randomness: Randomness) -> FinishedPack:
        """Write footer and trailer. The pack still has to be committed under the name that this gives."""
        body = encode_body(self._names, self._lengths, self._links_lengths)
        footer = pad_plain(body, codec, self.size + SEAL_OVERHEAD + TRAILER_SIZE)
        self._write(seal(structure_key, randomness(NONCE_SIZE), footer, _FOOTER_CONTEXT))
        length = (len(footer) + SEAL_OVERHEAD).to_bytes(8, "big")
        self._write(seal(structure_key, randomness(NONCE_SIZE), length, _TRAILER_CONTEXT))
        self._flush()
        return FinishedPack(self._hasher.digest(), self.size, body)

    def _write(self, data: bytes) -> None:
        self.size += len(data)
        if len(data) >= WRITE_SIZE:
            self._flush()
            self._hasher.update(data)
            self.upload.write(data)
            return
        self._buffer += data
        if len(self._buffer) >= WRITE_SIZE:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._hasher.update(self._buffer)
            self.upload.write(self._buffer)
            self._buffer = bytearray()


def read_footer(backend: Backend, name: bytes, size: int, structure_key: bytes, codec: Codec) -> FinishedPack:
    """Read a pack's footer from the store.

    Raises:
        CorruptObjectError: Footer or trailer do not open.
        MalformedObjectError: They do not follow the format.
    """
    path = pack_path(name)
    if size < TRAILER_SIZE + SEAL_OVERHEAD:
        raise CorruptObjectError(f"pack {name.hex()[:12]} is cut short")
    trailer = open_sealed(structure_key, backend.get(path, size - TRAILER_SIZE, size), _TRAILER_CONTEXT)
    length = int.from_bytes(trailer, "big")
    if len(trailer) != 8 or not SEAL_OVERHEAD <= length <= size - TRAILER_SIZE:
        raise MalformedObjectError(f"pack {name.hex()[:12]} has a malformed trailer")
    start = size - TRAILER_SIZE - length
    footer = open_sealed(structure_key, backend.get(path, start, start + length), _FOOTER_CONTEXT)
    body = unpad_plain(footer, codec)
    end = 0
    for stored in decode_body(body):
        end = stored.offset + stored.length + stored.links_length
    if end != start:
        raise MalformedObjectError(f"pack {name.hex()[:12]} has a footer that does not fit it")
    return FinishedPack(name, size, body)


class StoredPacks:
    """The packs that the store has, without any index."""

    def __init__(self, backend: Backend, structure_key: bytes) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._structure_key = structure_key
        self._codec = Codec()

    def sizes(self) -> dict[bytes, int]:
        """List names and sizes of all packs. What has no pack's name is left out."""
        found = {}
        for item in self._backend.list(PACK_PREFIX):
            text = item.name.removeprefix(PACK_PREFIX)
            if len(text) == 2 * PACK_NAME_SIZE and not text.strip("0123456789abcdef"):
                found[bytes.fromhex(text)] = item.size
        return found

    def footers(self, sizes: dict[bytes, int]) -> list[FinishedPack]:
        """Read the footers of some packs; those that are damaged, or gone meanwhile, are left out."""
        found = []
        for name, size in sizes.items():
            try:
                found.append(read_footer(self._backend, name, size, self._structure_key, self._codec))
            except (CorruptObjectError, ObjectNotFoundError):
                continue  # A check names it; here it only means that nothing in it can be re-used.
        return found
