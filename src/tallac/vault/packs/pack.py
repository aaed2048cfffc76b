"""Packs: many sealed objects in one stored object. docs/format.md, "Packs", is the specification.

    objects (each: sealed content, sealed links), footer (sealed and padded: which objects), trailer (sealed: the footer's length)

A pack's name is the BLAKE3 of all of it, so anyone can tell a damaged one. The footer has the stamp of a writer or keeper, over a
hash of the objects: who can add files to a vault, and no more, makes no pack that counts. The padding lies inside the sealed
footer, and at least two packs are open at a time, of which an object goes to one at random: a store sees no object's size or place.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

from tallac.crypto.hashing import Hasher
from tallac.crypto.padding import padme
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, open_sealed, seal
from tallac.errors import CorruptObjectError, MalformedObjectError, ObjectNotFoundError
from tallac.interfaces import Backend, Randomness, Upload
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import PACK_NAME_SIZE, FinishedPack, encode_body, objects_end
from tallac.vault.format.objects import HASH_SIZE, NAME_SIZE
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.format.structure import STAMP_SIZE, Structure

PACK_PREFIX = "packs/"
PACK_SIZE_MIN = 16 << 20
PACK_SIZE_MIN_FIRST = 3 << 19
"""The first packs of a run are smaller: they are on their way to the store while the next ones are being made. Of what is collected
and shuffled first each of two packs gets somewhat more, so both leave as soon as that is written."""

WRITE_SIZE = 1 << 20
TRAILER_SIZE = SEAL_OVERHEAD + 8
READ_SIZE = 4 << 20
FOOTER_SIZE_MAX = 80 << 20
"""A footer's text has 64 MiB at most, and its padding an eighth of that."""

_FOOTER = b"footer"
_REGION_SIZE = 32
_BODY_START = _REGION_SIZE + STAMP_SIZE
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
        # A pack of small objects has 200,000 of them: columns of bytes take a fifth of what lists of Python's own objects do.
        self._names = bytearray()
        self._hashes = bytearray()
        self._lengths = array("I")
        self._links_lengths = array("I")

    def append(self, name: bytes, stored_hash: bytes, content: bytes, links: bytes) -> None:
        """Add one sealed object."""
        self._names += name
        self._hashes += stored_hash
        self._lengths.append(len(content))
        self._links_lengths.append(len(links))
        self._write(content)
        self._write(links)

    def is_full(self, size_min: int) -> bool:
        """Whether the pack is large enough, and closing it now takes little padding; at twice the size that is no matter."""
        if self.size < size_min:
            return False
        unpadded = self.size + (NAME_SIZE + HASH_SIZE) * len(self._lengths) + TRAILER_SIZE
        granule = 1 << (unpadded.bit_length() - 1 - (unpadded.bit_length() - 1).bit_length())
        return self.size >= 2 * size_min or padme(unpadded) - unpadded < granule // 8

    def finish(self, structure: Structure, codec: Codec, randomness: Randomness) -> FinishedPack:
        """Write footer and trailer. The pack still has to be committed under the name that this gives."""
        self._flush()
        body = self._take_body()
        footer = self._footer(body, structure, codec)
        self._write(seal(structure.secret, randomness(SALT_SIZE), footer, _FOOTER_CONTEXT))
        length = (len(footer) + SEAL_OVERHEAD).to_bytes(8, "big")
        self._write(seal(structure.secret, randomness(SALT_SIZE), length, _TRAILER_CONTEXT))
        self._flush()
        return FinishedPack(self._hasher.digest(), self.size, body)

    def _take_body(self) -> bytes:
        """Return the footer's content, and forget what it was made of: it has megabytes, and copies of it follow."""
        body = encode_body([self._names], [self._hashes], self._lengths, self._links_lengths)
        self._names, self._hashes = bytearray(), bytearray()
        self._lengths, self._links_lengths = array("I"), array("I")
        return body

    def _footer(self, body: bytes, structure: Structure, codec: Codec) -> bytes:
        region = self._hasher.digest()
        stamp = structure.stamp(_FOOTER, region + body)
        return pad_plain(b"".join((region, stamp, body)), codec, self.size + SEAL_OVERHEAD + TRAILER_SIZE)

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


class Footer(NamedTuple):
    """A pack as its own footer describes it.

    Attributes:
        pack: What the index is to know of it.
        region: BLAKE3 of the bytes of all its objects, as who made it says.
        region_size: How many they are.
    """

    pack: FinishedPack
    region: bytes
    region_size: int


def read_footer(backend: Backend, name: bytes, size: int, structure: Structure, codec: Codec) -> Footer:
    """Read a pack's footer from the store.

    Raises:
        CorruptObjectError: Footer or trailer do not open, or nobody made them who may.
        MalformedObjectError: They do not follow the format.
    """
    path = pack_path(name)
    if size < TRAILER_SIZE + SEAL_OVERHEAD:
        raise CorruptObjectError(f"pack {name.hex()[:12]} is cut short")
    trailer = open_sealed(structure.secret, backend.get(path, size - TRAILER_SIZE, size), _TRAILER_CONTEXT)
    length = int.from_bytes(trailer, "big")
    if len(trailer) != 8 or not SEAL_OVERHEAD <= length <= min(size - TRAILER_SIZE, FOOTER_SIZE_MAX):
        raise MalformedObjectError(f"pack {name.hex()[:12]} has a malformed trailer")
    start = size - TRAILER_SIZE - length
    footer = open_sealed(structure.secret, backend.get(path, start, start + length), _FOOTER_CONTEXT)
    text = unpad_plain(footer, codec, start + SEAL_OVERHEAD + TRAILER_SIZE)
    # Of a pack of small files each of these has several megabytes.
    del footer
    region, stamp, body = text[:_REGION_SIZE], text[_REGION_SIZE:_BODY_START], text[_BODY_START:]
    del text
    structure.check(_FOOTER, region + body, stamp)
    if objects_end(body) != start:
        raise MalformedObjectError(f"pack {name.hex()[:12]} has a footer that does not fit it")
    return Footer(FinishedPack(name, size, body), region, start)


class StoredPacks:
    """The packs that the store has, without any index."""

    def __init__(self, backend: Backend, structure: Structure) -> None:
        """Use a backend; nothing is read yet."""
        self._backend = backend
        self._structure = structure
        self._codec = Codec()

    def sizes(self) -> dict[bytes, int]:
        """List names and sizes of all packs. What has no pack's name is left out."""
        found = {}
        for item in self._backend.list(PACK_PREFIX):
            text = item.name.removeprefix(PACK_PREFIX)
            if len(text) == 2 * PACK_NAME_SIZE and not text.strip("0123456789abcdef"):
                found[bytes.fromhex(text)] = item.size
        return found

    def footer(self, name: bytes, size: int) -> Footer:
        """Read the footer of one pack. Raises as `read_footer` does, and ObjectNotFoundError where it is gone."""
        return read_footer(self._backend, name, size, self._structure, self._codec)

    def footers(self, sizes: dict[bytes, int]) -> list[FinishedPack]:
        """Read the footers of some packs; those that are damaged, forged, or gone meanwhile, are left out."""
        found = []
        for name, size in sizes.items():
            try:
                found.append(self.footer(name, size).pack)
            except (CorruptObjectError, ObjectNotFoundError):
                continue  # A check names it; here it only means that nothing in it can be re-used.
        return found

    def proved(self, sizes: dict[bytes, int]) -> list[FinishedPack]:
        """Read some packs whole that no index object knows, and return those whose every byte is what their maker stamped.

        A right footer can be copied behind other bytes by anybody who can add files; so it counts only together with them. What is
        damaged, forged, or gone meanwhile is left out: a check names it, and here it only means that nothing in it can be re-used.
        """
        found = []
        for name, size in sizes.items():
            try:
                footer = self.footer(name, size)
                if self._region(name, footer.region_size) == footer.region:
                    found.append(footer.pack)
            except (CorruptObjectError, ObjectNotFoundError):
                continue
        return found

    def _region(self, name: bytes, end: int) -> bytes:
        hasher = Hasher()
        for start in range(0, end, READ_SIZE):
            hasher.update(self._backend.get(pack_path(name), start, min(start + READ_SIZE, end)))
        return hasher.digest()
