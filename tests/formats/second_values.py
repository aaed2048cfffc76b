"""Read what a vault's format is made of, written from docs/format.md alone: seals, padding, MessagePack, caps, links, nodes."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import ormsgpack
from Crypto.Cipher import AES
from Crypto.Signature import eddsa
from tests.formats.second_hash import hashed
from tests.formats.second_zstd import zstd

V = b"\x02"
CHUNK, LIST, DIRECTORY, SLOT = 1, 2, 3, 4
CHUNK_BYTES_MAX, OBJECT_BYTES_MAX = 4 << 20, 64 << 20
LITERAL_BYTES_MAX, SINGLE_CHUNK_BYTES_MAX = 55, 524_288
BLOCK_BYTES, HOLE_BLOCKS_MIN = 65_536, 16
NODE_CHILDREN_MIN, NODE_CHILDREN_MAX, TABLE_BYTES_MIN, TABLE_BYTES_MAX = 128, 4096, 32_768, 524_288
LEVEL_MAX, MODE_MAX, NUMBER_LIMIT = 16, (1 << 17) - 1, 1 << 62
MUTABLE_FILE_NAME = b"\0"
IMMUTABLE = re.compile(r"URI:(CHK|DIR2-CHK):([a-z2-7]{26}):([a-z2-7]{52}):1:1:(0|[1-9][0-9]*)")
MUTABLE = re.compile(r"URI:(DIR2|SSK|DIR2-MDMF|MDMF)(-RO)?:([a-z2-7]{26}):([a-z2-7]{52})")
VERIFY = re.compile(r"URI:(CHK|DIR2-CHK|DIR2|SSK|DIR2-MDMF|MDMF)-Verifier:([a-z2-7]{26}):([a-z2-7]{52})(?::1:1:(0|[1-9][0-9]*))?")


class FormatError(Exception):
    """Tell that something is missing, or is not as the page says."""


def require(condition: object, message: str) -> None:
    """Raise FormatError unless the condition holds."""
    if not condition:
        raise FormatError(message)


def matched(pattern: str | re.Pattern[str], text: str, message: str) -> re.Match[str]:
    """Match the whole text, or raise FormatError."""
    match = re.fullmatch(pattern, text)
    if not match:
        raise FormatError(message)
    return match


# Keys, seals, stamps and padding.


@lru_cache
def tag_key(tag: str) -> bytes:
    """Give T"tag"."""
    return hashed(tag.encode())


def keyed(key: bytes | str, *parts: bytes, length: int = 32) -> bytes:
    """Give H(key, parts), where a key written as text is T"text"; 64 bytes are the longer form of the same output."""
    return hashed(b"".join(parts), tag_key(key) if isinstance(key, str) else key, length)


def derived(key: bytes, purpose: str) -> bytes:
    """Give D(key, purpose)."""
    return keyed(key, b"tallac vault 2 ", purpose.encode())


def tahoe_hash(tag: str, value: bytes) -> bytes:
    """Give Tahoe-LAFS's tagged hash, SHA-256d of a netstring and a value, 16 bytes long."""
    return hashlib.sha256(hashlib.sha256(b"%d:%s,%s" % (len(tag), tag.encode(), value)).digest()).digest()[:16]


def storage_index(key: bytes) -> bytes:
    """Give an immutable object's storage index."""
    return tahoe_hash("allmydata_immutable_key_to_storage_index_v1", key)


def base32(data: bytes) -> str:
    """Write bytes in lower-case base32 without padding."""
    return base64.b32encode(data).decode().lower().rstrip("=")


def unbase32(text: str) -> bytes:
    """Read base32, in its one form only."""
    require(re.fullmatch("[a-z2-7]*", text) and len(text) % 8 in {0, 2, 4, 5, 7}, "no base32")
    data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    require(base32(data) == text, "base32 with stray bits")
    return data


def key_text(kind: str, key: bytes, vault_id: bytes) -> str:
    """Write a key as text."""
    return f"tallac-{kind}-2:{base32(key + vault_id + hashed(kind.encode() + key + vault_id)[:3])}"


def read_key(text: str) -> tuple[str, bytes, bytes]:
    """Read a key's text: its kind, its 32 bytes, and the id of its vault."""
    match = matched("tallac-(writer|keeper|locator|envelope)-2:([a-z2-7]+)", text, "no key")
    data = unbase32(match[2])
    require(len(data) == 51 and key_text(match[1], data[:32], data[32:48]) == text, "a key has a typing error")
    return match[1], data[:32], data[32:48]


def public_key(seed: bytes) -> bytes:
    """Give the Ed25519 public key of a seed."""
    raw: bytes = eddsa.import_private_key(seed).public_key().export_key(format="raw")
    return raw


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature is right."""
    try:
        eddsa.new(eddsa.import_public_key(public), "rfc8032").verify(message, signature)
    except ValueError:
        return False
    return True


def gcm_open(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Undo AES-256-GCM."""
    require(len(sealed) >= 16, "a seal is too short")
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=16)
    cipher.update(associated)
    try:
        return bytes(cipher.decrypt_and_verify(sealed[:-16], sealed[-16:]))
    except ValueError:
        raise FormatError("a seal does not open") from None


def unseal(key: bytes, associated: bytes, sealed: bytes) -> bytes:
    """Undo `seal`."""
    return gcm_open(keyed(key, b"tallac vault 2 seal", sealed[:24]), bytes(12), sealed[24:], associated)


def unzstd(frame: bytes, size_max: int) -> bytes:
    """Decompress exactly one frame that declares its content size."""
    try:
        require(frame[:4] == b"\x28\xb5\x2f\xfd", "no frame of zstd")
        size: Any = zstd.get_frame_info(frame).decompressed_size
        if size is None or size > size_max:
            raise FormatError("a frame declares no size, or too much")
        decompressor = zstd.ZstdDecompressor()
        content = decompressor.decompress(frame, max_length=size + 1)
    except zstd.ZstdError as error:
        raise FormatError(f"a frame is damaged: {error}") from None
    require(decompressor.eof and not decompressor.unused_data and len(content) == size, "a frame has another size, or more follows")
    return content


def padded_size(size: int) -> int:
    """Give the padded size of a size above 1."""
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


def rounded_size(size: int) -> int:
    """Give the rounded size of an object's sealed bytes."""
    step = 1 << max(size.bit_length() - 6, 0)
    return -(-size // step) * step


def unpad(data: bytes, extra: int) -> bytes:
    """Undo `pad(x, extra)`, and check the padding."""
    require(len(data) >= 9, "padding is too short")
    form, size, stored_size = struct.unpack_from(">BII", data)
    require(form <= 1 and max(size, stored_size) <= OBJECT_BYTES_MAX and 9 + stored_size <= len(data), "padding is wrong")
    require(not data[9 + stored_size :].strip(b"\0"), "padding is not zero")
    require(len(data) + extra == padded_size(9 + stored_size + extra), "padding has the wrong length")
    stored = data[9 : 9 + stored_size]
    value = unzstd(stored, size) if form else stored
    require(len(value) == size, "padding holds a wrong length")
    return value


# MessagePack, and the shapes that the page gives values.

Shape = Callable[[Any], bool]


def number(low: int = 0, high: int = NUMBER_LIMIT - 1) -> Shape:
    """Take whole numbers in these bounds, both included."""
    return lambda value: type(value) is int and low <= value <= high


def octets(*lengths: int) -> Shape:
    """Take bytes, of one of these lengths if any are given."""
    return lambda value: type(value) is bytes and (not lengths or len(value) in lengths)


def array(*shapes: Shape) -> Shape:
    """Take an array whose elements have these shapes in turn."""
    return lambda value: (
        type(value) is list and len(value) == len(shapes) and all(shape(each) for shape, each in zip(shapes, value, strict=True))
    )


def many(shape: Shape, *, ascending: bool = False) -> Shape:
    """Take an array of any number of such elements; in ascending order of the first in each, no two alike, if that is asked for."""

    def takes(value: Any) -> bool:
        if type(value) is not list or not all(map(shape, value)):
            return False
        firsts = [each[0] if type(each) is list else each for each in value]
        return not ascending or all(one < two for one, two in pairwise(firsts))

    return takes


def optional(shape: Shape) -> Shape:
    """Take nil as well."""
    return lambda value: value is None or shape(value)


def fields(**known: tuple[Shape, Any]) -> Shape:
    """Take a map with some of these keys, in their order, none of which has its default."""

    def takes(value: Any) -> bool:
        return (
            type(value) is dict
            and list(value) == [key for key in known if key in value]
            and all(known[key][0](each) and each != known[key][1] for key, each in value.items())
        )

    return takes


def text(value: Any) -> bool:
    """Take text."""
    return type(value) is str


def flag(value: Any) -> bool:
    """Take true and false."""
    return type(value) is bool


def by_key(value: Any) -> bool:
    """Take any value in which the keys of all maps ascend."""
    if type(value) is dict:
        return list(value) == sorted(value) and all(map(by_key, value.values()))
    return type(value) is not list or all(map(by_key, value))


TIME = array(number(1 - NUMBER_LIMIT), number(0, 10**9 - 1))
RULES: dict[str, tuple[Shape, Any]] = {
    "p": (many(array(octets(), flag)), []),
    "i": (optional(octets()), b".tallacignore"),
    "m": (many(array(octets(), octets())), []),
    "z": (number(), None),
    "x": (flag, False),
    "c": (flag, False),
}
FACTS: dict[str, tuple[Shape, Any]] = {
    "h": (text, ""),
    "u": (text, ""),
    "s": (many(octets()), []),
    **dict.fromkeys("befdnax", (number(), 0)),
    "t": (many(text), []),
    "v": (text, ""),
    "r": (lambda value: value != {} and fields(**RULES)(value), None),
}
METADATA: dict[str, tuple[Shape, Any]] = {
    "m": (number(0, MODE_MAX), None),
    "u": (number(), None),
    "g": (number(), None),
    "U": (text, None),
    "G": (text, None),
    "t": (TIME, None),
    "c": (TIME, None),
    "i": (number(0, (1 << 64) - 1), None),
    "d": (number(0, (1 << 64) - 1), None),
    "l": (number(), 1),
    "k": (octets(), None),
    "r": (array(number(), number()), None),
    "x": (many(array(octets(), octets()), ascending=True), []),
    "f": (number(), 0),
    "h": (many(array(number(), number()), ascending=True), []),
    "w": (flag, False),
    "M": (many(octets(), ascending=True), []),
    "P": (flag, False),
    "N": (flag, False),
    "S": (fields(**FACTS), None),
    "o": (lambda value: type(value) is dict and by_key(value), None),
}
ENTRY = array(lambda name: octets()(name) and bool(name), octets(), fields(**METADATA), optional(octets()))


def decode(data: bytes) -> Any:
    """Decode MessagePack of any kind."""
    try:
        return ormsgpack.unpackb(data)
    except ValueError as error:
        raise FormatError(f"wrong MessagePack: {error}") from None


def unpack(data: bytes, shape: Shape) -> Any:
    """Decode MessagePack that has the given shape and its shortest form."""
    value = decode(data)
    require(shape(value), "MessagePack has another shape")
    require(ormsgpack.packb(value) == data, "MessagePack is not in its one form")
    return value


class StoredEntry(NamedTuple):
    """An entry as it stands in a table or a slot."""

    name: bytes
    packed_cap: bytes
    metadata: dict[str, Any]
    sealed_write_cap: bytes | None

    def encode(self) -> bytes:
        """Give its one form: the map of the metadata begins with `de` and its length."""
        pairs = b"".join(ormsgpack.packb(key) + ormsgpack.packb(value) for key, value in self.metadata.items())
        head = b"\xde" + len(self.metadata).to_bytes(2, "big")
        return b"\x94" + ormsgpack.packb(self.name) + ormsgpack.packb(self.packed_cap) + head + pairs + ormsgpack.packb(self[3])


def encode_entries(entries: list[StoredEntry]) -> bytes:
    """Give the MessagePack array of entries."""
    count = len(entries)
    heads = (bytes((0x90 | count & 15,)), b"\xdc" + struct.pack(">H", count & 0xFFFF), b"\xdd" + struct.pack(">I", count))
    return heads[(count > 15) + (count > 0xFFFF)] + b"".join(entry.encode() for entry in entries)


def read_entries(data: bytes) -> list[StoredEntry]:
    """Read an array of entries in its one form, whose names ascend."""
    value = decode(data)
    require(many(ENTRY, ascending=True)(value), "entries are malformed, or their names out of order")
    entries = [StoredEntry(*entry) for entry in value]
    require(encode_entries(entries) == data, "entries are not in their one form")
    return entries


# Caps and links.


def encode_cap(cap: str) -> bytes:
    """Give a cap's packed form."""
    if match := IMMUTABLE.fullmatch(cap):
        size = int(match[4])
        require(size < NUMBER_LIMIT, "a size is out of bounds")
        head = b"C" if match[1] == "CHK" else b"D"
        return head + unbase32(match[2]) + unbase32(match[3]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    for head, prefix in ((b"L", "URI:LIT:"), (b"M", "URI:DIR2-LIT:")):
        if cap.startswith(prefix):
            return head + unbase32(cap.removeprefix(prefix))
    return b"T" + cap.encode()


def decode_cap(encoded: bytes) -> str:
    """Give the cap that a packed form stands for, and require that it is its one form."""
    head, rest = encoded[:1], encoded[1:]
    if head in {b"C", b"D"}:
        require(len(rest) >= 48, "a packed cap is cut off")
        kind, size = "CHK" if head == b"C" else "DIR2-CHK", int.from_bytes(rest[48:], "big")
        cap = f"URI:{kind}:{base32(rest[:16])}:{base32(rest[16:48])}:1:1:{size}"
    elif head in {b"L", b"M"}:
        cap = f"URI:{'LIT' if head == b'L' else 'DIR2-LIT'}:{base32(rest)}"
    else:
        cap = rest.decode(errors="replace")
    require(encode_cap(cap) == encoded, "a packed cap is not in its one form")
    return cap


def attenuate(write_cap: str) -> str:
    """Give a mutable write cap's read cap."""
    match = matched(MUTABLE, write_cap, "no write cap")
    require(not match[2], "no write cap")
    read_key = tahoe_hash("allmydata_mutable_writekey_to_readkey_v1", unbase32(match[3]))
    return f"URI:{match[1]}-RO:{base32(read_key)}:{match[4]}"


class Link(NamedTuple):
    """What stands in links: a kind, a storage index (empty for a chunk), and h, or a slot's fingerprint."""

    kind: int
    storage_index: bytes
    digest: bytes


def _immutable_link(kind: str, index: bytes, digest: bytes, size: int) -> Link:
    if kind == "DIR2-CHK":
        return Link(DIRECTORY, index, digest[:16])
    return Link(LIST, index, digest[:16]) if size > SINGLE_CHUNK_BYTES_MAX else Link(CHUNK, b"", digest[:16])


def link_of(cap: str) -> Link | None:
    """Give the link to what a read cap names, if it names anything in a vault."""
    if match := IMMUTABLE.fullmatch(cap):
        return _immutable_link(match[1], storage_index(unbase32(match[2])), unbase32(match[3]), int(match[4]))
    if (match := MUTABLE.fullmatch(cap)) and match[2]:
        return Link(SLOT, tahoe_hash("allmydata_mutable_readkey_to_storage_index_v1", unbase32(match[3])), unbase32(match[4]))
    return None


def verify_link_of(cap: str) -> Link:
    """Give the link to what a verify cap names; there are none of these in links."""
    match = matched(VERIFY, cap, "no verify cap")
    require((match[4] is not None) == match[1].endswith("CHK"), "no verify cap")
    if match[4] is None:
        return Link(SLOT, unbase32(match[2]), unbase32(match[3]))
    return _immutable_link(match[1], unbase32(match[2]), unbase32(match[3]), int(match[4]))


def join_links(links: Iterable[Link]) -> bytes:
    """Write links as they are stored."""
    return b"".join(bytes((link.kind - 1,)) + link.storage_index + link.digest for link in links)


def split_links(data: bytes, *, is_padded: bool = False) -> list[Link]:
    """Read links as they are stored; those of an object are followed by bytes FF."""
    links, place = [], 0
    while place < len(data):
        if is_padded and data[place] == 0xFF:
            require(not data[place:].strip(b"\xff"), "links are followed by something else than padding")
            break
        require(data[place] <= 3, "links are wrong")
        start, end = ((1, 17), (17, 33), (17, 33), (17, 49))[data[place]]
        require(len(data) >= place + end, "links are cut off")
        links.append(Link(data[place] + 1, data[place + 1 : place + start], data[place + start : place + end]))
        place += end
    return links


def links_of_entries(entries: list[StoredEntry]) -> list[Link]:
    """Give the links that entries make."""
    return [link for entry in entries if (link := link_of(decode_cap(entry.packed_cap)))]


class Child(NamedTuple):
    """A node's child; its reference is K ‖ X, or empty for a hole."""

    first_name: bytes
    reference: bytes
    size: int


def node_children(kind: int, content: bytes) -> list[Child]:
    """Read a node of a list, or of a directory's tree."""
    require(1 <= content[0] <= LEVEL_MAX, "a node has an impossible level")
    shape = array(octets(0, 48), number(1)) if kind == LIST else array(octets(), octets(48), number(1))
    children = [Child(*child) if kind == DIRECTORY else Child(b"", *child) for child in unpack(content[1:], many(shape))]
    require(children, "a node without children")
    for child in children:
        if not child.reference:
            require(content[0] == 1, "a hole above level 1")
        elif kind == LIST and content[0] == 1:
            require(child.size <= CHUNK_BYTES_MAX, "a chunk that is too long")
    return children


def links_of(kind: int, content: bytes) -> list[Link]:
    """Give the links that an object's content makes."""
    if kind == CHUNK:
        return []
    require(content, "an empty object")
    if kind == DIRECTORY and content[0] == 0:
        entries = read_entries(content[1:])
        require(all(entry.sealed_write_cap is None for entry in entries), "a write cap in an immutable directory")
        return links_of_entries(entries)
    references = [child.reference for child in node_children(kind, content) if child.reference]
    if kind == LIST and content[0] == 1:
        return [Link(CHUNK, b"", reference[16:32]) for reference in references]
    return [Link(kind, storage_index(reference[:16]), reference[16:32]) for reference in references]


def is_cut(two_bytes: bytes) -> bool:
    """Tell whether two bytes, as an integer, have their lowest nine bits 0; no bytes count as 0."""
    return int.from_bytes(two_bytes, "big") & 511 == 0
