"""Read a vault, written from docs/format.md alone: the proof that the page suffices.

Nothing here is imported from Tallac, no library is one that Tallac reads with, and nothing is fast. Whatever deviates from the page
is a `FormatError`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ormsgpack
from tests.formats.second_hash import hashed
from tests.formats.second_values import (
    BLOCK_BYTES,
    CHUNK,
    CHUNK_BYTES_MAX,
    DIRECTORY,
    FACTS,
    HOLE_BLOCKS_MIN,
    IMMUTABLE,
    LIST,
    LITERAL_BYTES_MAX,
    METADATA,
    MUTABLE,
    MUTABLE_FILE_NAME,
    NODE_CHILDREN_MAX,
    NODE_CHILDREN_MIN,
    NUMBER_LIMIT,
    OBJECT_BYTES_MAX,
    SINGLE_CHUNK_BYTES_MAX,
    SLOT,
    TABLE_BYTES_MAX,
    TABLE_BYTES_MIN,
    Child,
    FormatError,
    Link,
    StoredEntry,
    V,
    array,
    attenuate,
    decode_cap,
    derived,
    gcm_open,
    is_cut,
    is_signed,
    join_links,
    keyed,
    link_of,
    links_of,
    links_of_entries,
    matched,
    node_children,
    number,
    octets,
    padded_size,
    public_key,
    read_entries,
    read_key,
    require,
    rounded_size,
    split_links,
    storage_index,
    text,
    unbase32,
    unpack,
    unpad,
    unseal,
    unzstd,
)

HEADER = re.compile(
    r"(?P<signed>tallac vault\nformat 2\nid (?P<id>[0-9a-f]{32})\nwriter (?P<writer>[0-9a-f]{64})\n"
    r"keeper (?P<keeper>[0-9a-f]{64})\nlocator (?P<locator>[0-9a-f]{32})\n)signature (?P<signature>[0-9a-f]{128})\n"
)


@dataclass(frozen=True)
class Entry:
    """A named child: its read cap, its metadata with all defaults, and its write cap where the directory's own was given."""

    name: bytes
    cap: str
    metadata: dict[str, Any]
    write_cap: str | None = None


class Place(NamedTuple):
    """Where a copy of an object lies in a pack."""

    path: str
    name: bytes
    h: bytes
    start: int
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


class Session(NamedTuple):
    """A session under way."""

    state: str
    started_ns: int
    client: str
    links: list[Link]


SLOT_SHAPE = array(number(1), octets(32), octets(32), octets(), octets(), octets(), octets(64))
SESSION_SHAPE = array(text, number(), lambda client: text(client) and len(client.encode()) <= 64, octets(), octets(65))


class Folder(Mapping[str, bytes]):
    """A folder as a vault's named byte strings, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> bytes:
        try:
            return (self._path / name).read_bytes()
        except OSError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return (self._path / str(name)).is_file()

    def __iter__(self) -> Iterator[str]:
        return (path.relative_to(self._path).as_posix() for path in sorted(self._path.rglob("*")) if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)


class OtherFormatError(FormatError):
    """Tell that a whole header names another format, so that nothing else is to be interpreted."""


@dataclass(frozen=True)
class Header:
    """What a header says, its proof included."""

    id: bytes
    signers: tuple[bytes, bytes]
    check: bytes


def read_header(objects: Mapping[str, bytes]) -> Header:
    """Read either header, and check that its id follows from its signers and that the writer's signer has signed it."""
    failure = FormatError("no header")
    for name in ("header", "header.copy"):
        try:
            require(name in objects, f"{name} is missing")
            lines = objects[name].decode("latin-1")
            whole = matched(r"(tallac vault\nformat ([1-9][0-9]*)\n(?:.*\n)*)check ([0-9a-f]{16})\n", lines, "a header is damaged")
            require(hashed(whole[1].encode("latin-1")).hex()[:16] == whole[3], "a header is damaged")
            if whole[2] != "2":
                raise OtherFormatError(f"format {whole[2]}")
            match = matched(HEADER, whole[1], "a header of format 2 has other lines")
            signers = bytes.fromhex(match["writer"]), bytes.fromhex(match["keeper"])
            require(keyed("tallac vault 2 id", *signers)[:16].hex() == match["id"], "an id that does not follow from its signers")
            signature = bytes.fromhex(match["signature"])
            require(is_signed(signers[0], match["signed"].encode(), signature), "a header's signature is wrong")
            return Header(bytes.fromhex(match["id"]), signers, bytes.fromhex(match["locator"]))
        except OtherFormatError:
            raise
        except FormatError as error:
            failure = error
    raise failure


class Vault:
    """Read a vault with a writer, keeper or locator key; what the key does not give is refused with FormatError."""

    def __init__(self, objects: Mapping[str, bytes], key: str) -> None:
        self._objects = objects
        self.header = read_header(objects)
        self._keys = self._prove(*read_key(key))
        self._loaded: dict[str, bytes] = {}
        self._bodies: dict[bytes, bytes] = {}
        self.was_rebuilt = False
        self.passed_over: list[str] = []
        try:
            self._bodies = self._read_index()
        except FormatError:
            self.was_rebuilt = True
            for name in self.names("packs"):
                with self._passing_over(f"packs/{name}"):
                    self._bodies[bytes.fromhex(name)] = self._footer(f"packs/{name}")
        self.places: dict[bytes, list[Place]] = {}
        for pack, body in self._bodies.items():
            self._add_places(f"packs/{pack.hex()}", body)
        for name in (name for name in objects if re.fullmatch(r"damaged/[0-9a-f]{64}\.index", name)):
            with self._passing_over(name):
                for pack, _, body in self._entries(objects[name]):
                    require(name == f"damaged/{pack.hex()}.index", "an entry of another pack")
                    self._add_places(name.removesuffix(".index"), body)

    def _prove(self, kind: str, key: bytes, vault_id: bytes) -> dict[str, bytes]:
        """Derive all keys, and require that they belong to the vault."""
        require(vault_id == self.header.id, "a key names another vault")
        require(kind != "envelope", "an envelope key reads no vault")
        keys = {kind: key}
        for source, purpose, name in (
            ("writer", "convergence", "convergence secret"),
            ("writer", "chunker seed", "chunker seed"),
            ("writer", "table cut", "table cut key"),
            ("writer", "signer", "writer's signer"),
            ("writer", "keeper key", "keeper"),
            ("keeper", "signer", "keeper's signer"),
            ("keeper", "roots", "roots key"),
            ("keeper", "locator key", "locator"),
            ("locator", "check", "check"),
            ("locator", "object names", "naming key"),
            ("locator", "structure", "structure key"),
        ):
            if source in keys:
                keys[name] = derived(keys[source], purpose)
        for name, public in zip(("writer's signer", "keeper's signer"), self.header.signers, strict=True):
            require(name not in keys or public_key(keys[name]) == public, f"a key whose {name} is not the vault's")
        require(keys["check"][:16] == self.header.check, "a locator key that is not the vault's")
        return keys

    def _passing_over(self, name: str) -> PassingOver:
        return PassingOver(self.passed_over, name)

    def key(self, name: str) -> bytes:
        """Give a key of the page's table, if the key at hand yields it."""
        require(name in self._keys, f"the {name} does not follow from this key")
        return self._keys[name]

    def names(self, folder: str) -> list[str]:
        """List what the page knows in one of the vault's folders."""
        digits = 64 if folder in {"packs", "index"} else 32
        pattern = re.compile(f"{folder}/([0-9a-f]{{{digits}}})")
        return sorted(match[1] for name in self._objects if (match := pattern.fullmatch(name)))

    def _read(self, name: str) -> bytes:
        require(name in self._objects, f"{name} is missing")
        return self._objects[name]

    def check_stamp(self, stamp: bytes, message: bytes) -> None:
        """Require that one of the vault's signers stamped this."""
        require(len(stamp) == 65 and stamp[0] in {1, 2}, "no stamp")
        require(is_signed(self.header.signers[stamp[0] - 1], message, stamp[1:]), "a stamp of nobody who may")

    def register(self, name: str) -> Register:
        """Read a register."""
        key = self.key("structure key" if name in {"index", "settings"} else "roots key")
        data = unpad(unseal(key, b"register" + V + name.encode(), self._read(f"registers/{name}")), 40)
        require(len(data) >= 105, "a register is too short")
        message = b"register" + V + self.header.id + name.encode() + b"\0" + data[:40] + data[105:]
        self.check_stamp(data[40:105], message)
        register = Register(int.from_bytes(data[:8], "big"), data[8:40], data[105:])
        require(1 <= register.number < NUMBER_LIMIT, "a register's number is out of bounds")
        require(register.number > 1 or register.predecessor == bytes(32), "a register's first state has a predecessor")
        if name == "quarantine":
            check_pending_deletions(register)
        elif name == "settings":
            check_settings(register.text)
        else:
            require(len(register.text) % {"roots": 48, "index": 32}[name] == 0, "a register's text is cut off")
        return register

    # The index and packs.

    def _read_index(self) -> dict[bytes, bytes]:
        bodies: dict[bytes, bytes] = {}
        text = self.register("index").text
        for name in (text[start : start + 32] for start in range(0, len(text), 32)):
            sealed = self._read(f"index/{name.hex()}")
            require(hashed(sealed) == name, "an index object is damaged")
            bodies |= {pack: body for pack, _, body in self._entries(sealed)}
        return bodies

    def _entries(self, sealed: bytes) -> Iterator[tuple[bytes, int, bytes]]:
        """Open an index object, or the entry of a damaged pack: give packs, their sizes and bodies."""
        data = unpad(unseal(self.key("structure key"), b"index" + V, sealed), 40)
        self.check_stamp(data[:65], b"index" + V + self.header.id + data[65:])
        data = data[65:]
        while data:
            require(len(data) >= 44, "an index object is cut off")
            size, body_length = struct.unpack_from(">QI", data, 32)
            body = data[44 : 44 + body_length]
            require(len(body) == body_length, "an index object is cut off")
            places = read_body("", body)
            require(sum(place.content_length + place.links_length for place in places) < size, "a pack smaller than its objects")
            yield data[:32], size, body
            data = data[44 + body_length :]

    def _load(self, path: str) -> bytes:
        if path not in self._loaded:
            self._loaded[path] = self._read(path)
        return self._loaded[path]

    def _footer(self, path: str) -> bytes:
        """Read a pack's footer's body, and check all that it says of the pack."""
        pack = self._load(path)
        require(hashed(pack).hex() == path.removeprefix("packs/"), "a pack is damaged")
        require(len(pack) == padded_size(len(pack)), "a pack has a size that is not padded")
        footer_length = int.from_bytes(unseal(self.key("structure key"), b"trailer" + V, pack[-48:]), "big")
        require(footer_length <= len(pack) - 48, "a footer is longer than its pack")
        objects_length = len(pack) - 48 - footer_length
        sealed = pack[objects_length:-48]
        data = unpad(unseal(self.key("structure key"), b"footer" + V, sealed), objects_length + 40 + 48)
        require(len(data) >= 97, "a footer is too short")
        self.check_stamp(data[32:97], b"footer" + V + self.header.id + data[:32] + data[97:])
        require(hashed(pack[:objects_length]) == data[:32], "a footer of other objects")
        places = read_body(path, data[97:])
        require(sum(place.content_length + place.links_length for place in places) == objects_length, "a pack has gaps")
        return data[97:]

    def check_packs(self) -> None:
        """Check every pack that the index knows: its hash, its padding, that its footer says what the index says, and each h."""
        for name, body in self._bodies.items():
            path = f"packs/{name.hex()}"
            require(self._footer(path) == body, "a footer and the index disagree")
            for place in read_body(path, body):
                kinds = (LIST, DIRECTORY) if place.links_length else (CHUNK,)
                sealed, links = self._parts(place)
                require(any(stored_hash(kind, sealed, links) == place.h for kind in kinds), "an object is not what its footer says")

    def _add_places(self, path: str, body: bytes) -> None:
        for place in read_body(path, body):
            self.places.setdefault(place.h, []).append(place)

    def _parts(self, place: Place) -> tuple[bytes, bytes]:
        end = place.start + place.content_length
        pack = self._load(place.path)
        return pack[place.start : end], pack[end : end + place.links_length]

    # Objects.

    def verified(self, link: Link) -> tuple[bytes, bytes]:
        """Find a copy whose stored bytes are those that the link commits to: give its sealed content and its sealed links."""
        name = keyed(self.key("naming key"), link.storage_index)[:16] if link.storage_index else None
        for place in self.places.get(link.digest, []):
            if name in {None, place.name} and place.path in self._objects:
                sealed, sealed_links = self._parts(place)
                if stored_hash(link.kind, sealed, sealed_links) == link.digest:
                    return sealed, sealed_links
        raise FormatError("an object is missing, or all its copies are wrong")

    def links(self, link: Link) -> bytes:
        """Give an object's links as a verifier can: with the link alone."""
        _, sealed_links = self.verified(link)
        if link.kind == CHUNK:
            require(not sealed_links, "a chunk has links")
            return b""
        q = bytes((link.kind,)) + V
        secret = keyed("tallac vault 2 links key", q, link.storage_index, length=64)
        opened = gcm_open(secret[:32], sealed_links[:12], sealed_links[12:], q + link.storage_index)
        links = join_links(split_links(opened, is_padded=True))
        require(sealed_links[:12] == keyed(secret[32:], links)[:12], "links have another's nonce")
        require(len(sealed_links) == rounded_size(28 + len(links)), "links have padding of the wrong length")
        return links

    def content(self, kind: int, key: bytes, digest: bytes) -> bytes:
        """Open an object, and check all that its read key and hash say of it."""
        q, index = bytes((kind,)) + V, storage_index(key)
        size_max = CHUNK_BYTES_MAX if kind == CHUNK else OBJECT_BYTES_MAX
        link = Link(kind, index, digest[:16])
        sealed, _ = self.verified(link)
        secret = keyed("tallac vault 2 content key", q, key, length=64)
        z = gcm_open(secret[:32], sealed[:12], sealed[12:], q + index).rstrip(b"\0")
        require(z and z[-1] in {1, 2}, "an object has an unknown method")
        require(len(sealed) == rounded_size(28 + len(z)), "an object has padding of the wrong length")
        content = z[:-1] if z[-1] == 1 else unzstd(z[:-1], size_max)
        require(len(content) <= size_max, "an object is too long")
        plain_hash = hashed(content)
        # Nonces are the writer's duty: no reader has to look at them, but this one does.
        nonce = keyed(secret[32:], plain_hash + b"\x01" if z[-1] == 1 else z)[:12]
        require(sealed[:12] == nonce, "an object has another's nonce")
        require(
            keyed("tallac vault 2 content commitment", q, key, plain_hash)[:16] == digest[16:], "a content does not fit its cap"
        )
        require(self.links(link) == join_links(links_of(kind, content)), "the sealed links are others")
        if "writer" in self._keys:
            require(keyed(self.key("convergence secret"), q, plain_hash)[:16] == key, "a read key is not convergent")
        return content

    # Files.

    def chunks(self, cap: str) -> Iterator[tuple[int, bytes | None]]:
        """Yield a file's chunks in order: their sizes, and their bytes or None for a hole."""
        if cap.startswith("URI:LIT:"):
            data = unbase32(cap.removeprefix("URI:LIT:"))
            yield len(data), data
            return
        if (mutable := MUTABLE.fullmatch(cap)) and mutable[1] in {"SSK", "MDMF"}:
            [entry] = self._mutable(cap, is_file=True)
            yield from self.chunks(entry.cap)
            return
        match = matched(IMMUTABLE, cap, "no file's cap")
        require(match[1] == "CHK", "no file's cap")
        key, digest, size = unbase32(match[2]), unbase32(match[3]), int(match[4])
        require(LITERAL_BYTES_MAX < size < NUMBER_LIMIT, "a small file is no literal, or a size is out of bounds")
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
                require(len(chunk) == child.size, "a chunk has a wrong size")
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
        require(sum(child.size for child in children) == node.size, "sizes do not add up")
        require(len(children) > 1 or not is_root or (kind == LIST and level == 1), "a node is one too many")
        ends = [count >= NODE_CHILDREN_MIN and is_cut(child.reference[-2:]) for count, child in enumerate(children, 1)]
        require(len(children) <= NODE_CHILDREN_MAX and not any(ends[:-1]), "a node ends too late")
        require(last or ends[-1] or len(children) == NODE_CHILDREN_MAX, "a node ends too early")
        for child in children:
            child_last = last and child is children[-1]
            if kind == LIST and level == 1:
                yield child, b"", child_last
            else:
                yield from self._leaves(kind, level - 1, child, last=child_last)

    # Directories.

    def directory(self, cap: str) -> list[Entry]:
        """Read a directory, immutable or mutable."""
        if cap.startswith("URI:DIR2-LIT:"):
            return literal_entries(unbase32(cap.removeprefix("URI:DIR2-LIT:")))
        if MUTABLE.fullmatch(cap):
            return self._mutable(cap, is_file=False)
        match = matched(IMMUTABLE, cap, "no directory's cap")
        require(match[1] == "DIR2-CHK", "no directory's cap")
        root = Child(b"", unbase32(match[2]) + unbase32(match[3]), int(match[4]))
        stored: list[StoredEntry] = []
        for _, content, last in self._leaves(DIRECTORY, None, root, last=True):
            table = read_entries(content[1:])
            require(table and (not stored or stored[-1].name < table[0].name), "an empty table, or tables out of order")
            self._check_cut(table, last=last)
            stored += table
        return [Entry(entry.name, decode_cap(entry.packed_cap), with_defaults(entry.metadata)) for entry in stored]

    def _check_cut(self, table: list[StoredEntry], *, last: bool) -> None:
        """Check that a table ends where the writer key says, if we have it."""
        if "writer" not in self._keys:
            return
        size, ends = 0, []
        for entry in table:
            size += len(entry.encode())
            is_name_cut = is_cut(keyed(self.key("table cut key"), entry.name)[:2])
            ends.append((size >= TABLE_BYTES_MIN and is_name_cut) or size >= TABLE_BYTES_MAX)
        require(not any(ends[:-1]) and (last or ends[-1]), "a table ends in the wrong place")

    # Slots.

    def slot_name(self, link: Link) -> str:
        """Give the name of a slot's object."""
        return "slots/" + keyed(self.key("naming key"), link.storage_index)[:16].hex()

    def slot(self, link: Link) -> Slot:
        """Read a slot as a verifier can, and check its fingerprint and its signature; and its root, if we have a keeper key."""
        name, s = self.slot_name(link), b"slot" + V
        data = unpad(unseal(self.key("structure key"), s + name.encode(), self._read(name)), 40)
        slot = Slot(*unpack(data, SLOT_SHAPE))
        require(slot.number > 1 or slot.predecessor == bytes(32), "a slot's first state has a predecessor")
        require(keyed("tallac vault 2 slot fingerprint", slot.public_key) == link.digest, "a slot has another's public key")
        signed = s + link.storage_index + ormsgpack.packb(list(slot[:-1]))
        require(is_signed(slot.public_key, signed, slot.signature), "a slot's signature is wrong")
        if "keeper" in self._keys:
            require(unseal(self.key("roots key"), s, slot.root) == link.storage_index + link.digest, "a slot names another root")
        return slot

    def slot_links(self, link: Link) -> bytes:
        """Give a slot's links as a verifier can."""
        return unseal(keyed("tallac vault 2 slot links key", link.storage_index), b"slot" + V, self.slot(link).links)

    def _mutable(self, cap: str, *, is_file: bool) -> list[Entry]:
        match = matched(MUTABLE, cap, "no mutable cap")
        require(match[1] in ({"SSK", "MDMF"} if is_file else {"DIR2", "DIR2-MDMF"}), "a cap of another kind")
        write_key = None if match[2] else unbase32(match[3])
        read_cap = attenuate(cap) if write_key else cap
        read_key, link = unbase32(read_cap.split(":")[2]), link_of(read_cap)
        assert link
        if write_key:
            public = public_key(keyed("tallac vault 2 slot signing seed", write_key))
            require(keyed("tallac vault 2 slot fingerprint", public) == link.digest, "a write cap's fingerprint is wrong")
        content = unpad(unseal(keyed("tallac vault 2 slot content key", read_key), b"slot" + V, self.slot(link).content), 0)
        stored = read_entries(content)
        require(self.slot_links(link) == join_links(links_of_entries(stored)), "a slot's links do not follow from its entries")
        if is_file:
            require(len(stored) == 1 and stored[0].name == MUTABLE_FILE_NAME, "a slot that is no mutable file's")
            require(not stored[0].metadata and stored[0].sealed_write_cap is None, "a mutable file with metadata or a write cap")
            require(stored[0].packed_cap[:1] in {b"C", b"L"}, "a mutable file that is no file")
        else:
            require(all(entry.name != MUTABLE_FILE_NAME for entry in stored), "a slot that is no directory's")
        entries = []
        for name, packed, metadata, sealed in stored:
            write_cap = None
            if write_key and sealed is not None:
                write_cap = unseal(keyed("tallac vault 2 slot write caps key", write_key), b"slot" + V, sealed).decode()
                require(attenuate(write_cap) == decode_cap(packed), "an entry's write cap leads elsewhere than its read cap")
            entries.append(Entry(name, decode_cap(packed), with_defaults(metadata), write_cap))
        return entries

    # What a keeper sees.

    def roots(self) -> list[Link]:
        """Give the links to all slots, from the register."""
        text = self.register("roots").text
        return [Link(SLOT, text[start : start + 16], text[start + 16 : start + 48]) for start in range(0, len(text), 48)]

    def walk(self, start: Iterable[Link] | None = None) -> set[Link]:
        """Verify everything below the roots, or below other links, by links alone; give all that was met."""
        met: set[Link] = set()
        waiting = self.roots() if start is None else list(start)
        while waiting:
            link = waiting.pop()
            if link not in met:
                met.add(link)
                waiting += split_links(self.slot_links(link) if link.kind == SLOT else self.links(link))
        return met

    def sessions(self) -> list[Session]:
        """Give the sessions under way; what is none, or has no right stamp, is passed over."""
        found = []
        for name in (f"sessions/{name}" for name in self.names("sessions")):
            with self._passing_over(name):
                data = unpad(unseal(self.key("roots key"), b"session" + V + name.encode(), self._read(name)), 40)
                state, started_ns, client, links, stamp = unpack(data, SESSION_SHAPE)
                stamped = ormsgpack.packb([name, state, started_ns, client, links])
                self.check_stamp(stamp, b"session" + V + self.header.id + stamped)
                require(state in {"open", "committing", "fenced", "kept"}, "a session has an unknown state")
                found.append(Session(state, started_ns, client, split_links(links)))
        return found


class PassingOver:
    """Note what is not as the page says, and go on."""

    def __init__(self, noted: list[str], name: str) -> None:
        self._noted, self._name = noted, name

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _type: type[BaseException] | None, error: BaseException | None, _traceback: object) -> bool:
        if isinstance(error, FormatError):
            self._noted.append(f"{self._name}: {error}")
            return True
        return False


def stored_hash(kind: int, sealed: bytes, sealed_links: bytes) -> bytes:
    """Give h of an object's stored bytes."""
    if kind == CHUNK:
        return keyed("tallac vault 2 stored chunk", sealed)[:16]
    size = len(sealed).to_bytes(4, "big")
    return keyed("tallac vault 2 stored node", bytes((kind,)) + V, size, sealed, sealed_links)[:16]


def read_body(path: str, body: bytes) -> list[Place]:
    """Read what a footer's body says of a pack."""
    require(len(body) >= 5, "a footer is too short")
    count, has_links = struct.unpack_from(">IB", body)
    require(has_links <= 1 and len(body) == 5 + count * (40 if has_links else 36), "a footer has a wrong length")
    lengths = struct.unpack_from(f">{count}I", body, 5 + 32 * count)
    links_lengths = struct.unpack_from(f">{count}I", body, 5 + 36 * count) if has_links else (0,) * count
    require(has_links == any(links_lengths), "a footer with a wrong flag")
    require(all(length < 1 << 31 for length in (*lengths, *links_lengths)), "a length is out of bounds")
    start, places = 0, []
    for place, (length, links_length) in enumerate(zip(lengths, links_lengths, strict=True)):
        name, h = (body[first + 16 * place : first + 16 * place + 16] for first in (5, 5 + 16 * count))
        places.append(Place(path, name, h, start, length, links_length))
        start += length + links_length
    return places


def check_pending_deletions(register: Register) -> None:
    """Check the text of the register `quarantine`."""
    text, packs = register.text, []
    while text:
        require(len(text) >= 45, "the pending deletions are cut off")
        since, is_decided, count = int.from_bytes(text[:8], "big"), text[8], int.from_bytes(text[41:45], "big")
        require(len(text) >= 45 + 4 * count, "the pending deletions are cut off")
        offsets = struct.unpack_from(f">{count}I", text, 45)
        require(1 <= since <= register.number and is_decided <= 1, "a pending deletion is malformed")
        require(list(offsets) == sorted(set(offsets)), "offsets in the pending deletions are out of order")
        packs.append(text[9:41])
        text = text[45 + 4 * count :]
    require(packs == sorted(set(packs)), "the pending deletions are out of order")


def check_settings(encoded: bytes) -> None:
    """Check the text of the register `settings`."""
    settings = unpack(encoded, _is_settings) if encoded else {}
    require(list(settings) == sorted(settings, key=str.encode), "the settings are out of order")


def _is_settings(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for pair in value.items() for each in pair)


def first_name(content: bytes) -> bytes:
    """Give the first name in a table, or below a node of a directory."""
    return read_entries(content[1:])[0].name if content[0] == 0 else node_children(DIRECTORY, content)[0].first_name


def with_defaults(metadata: dict[str, Any]) -> dict[str, Any]:
    """Fill in what is left out where it has its default."""
    found = {key: default for key, (_, default) in METADATA.items()} | metadata
    if found["S"] is not None:
        found["S"] = {key: default for key, (_, default) in FACTS.items()} | found["S"]
    return found


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
        entries.append(Entry(name, cap.decode(), with_defaults({})))
    return entries
