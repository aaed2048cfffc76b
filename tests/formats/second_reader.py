"""Read a vault in a folder, written from docs/format.md alone: the proof that the page suffices.

Nothing here is imported from Tallac, and nothing is fast. Whatever deviates from the page is a `FormatError`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

V = b"\x01"
CHUNK, LIST, DIRECTORY, SLOT = 1, 2, 3, 4
CHUNK_BYTES_MAX, OBJECT_BYTES_MAX = 4 << 20, 64 << 20
LITERAL_BYTES_MAX, SINGLE_CHUNK_BYTES_MAX = 55, 524_288
BLOCK_BYTES, HOLE_BLOCKS_MIN = 65_536, 16
NODE_CHILDREN_MIN, NODE_CHILDREN_MAX, TABLE_BYTES_MIN, TABLE_BYTES_MAX = 128, 4096, 32_768, 524_288
IMMUTABLE = re.compile(r"URI:(CHK|DIR2-CHK):([a-z2-7]{26}):([a-z2-7]{52}):1:1:(0|[1-9][0-9]*)")
MUTABLE = re.compile(r"URI:(DIR2|SSK|DIR2-MDMF|MDMF)(-RO)?:([a-z2-7]{26}):([a-z2-7]{52})")
T = TypeVar("T")


class FormatError(Exception):
    """Tell that something is missing, or is not as the page says."""


class Rules(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Hold by which rules a snapshot left files out."""

    p: list[tuple[bytes, bool]] = []
    i: bytes | None = b".tallacignore"
    m: list[tuple[bytes, bytes]] = []
    z: int | None = None
    x: bool = False
    c: bool = False


class Facts(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Hold what an entry in `Archives` says of its snapshot."""

    h: str = ""
    u: str = ""
    s: list[bytes] = []
    b: int = 0
    e: int = 0
    f: int = 0
    d: int = 0
    n: int = 0
    a: int = 0
    x: int = 0
    t: list[str] = []
    v: str = ""
    r: Rules | None = None


class Metadata(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Hold an entry's metadata; encoding it again gives its one form."""

    m: int | None = None
    u: int | None = None
    g: int | None = None
    U: str | None = None
    G: str | None = None
    t: tuple[int, int] | None = None
    c: tuple[int, int] | None = None
    i: int | None = None
    d: int | None = None
    l: int = 1  # noqa: E741 (the page's name)
    k: bytes | None = None
    r: tuple[int, int] | None = None
    x: list[tuple[bytes, bytes]] = []
    f: int = 0
    h: list[tuple[int, int]] = []
    w: bool = False
    M: list[bytes] = []
    P: bool = False
    N: bool = False
    S: Facts | None = None
    o: dict[str, Any] | None = None


StoredEntry = tuple[bytes, bytes, Metadata, bytes | None]


@dataclass(frozen=True)
class Entry:
    """A named child: its read cap as text, and its write cap where the directory's own write cap was given."""

    name: bytes
    cap: str
    metadata: Metadata
    write_cap: str | None = None


class Link(NamedTuple):
    """What stands in links: a kind, a storage index, and the cap's hash or a slot's fingerprint (none for a chunk)."""

    kind: int
    storage_index: bytes
    digest: bytes


class Place(NamedTuple):
    """Where a copy of an object lies in a pack."""

    pack: bytes
    start: int
    is_compressed: bool
    content_length: int
    links_length: int


class Register(NamedTuple):
    """The state of a register."""

    number: int
    predecessor: bytes
    text: bytes


class Slot(NamedTuple):
    """The state of a slot, its content and links still sealed."""

    number: int
    predecessor: bytes
    public_key: bytes
    root: bytes
    content: bytes
    links: bytes
    signature: bytes


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


def keyed(key: bytes | str, *parts: bytes) -> bytes:
    """Give H(key, parts), where a key written as text stands for its hash."""
    return blake3(b"".join(parts), key=blake3(key.encode()).digest() if isinstance(key, str) else key).digest()


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


def unseal(key: bytes, associated: bytes, sealed: bytes) -> bytes:
    """Open a seal."""
    require(len(sealed) >= 28, "a seal is too short")
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], associated)
    except InvalidTag:
        raise FormatError("a seal does not open") from None


def unzstd(frame: bytes, size_max: int) -> bytes:
    """Decompress exactly one frame that declares its content size."""
    try:
        size = zstandard.frame_content_size(frame)
        require(0 <= size <= size_max, "a frame declares no size, or too much")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False) if size else b""
    except zstandard.ZstdError as error:
        raise FormatError(f"a frame is damaged: {error}") from None


def padded_size(size: int) -> int:
    """Give the padded size of a size above 1."""
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


def unpad(data: bytes, extra: int) -> bytes:
    """Undo `pad(x, extra)`, and check the padding."""
    require(len(data) >= 9, "padding is too short")
    form, size, stored_size = struct.unpack_from(">BII", data)
    require(form <= 1 and max(size, stored_size) <= OBJECT_BYTES_MAX and 9 + stored_size <= len(data), "padding is wrong")
    require(not data[9 + stored_size :].strip(b"\0"), "padding is not zero")
    require(len(data) + extra == padded_size(9 + stored_size + extra), "padding has the wrong length")
    stored = data[9 : 9 + stored_size]
    value = unzstd(stored, OBJECT_BYTES_MAX) if form else stored
    require(len(value) == size, "padding holds a wrong length")
    return value


def unpack(data: bytes, shape: type[T]) -> T:
    """Decode MessagePack that has the given shape and its shortest form."""
    try:
        value = msgspec.msgpack.decode(data, type=shape)
    except msgspec.DecodeError as error:
        raise FormatError(f"wrong MessagePack: {error}") from None
    require(msgspec.msgpack.encode(value) == data, "MessagePack is not in its one form")
    return value


def encode_cap(cap: str) -> bytes:
    """Give a cap's packed form."""
    if match := IMMUTABLE.fullmatch(cap):
        size = int(match[4])
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


def link_of(cap: str) -> Link | None:
    """Give the link to what a read cap names, if it names anything in the vault."""
    if match := IMMUTABLE.fullmatch(cap):
        index, digest = storage_index(unbase32(match[2])), unbase32(match[3])
        if match[1] == "DIR2-CHK":
            return Link(DIRECTORY, index, digest)
        return Link(LIST, index, digest) if int(match[4]) > SINGLE_CHUNK_BYTES_MAX else Link(CHUNK, index, b"")
    if (match := MUTABLE.fullmatch(cap)) and match[2]:
        return Link(SLOT, tahoe_hash("allmydata_mutable_readkey_to_storage_index_v1", unbase32(match[3])), unbase32(match[4]))
    return None


def join_links(links: list[Link]) -> bytes:
    """Write links as they are stored."""
    return b"".join(bytes((link.kind - 1,)) + link.storage_index + link.digest for link in links)


def split_links(data: bytes) -> list[Link]:
    """Read links as they are stored."""
    links = []
    while data:
        end = 17 if data[0] == 0 else 49
        require(data[0] <= 3 and len(data) >= end, "links are wrong")
        links.append(Link(data[0] + 1, data[1:17], data[17:end]))
        data = data[end:]
    return links


def read_key(text: str) -> tuple[str, bytes]:
    """Read a key's text: its kind and its 32 bytes."""
    match = matched("tallac-(writer|keeper|locator)-1:([a-z2-7]+)", text, "no key")
    data = unbase32(match[2])
    require(len(data) == 35 and blake3(match[1].encode() + data[:32]).digest()[:3] == data[32:], "a key has a typing error")
    return match[1], data[:32]


class Vault:
    """Read a vault's folder with a writer, keeper or locator key; what the key does not give is refused with FormatError."""

    def __init__(self, folder: Path, key_text: str) -> None:
        self._folder = folder
        self._keys = dict([read_key(key_text)])
        for source, purpose, name in (
            ("writer", "convergence", "convergence secret"),
            ("writer", "chunker seed", "chunker seed"),
            ("writer", "table cut", "table cut key"),
            ("writer", "keeper key", "keeper"),
            ("keeper", "roots", "roots key"),
            ("keeper", "locator key", "locator"),
            ("locator", "object names", "naming key"),
            ("locator", "frame", "frame key"),
        ):
            if source in self._keys:
                self._keys[name] = keyed(self._keys[source], b"tallac vault 1 ", purpose.encode())
        self.id = self._header()
        self._packs: dict[bytes, bytes] = {}
        self._bodies: dict[bytes, bytes] = {}
        self.was_rebuilt = False
        try:
            self._read_index()
        except FormatError:
            self.was_rebuilt = True
            self._bodies = {bytes.fromhex(path.name): b"" for path in self._names("packs")}
            self._bodies = {pack: self._footer(pack) for pack in self._bodies}
        self.places: dict[bytes, list[Place]] = {}
        for pack, body in self._bodies.items():
            for object_name, place in read_body(pack, body):
                self.places.setdefault(object_name, []).append(place)

    def key(self, name: str) -> bytes:
        """Give a key of the page's table, if the key at hand yields it."""
        require(name in self._keys, f"the {name} does not follow from this key")
        return self._keys[name]

    def _names(self, folder: str) -> list[Path]:
        digits = 64 if folder in {"packs", "index"} else 32
        return sorted(path for path in (self._folder / folder).glob("*") if re.fullmatch(f"[0-9a-f]{{{digits}}}", path.name))

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise FormatError(f"{name} can't be read: {error}") from None

    def _header(self) -> str:
        failure = FormatError("no header")
        for name in ("header", "header.copy"):
            try:
                text = self._read(name).decode("latin-1")
                match = matched(
                    r"(tallac vault\nformat ([1-9][0-9]*)\n(?:.*\n)*)check ([0-9a-f]{16})\n", text, "a header is damaged"
                )
                require(blake3(match[1].encode("latin-1")).hexdigest()[:16] == match[3], "a header is damaged")
            except FormatError as error:
                failure = error
                continue
            require(match[2] == "1", "a newer format")
            return matched(r"tallac vault\nformat 1\nid ([0-9a-f]{32})\n", match[1], "a header of format 1 has other lines")[1]
        raise failure

    def register(self, name: str) -> Register:
        """Read a register."""
        sealed = self._read(f"registers/{name}")
        key = self.key("frame key" if name == "index" else "roots key")
        data = unpad(unseal(key, b"register" + V + name.encode(), sealed), 28)
        require(len(data) >= 40, "a register is too short")
        register = Register(int.from_bytes(data[:8], "big"), data[8:40], data[40:])
        require(
            register.number >= 1 and (register.number == 1) == (register.predecessor == bytes(32)), "a register's number is wrong"
        )
        if name == "quarantine":
            self._read_quarantine(register.text)
        else:
            require(len(register.text) % {"roots": 48, "index": 32}[name] == 0, "a register's text is cut off")
        return register

    def _read_quarantine(self, text: bytes) -> None:
        packs = []
        while text:
            require(len(text) >= 45, "the quarantine is cut off")
            since, is_decided, count = int.from_bytes(text[:8], "big"), text[8], int.from_bytes(text[41:45], "big")
            offsets = [int.from_bytes(text[45 + 4 * n : 49 + 4 * n], "big") for n in range(count)]
            require(since >= 1 and is_decided <= 1 and len(text) >= 45 + 4 * count, "the quarantine is malformed")
            require(offsets == sorted(set(offsets)), "offsets in the quarantine are out of order")
            packs.append(text[9:41])
            text = text[45 + 4 * count :]
        require(packs == sorted(set(packs)), "the quarantine is out of order")

    # The index and packs.

    def _read_index(self) -> None:
        text = self.register("index").text
        for name in (text[start : start + 32] for start in range(0, len(text), 32)):
            sealed = self._read(f"index/{name.hex()}")
            require(blake3(sealed).digest() == name, "an index object is damaged")
            data = unpad(unseal(self.key("frame key"), b"index" + V, sealed), 28)
            while data:
                require(len(data) >= 44, "an index object is cut off")
                _, body_length = struct.unpack_from(">QI", data, 32)
                require(len(data) >= 44 + body_length, "an index object is cut off")
                self._bodies[data[:32]] = data[44 : 44 + body_length]
                data = data[44 + body_length :]

    def _pack(self, name: bytes) -> bytes:
        if name not in self._packs:
            data = self._read(f"packs/{name.hex()}")
            require(blake3(data).digest() == name, "a pack is damaged")
            self._packs[name] = data
        return self._packs[name]

    def _footer(self, name: bytes) -> bytes:
        """Read a pack's footer's body, and check it against the pack."""
        pack = self._pack(name)
        footer_length = int.from_bytes(unseal(self.key("frame key"), b"trailer" + V, pack[-36:]), "big")
        require(footer_length <= len(pack) - 36, "a footer is longer than its pack")
        objects_length = len(pack) - 36 - footer_length
        body = unpad(unseal(self.key("frame key"), b"footer" + V, pack[objects_length:-36]), objects_length + 28 + 36)
        lengths = [place.content_length + place.links_length for _, place in read_body(name, body)]
        require(sum(lengths) == objects_length, "a pack has gaps")
        return body

    def check_packs(self) -> None:
        """Check every pack that the index knows: its hash, its padding, and that its footer says what the index says."""
        for name, body in self._bodies.items():
            require(self._footer(name) == body, "a footer and the index disagree")

    # Objects.

    def _copies(self, index: bytes, use: Callable[[Place, bytes], T]) -> T:
        """Use the first copy of an object that is good."""
        failure = FormatError("an object is missing")
        for place in self.places.get(keyed(self.key("naming key"), index)[:16], []):
            try:
                end = place.start + place.content_length + place.links_length
                return use(place, self._pack(place.pack)[place.start : end])
            except FormatError as error:
                failure = error
        raise failure

    def links(self, link: Link) -> bytes:
        """Give an object's links as a verifier can: with the storage index alone."""
        q = bytes((link.kind,)) + V

        def use(place: Place, data: bytes) -> bytes:
            if link.kind == CHUNK:
                require(not place.links_length, "a chunk has links")
                return b""
            key = keyed("tallac vault 1 links key", q, link.storage_index)
            opened = unseal(key, q + link.storage_index, data[place.content_length :])
            require(len(opened) >= 32 and keyed("tallac vault 1 cap hash", opened) == link.digest, "links do not fit the cap")
            return opened[32:]

        return self._copies(link.storage_index, use)

    def content(self, kind: int, key: bytes, digest: bytes) -> bytes:
        """Open an object, and check all that its read key and hash say of it."""
        q, index = bytes((kind,)) + V, storage_index(key)
        size_max = CHUNK_BYTES_MAX if kind == CHUNK else OBJECT_BYTES_MAX

        def use(place: Place, data: bytes) -> bytes:
            opened = unseal(keyed("tallac vault 1 content key", q, key), q + index, data[: place.content_length])
            content = unzstd(opened, size_max) if place.is_compressed else opened
            require(len(content) <= size_max, "an object is too long")
            plain_hash = blake3(content).digest()
            links = join_links(links_of(kind, content))
            commitment = keyed("tallac vault 1 content commitment", q, key, plain_hash)
            require(keyed("tallac vault 1 cap hash", commitment, links) == digest, "a content does not fit its cap")
            require(self.links(Link(kind, index, digest)) == links, "the sealed links are others")
            if "writer" in self._keys:
                require(keyed(self.key("convergence secret"), q, plain_hash)[:16] == key, "a read key is not convergent")
            return content

        return self._copies(index, use)

    # Files.

    def chunks(self, cap: str) -> Iterator[tuple[int, bytes | None]]:
        """Yield a file's pieces in order: their sizes, and their bytes or None for a hole."""
        if cap.startswith("URI:LIT:"):
            data = unbase32(cap.removeprefix("URI:LIT:"))
            yield len(data), data
            return
        match = matched(IMMUTABLE, cap, "no file's cap")
        require(match[1] == "CHK", "no file's cap")
        key, digest, size = unbase32(match[2]), unbase32(match[3]), int(match[4])
        require(size > LITERAL_BYTES_MAX, "a small file is no literal")
        if size <= SINGLE_CHUNK_BYTES_MAX:
            content = self.content(CHUNK, key, digest)
            require(len(content) == size, "a chunk has a wrong size")
            yield size, content
            return
        position, was_hole = 0, False
        for child, _, _ in self._leaves(LIST, None, Child(b"", key + digest, size), last=True):
            chunk = self.content(CHUNK, child.reference[:16], child.reference[16:]) if child.reference else None
            end = position + child.size
            if chunk is None:
                require(child.size > (HOLE_BLOCKS_MIN - 1) * BLOCK_BYTES and not was_hole, "a hole is too short")
                require(position % BLOCK_BYTES == 0 and (end == size or end % BLOCK_BYTES == 0), "a hole lies askew")
            else:
                require(len(chunk) == child.size, "a piece has a wrong size")
            position, was_hole = end, chunk is None
            yield child.size, chunk

    def _leaves(self, kind: int, level: int | None, node: Child, *, last: bool) -> Iterator[tuple[Child, bytes, bool]]:
        """Walk a tree: yield each leaf, its content where it is a table, and whether it is the last of all."""
        content = self.content(kind, node.reference[:16], node.reference[16:])
        is_root, level = level is None, content[0] if level is None else level
        require(content[0] == level, "a node has a wrong level")
        if kind == DIRECTORY:
            require(is_root or first_name(content) == node.first_name, "a node names a wrong first name")
            if level == 0:
                require(len(content) == node.size, "a table has a wrong size")
                yield node, content, last
                return
        children = node_children(kind, content)
        require(children and sum(child.size for child in children) == node.size, "sizes do not add up")
        require(len(children) > 1 or not is_root or (kind == LIST and level == 1), "a node is one too many")
        ends = [count >= NODE_CHILDREN_MIN and is_cut(child.reference[-2:]) for count, child in enumerate(children, 1)]
        require(len(children) <= NODE_CHILDREN_MAX and not any(ends[:-1]), "a node ends too late")
        require(last or ends[-1] or len(children) == NODE_CHILDREN_MAX, "a node ends too early")
        for child in children:
            child_last = last and child is children[-1]
            if kind == LIST and level == 1:
                yield child, b"", child_last
            else:
                require(child.reference, "a hole above level 1")
                yield from self._leaves(kind, level - 1, child, last=child_last)

    # Directories.

    def directory(self, cap: str) -> list[Entry]:
        """Read a directory, immutable or mutable."""
        if cap.startswith("URI:DIR2-LIT:"):
            return literal_entries(unbase32(cap.removeprefix("URI:DIR2-LIT:")))
        if cap.startswith(("URI:DIR2:", "URI:DIR2-RO:")):
            return self._mutable(cap)
        match = matched(IMMUTABLE, cap, "no directory's cap")
        require(match[1] == "DIR2-CHK", "no directory's cap")
        root = Child(b"", unbase32(match[2]) + unbase32(match[3]), int(match[4]))
        stored: list[StoredEntry] = []
        for _, content, last in self._leaves(DIRECTORY, None, root, last=True):
            table = unpack(content[1:], list[StoredEntry])
            self._check_cut(table, last=last)
            stored += table
        require(stored and all(entry[3] is None for entry in stored), "an empty object, or a write cap in an immutable directory")
        return [Entry(name, decode_cap(encoded), metadata) for name, encoded, metadata, _ in in_order(stored)]

    def _check_cut(self, table: list[StoredEntry], *, last: bool) -> None:
        """Check that a table ends where the writer key says, if we have it."""
        if "writer" not in self._keys:
            return
        size, ends = 0, []
        for entry in table:
            size += len(msgspec.msgpack.encode(entry))
            is_name_cut = is_cut(keyed(self.key("table cut key"), entry[0])[:2])
            ends.append((size >= TABLE_BYTES_MIN and is_name_cut) or size >= TABLE_BYTES_MAX)
        require(not any(ends[:-1]) and (last or ends[-1]), "a table ends in the wrong place")

    # Slots.

    def slot(self, link: Link) -> Slot:
        """Read a slot as a verifier can, and check its fingerprint and its signature; and its root, if we have a keeper key."""
        name = "slots/" + keyed(self.key("naming key"), link.storage_index)[:16].hex()
        s = b"slot" + V
        slot = unpack(unpad(unseal(self.key("frame key"), s + name.encode(), self._read(name)), 28), Slot)
        require(slot.number >= 1 and len(slot.predecessor) == 32, "a slot's number or predecessor is wrong")
        require((slot.number == 1) == (slot.predecessor == bytes(32)), "a slot's number does not fit its predecessor")
        require(keyed("tallac vault 1 slot fingerprint", slot.public_key) == link.digest, "a slot has another's public key")
        signed = s + link.storage_index + msgspec.msgpack.encode(slot[:-1])
        try:
            Ed25519PublicKey.from_public_bytes(slot.public_key).verify(slot.signature, signed)
        except InvalidSignature:
            raise FormatError("a slot's signature is wrong") from None
        if "keeper" in self._keys:
            require(unseal(self.key("roots key"), s, slot.root) == link.storage_index + link.digest, "a slot names another root")
        return slot

    def slot_links(self, link: Link) -> bytes:
        """Give a slot's links as a verifier can."""
        return unseal(keyed("tallac vault 1 slot links key", link.storage_index), b"slot" + V, self.slot(link).links)

    def _mutable(self, cap: str) -> list[Entry]:
        match = matched(MUTABLE, cap, "no mutable directory's cap")
        write_key = None if match[2] else unbase32(match[3])
        read_cap = attenuate(cap) if write_key else cap
        read_key, link = unbase32(read_cap.split(":")[2]), link_of(read_cap)
        assert link
        if write_key:
            seed = keyed("tallac vault 1 slot signing seed", write_key)
            public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            require(keyed("tallac vault 1 slot fingerprint", public) == link.digest, "a write cap's fingerprint is wrong")
        content = unpad(unseal(keyed("tallac vault 1 slot content key", read_key), b"slot" + V, self.slot(link).content), 0)
        stored = in_order(unpack(content, list[StoredEntry]))
        require(self.slot_links(link) == join_links(links_of_entries(stored)), "a slot's links do not follow from its entries")
        entries = []
        for name, encoded, metadata, sealed in stored:
            write_cap = None
            if write_key and sealed is not None:
                write_cap = unseal(keyed("tallac vault 1 slot write caps key", write_key), b"slot" + V, sealed).decode()
                require(attenuate(write_cap) == decode_cap(encoded), "an entry's write cap does not give its read cap")
            entries.append(Entry(name, decode_cap(encoded), metadata, write_cap))
        return entries

    # What a keeper sees.

    def roots(self) -> list[Link]:
        """Give the links to all slots, from the register."""
        text = self.register("roots").text
        return [Link(SLOT, text[start : start + 16], text[start + 16 : start + 48]) for start in range(0, len(text), 48)]

    def walk(self) -> set[Link]:
        """Follow links from the roots to everything, checking each; give all that was met."""
        met: set[Link] = set()
        waiting = self.roots()
        while waiting:
            link = waiting.pop()
            if link not in met:
                met.add(link)
                waiting += split_links(self.slot_links(link) if link.kind == SLOT else self.links(link))
        return met

    def sessions(self) -> list[tuple[str, int, list[Link]]]:
        """Give the sessions under way: state, start in nanoseconds, links."""
        found = []
        for path in self._names("sessions"):
            associated = b"session" + V + f"sessions/{path.name}".encode()
            data = unpad(unseal(self.key("roots key"), associated, path.read_bytes()), 28)
            state, started, links = unpack(data, tuple[str, int, bytes])
            require(state in {"open", "committing", "fenced"}, "a session has an unknown state")
            found.append((state, started, split_links(links)))
        return found


class Child(NamedTuple):
    """A node's child; its reference is K ‖ X, or empty for a hole."""

    first_name: bytes
    reference: bytes
    size: int


def read_body(pack: bytes, body: bytes) -> Iterator[tuple[bytes, Place]]:
    """Read what a footer's body says: each object's name and place."""
    require(len(body) >= 5, "a footer is too short")
    count, has_links = struct.unpack_from(">IB", body)
    require(has_links <= 1 and len(body) == 5 + count * (24 if has_links else 20), "a footer has a wrong length")
    lengths = struct.unpack_from(f">{count}I", body, 5 + 16 * count)
    links_lengths = struct.unpack_from(f">{count}I", body, 5 + 20 * count) if has_links else (0,) * count
    start = 0
    for number, (length, links_length) in enumerate(zip(lengths, links_lengths, strict=True)):
        content_length = length & 0x7FFFFFFF
        yield body[5 + 16 * number : 21 + 16 * number], Place(pack, start, bool(length >> 31), content_length, links_length)
        start += content_length + links_length


def is_cut(two_bytes: bytes) -> bool:
    """Tell whether two bytes, as an integer, have their lowest nine bits 0; no bytes count as 0."""
    return int.from_bytes(two_bytes, "big") & 511 == 0


def node_children(kind: int, content: bytes) -> list[Child]:
    """Read a node of a list, or of a directory's tree."""
    if kind == LIST:
        children = [Child(b"", reference, size) for reference, size in unpack(content[1:], list[tuple[bytes, int]])]
    else:
        children = [Child(*child) for child in unpack(content[1:], list[tuple[bytes, bytes, int]])]
    lengths = {0, 48} if kind == LIST else {48}
    require(all(len(child.reference) in lengths and child.size > 0 for child in children), "a node's child is wrong")
    return children


def first_name(content: bytes) -> bytes:
    """Give the first name in a table, or below a node of a directory."""
    if content[0] == 0:
        return unpack(content[1:], list[StoredEntry])[0][0]
    return node_children(DIRECTORY, content)[0].first_name


def links_of_entries(entries: list[StoredEntry]) -> list[Link]:
    """Give the links that entries make."""
    return [link for entry in entries if (link := link_of(decode_cap(entry[1])))]


def links_of(kind: int, content: bytes) -> list[Link]:
    """Give the links that an object's content makes."""
    if kind == CHUNK:
        return []
    require(content, "an empty object")
    if kind == DIRECTORY and content[0] == 0:
        return links_of_entries(unpack(content[1:], list[StoredEntry]))
    below = CHUNK if kind == LIST and content[0] == 1 else kind
    children = [child for child in node_children(kind, content) if child.reference]
    return [Link(below, storage_index(child.reference[:16]), child.reference[16:] if below != CHUNK else b"") for child in children]


def netstrings(data: bytes) -> list[bytes]:
    """Take netstrings apart."""
    found = []
    while data:
        length, colon, rest = data.partition(b":")
        require(colon and length.isdigit() and rest[int(length) : int(length) + 1] == b",", "no netstring")
        found.append(rest[: int(length)])
        data = rest[int(length) + 1 :]
    return found


def literal_entries(table: bytes) -> list[Entry]:
    """Read the table of a directory that lies in its cap. What its JSON says is Tahoe-LAFS's affair."""
    entries = []
    for name, cap, write_cap, _ in map(netstrings, netstrings(table)):
        require(name and not write_cap, "no entry of a literal directory")
        entries.append(Entry(name, cap.decode(), Metadata()))
    return entries


def in_order(entries: list[StoredEntry]) -> list[StoredEntry]:
    """Require what holds for a directory's entries, and give them."""
    names = [entry[0] for entry in entries]
    require(all(names) and names == sorted(set(names)), "names are empty, out of order or double")
    for _, _, metadata, _ in entries:
        attributes = [name for name, _ in metadata.x]
        require(attributes == sorted(set(attributes)), "extended attributes are out of order")
        require(sorted(set(metadata.M)) == metadata.M, "names of what is missing are out of order")
        require(metadata.S is None or metadata.S.r != Rules(), "rules that are as they always are")
        require(all(0 <= time[1] < 10**9 for time in (metadata.t, metadata.c) if time), "a time has wrong nanoseconds")
        require(list(metadata.o or {}) == sorted(metadata.o or {}), "other tools' keys are out of order")
    return entries
