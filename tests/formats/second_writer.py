"""Write a vault's bytes, from docs/format.md alone: what the second reader is tried on, and what hostile tests are made of.

Nothing is checked here, so that whatever the page forbids can be written too.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import ormsgpack
from argon2.low_level import ARGON2_VERSION, Type, hash_secret_raw
from Crypto.Cipher import AES
from Crypto.Signature import eddsa
from tests.formats.second_hash import hashed
from tests.formats.second_reader import stored_hash
from tests.formats.second_values import (
    CHUNK,
    DIRECTORY,
    LIST,
    Child,
    Link,
    StoredEntry,
    V,
    attenuate,
    base32,
    derived,
    encode_cap,
    encode_entries,
    join_links,
    key_text,
    keyed,
    link_of,
    links_of,
    links_of_entries,
    padded_size,
    public_key,
    rounded_size,
    storage_index,
    tahoe_hash,
)
from tests.formats.second_zstd import zstd

Randomness = Callable[[int], bytes]
WRITER, KEEPER = 1, 2
NO_STATE = bytes(32)


def stream(seed: str) -> Randomness:
    """Give randomness that any language can make again: H of the seed and of a counter, one after the other."""
    taken = 0
    kept = b""

    def take(size: int) -> bytes:
        nonlocal taken, kept
        while len(kept) < size:
            kept += hashed(seed.encode() + struct.pack(">Q", taken))
            taken += 1
        part, kept = kept[:size], kept[size:]
        return part

    return take


def gcm(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Seal by AES-256-GCM."""
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=16)
    cipher.update(associated)
    sealed, tag = cipher.encrypt_and_digest(plain)
    return bytes(sealed) + bytes(tag)


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign by Ed25519."""
    signature: bytes = eddsa.new(eddsa.import_private_key(seed), "rfc8032").sign(message)
    return signature


def compress(content: bytes, *, declares: bool = True) -> bytes:
    """Compress into one zstd frame, which declares the content's size unless told otherwise."""
    return zstd.compress(content, options={zstd.CompressionParameter.content_size_flag: int(declares)})


def pad(content: bytes, extra: int, *, compressed: bool = False) -> bytes:
    """Pad as the page says."""
    stored = compress(content) if compressed else content
    padded = struct.pack(">BII", compressed, len(content), len(stored)) + stored
    return padded + bytes(padded_size(len(padded) + extra) - len(padded) - extra)


class Sealed(NamedTuple):
    """An object as it is stored, and what names it."""

    kind: int
    read_key: bytes
    digest: bytes
    name: bytes
    content: bytes
    links: bytes

    @property
    def h(self) -> bytes:
        """Give the half of X that commits to the stored bytes."""
        return self.digest[:16]

    def cap(self, size: int) -> str:
        """Give a read cap of this and a size."""
        return f"URI:{'DIR2-' * (self.kind == DIRECTORY)}CHK:{base32(self.read_key)}:{base32(self.digest)}:1:1:{size}"

    def child(self, size: int, first_name: bytes = b"") -> Child:
        """Give this as a node's child."""
        return Child(first_name, self.read_key + self.digest, size)


class Packed(NamedTuple):
    """A whole pack, and its footer's body."""

    name: bytes
    pack: bytes
    body: bytes


class SecondWriter:
    """Makes all that a vault consists of, from a writer key and a source of randomness.

    Attributes:
        objects: The vault: names and bytes, as far as they were put there.
    """

    def __init__(self, writer_key: bytes, randomness: Randomness) -> None:
        self._random = randomness
        self._keys = {"writer": writer_key, "keeper": derived(writer_key, "keeper key")}
        self._keys["locator"] = derived(self._keys["keeper"], "locator key")
        self.structure_key = derived(self._keys["locator"], "structure")
        self.naming_key = derived(self._keys["locator"], "object names")
        self.roots_key = derived(self._keys["keeper"], "roots")
        self._seeds = [derived(self._keys[kind], "signer") for kind in ("writer", "keeper")]
        self.signers = [public_key(seed) for seed in self._seeds]
        self.id = keyed("tallac vault 2 id", *self.signers)[:16]
        self.objects: dict[str, bytes] = {}
        self.objects["header"] = self.objects["header.copy"] = self.header()

    def key(self, kind: str) -> str:
        """Give a vault key as text."""
        return key_text(kind, self._keys[kind], self.id)

    def header(self) -> bytes:
        """Make the header."""
        lines = f"tallac vault\nformat 2\nid {self.id.hex()}\nwriter {self.signers[0].hex()}\nkeeper {self.signers[1].hex()}\n"
        lines += f"locator {derived(self._keys['locator'], 'check')[:16].hex()}\n"
        lines += f"signature {sign(self._seeds[0], lines.encode()).hex()}\n"
        return f"{lines}check {hashed(lines.encode()).hex()[:16]}\n".encode()

    def seal(self, key: bytes, associated: bytes, plain: bytes) -> bytes:
        """Seal with a salt."""
        salt = self._random(24)
        return salt + gcm(keyed(key, b"tallac vault 2 seal", salt), bytes(12), plain, associated)

    def stamp(self, message: bytes, signer: int = WRITER) -> bytes:
        """Stamp as either signer."""
        return bytes((signer,)) + sign(self._seeds[signer - 1], message)

    # Objects.

    def object(
        self,
        kind: int,
        content: bytes,
        links: bytes | None = None,
        *,
        compressed: bool = False,
        claimed: bytes | None = None,
        frame: bytes | None = None,
    ) -> Sealed:
        """Seal an object.

        Args:
            kind: As the page says.
            content: Likewise.
            links: Others than those that its content makes.
            compressed: Whether its content is compressed.
            claimed: Another content, for whose names it is sealed.
            frame: What stands for the compressed content.
        """
        compressed = compressed or frame is not None
        q, plain_hash = bytes((kind,)) + V, hashed(content if claimed is None else claimed)
        key = keyed(derived(self._keys["writer"], "convergence"), q, plain_hash)[:16]
        index = storage_index(key)
        z = (frame or compress(content)) + b"\x02" if compressed else content + b"\x01"
        secret = keyed("tallac vault 2 content key", q, key, length=64)
        nonce = keyed(secret[32:], z if compressed else hashed(content) + b"\x01")[:12]
        z = z.ljust(rounded_size(28 + len(z)) - 28, b"\0")
        sealed = nonce + gcm(secret[:32], nonce, z, q + index)
        sealed_links = b""
        if kind != CHUNK:
            links = join_links(links_of(kind, content)) if links is None else links
            sealed_links = seal_links(kind, index, links)
        commitment = keyed("tallac vault 2 content commitment", q, key, plain_hash)[:16]
        h = stored_hash(kind, sealed, sealed_links)
        return Sealed(kind, key, h + commitment, keyed(self.naming_key, index)[:16], sealed, sealed_links)

    def node(self, kind: int, level: int, children: Iterable[Child], *, compressed: bool = False) -> Sealed:
        """Seal a node of a list or of a directory's tree."""
        rows = [list(child[1:]) if kind == LIST else list(child) for child in children]
        return self.object(kind, bytes((level,)) + ormsgpack.packb(rows), compressed=compressed)

    def table(self, entries: list[StoredEntry], *, compressed: bool = False) -> tuple[Sealed, str]:
        """Seal a directory of one table; give its cap as well."""
        content = b"\0" + encode_entries(entries)
        sealed = self.object(DIRECTORY, content, compressed=compressed)
        return sealed, sealed.cap(len(content))

    def pack(self, objects: list[Sealed], *, signer: int = WRITER) -> Packed:
        """Put objects into a pack, and the pack into the vault."""
        stored = b"".join(each.content + each.links for each in objects)
        body = pack_body([(each.name, each.h, len(each.content), len(each.links)) for each in objects])
        root = hashed(stored)
        stamp = self.stamp(b"footer" + V + self.id + root + body, signer)
        footer = self.seal(self.structure_key, b"footer" + V, pad(root + stamp + body, len(stored) + 88))
        pack = stored + footer + self.seal(self.structure_key, b"trailer" + V, struct.pack(">Q", len(footer)))
        self.objects[f"packs/{hashed(pack).hex()}"] = pack
        return Packed(hashed(pack), pack, body)

    def index(self, packs: Iterable[Packed], *, signer: int = WRITER) -> bytes:
        """Put an index object into the vault; give its name."""
        sealed = self.index_object(packs, signer=signer)
        self.objects[f"index/{hashed(sealed).hex()}"] = sealed
        return hashed(sealed)

    def index_object(self, packs: Iterable[Packed], *, signer: int = WRITER) -> bytes:
        """Make an index object."""
        rows = b"".join(pack.name + struct.pack(">QI", len(pack.pack), len(pack.body)) + pack.body for pack in packs)
        stamp = self.stamp(b"index" + V + self.id + rows, signer)
        return self.seal(self.structure_key, b"index" + V, pad(stamp + rows, 40))

    def damage(self, pack: Packed, left: bytes) -> None:
        """Move a pack to the damaged ones, with what is left of it."""
        path = f"damaged/{pack.name.hex()}"
        self.objects[path], self.objects[f"{path}.index"] = left, self.index_object([pack], signer=KEEPER)
        self.objects.pop(f"packs/{pack.name.hex()}", None)

    # What changes.

    def register(
        self,
        name: str,
        text: bytes,
        *,
        number: int = 1,
        predecessor: bytes = NO_STATE,
        signer: int = WRITER,
        compressed: bool = False,
    ) -> None:
        """Put a register's state into the vault."""
        state = struct.pack(">Q", number) + predecessor
        stamp = self.stamp(b"register" + V + self.id + name.encode() + b"\0" + state + text, signer)
        key = self.structure_key if name in {"index", "settings"} else self.roots_key
        plain = pad(state + stamp + text, 40, compressed=compressed)
        self.objects[f"registers/{name}"] = self.seal(key, b"register" + V + name.encode(), plain)

    def mutable_cap(self, write_key: bytes, kind: str = "DIR2") -> str:
        """Give the write cap that follows from a write key."""
        public = public_key(keyed("tallac vault 2 slot signing seed", write_key))
        return f"URI:{kind}:{base32(write_key)}:{base32(keyed('tallac vault 2 slot fingerprint', public))}"

    def slot(
        self,
        write_key: bytes,
        entries: list[StoredEntry],
        *,
        number: int = 1,
        predecessor: bytes = NO_STATE,
        links: bytes | None = None,
    ) -> Link:
        """Put a slot's state into the vault; give the link to it."""
        link = link_of(attenuate(self.mutable_cap(write_key)))
        assert link
        read_key = tahoe_read_key(write_key)
        s, seed = b"slot" + V, keyed("tallac vault 2 slot signing seed", write_key)
        links = join_links(links_of_entries(entries)) if links is None else links
        state: list[Any] = [
            number,
            predecessor,
            public_key(seed),
            self.seal(self.roots_key, s, link.storage_index + link.digest),
            self.seal(keyed("tallac vault 2 slot content key", read_key), s, pad(encode_entries(entries), 0)),
            self.seal(keyed("tallac vault 2 slot links key", link.storage_index), s, links),
        ]
        state.append(sign(seed, s + link.storage_index + ormsgpack.packb(state)))
        name = f"slots/{keyed(self.naming_key, link.storage_index)[:16].hex()}"
        self.objects[name] = self.seal(self.structure_key, s + name.encode(), pad(ormsgpack.packb(state), 40))
        return link

    def sealed_write_cap(self, write_key: bytes, write_cap: str) -> bytes:
        """Seal an entry's write cap for who has the directory's."""
        return self.seal(keyed("tallac vault 2 slot write caps key", write_key), b"slot" + V, write_cap.encode())

    def session(self, name: str, state: str, started_ns: int, client: str, links: bytes, *, signer: int = WRITER) -> None:
        """Put a session into the vault."""
        name = f"sessions/{name}"
        stamp = self.stamp(b"session" + V + self.id + ormsgpack.packb([name, state, started_ns, client, links]), signer)
        plain = pad(ormsgpack.packb([state, started_ns, client, links, stamp]), 40)
        self.objects[name] = self.seal(self.roots_key, b"session" + V + name.encode(), plain)

    # Section 12.

    def passphrase(
        self, name: str, envelope_key: bytes, passphrase: str, label: str, set_ns: int, *, signer: int | None = WRITER
    ) -> None:
        """Put a passphrase that leads to an envelope into the vault, with a stamp or without."""
        name, salt = f"passphrases/{name}", self._random(16)
        password = unicodedata.normalize("NFC", passphrase).encode()
        stretched = hash_secret_raw(password, salt, 1, 64, 1, 32, Type.ID, ARGON2_VERSION)
        place = V + self.id + name.encode()
        fields = [
            "argon2id",
            64,
            1,
            1,
            salt,
            keyed("tallac vault 2 passphrase commitment", stretched),
            self.seal(keyed("tallac vault 2 passphrase key", stretched), b"passphrase" + place, envelope_key),
            self.seal(
                derived(envelope_key, "passphrase label"),
                b"label" + place,
                struct.pack(">Q", set_ns) + label.encode().ljust(200, b"\0"),
            ),
        ]
        if signer is not None:
            fields.append(self.stamp(b"passphrase" + V + self.id + ormsgpack.packb([name, *fields]), signer))
        body = ormsgpack.packb(fields)
        self.objects[name] = self.objects[f"{name}.copy"] = body + hashed(body)[:16]

    def envelope(self, envelope_key: bytes, vault_key: str, aliases: list[tuple[str, str]]) -> None:
        """Put a user's envelope into the vault."""
        name = f"envelopes/{derived(envelope_key, 'envelope name')[:16].hex()}"
        plain = pad(ormsgpack.packb([vault_key, [list(alias) for alias in aliases]]), 56)
        body = self.seal(derived(envelope_key, "envelope"), b"envelope" + V + self.id + name.encode(), plain)
        self.objects[name] = self.objects[f"{name}.copy"] = body + hashed(body)[:16]


def seal_links(kind: int, index: bytes, links: bytes) -> bytes:
    """Seal the links of a list or a directory object."""
    q = bytes((kind,)) + V
    secret = keyed("tallac vault 2 links key", q, index, length=64)
    nonce = keyed(secret[32:], links)[:12]
    return nonce + gcm(secret[:32], nonce, links.ljust(rounded_size(28 + len(links)) - 28, b"\xff"), q + index)


def pack_body(objects: list[tuple[bytes, bytes, int, int]]) -> bytes:
    """Give a footer's body: of each object N, h, and the lengths of its sealed content and its sealed links."""
    has_links = any(links for _, _, _, links in objects)
    columns = list(zip(*objects, strict=True)) or [(), (), (), ()]
    body = struct.pack(">IB", len(objects), has_links) + b"".join((*columns[0], *columns[1]))
    body += struct.pack(f">{len(objects)}I", *columns[2])
    return body + (struct.pack(f">{len(objects)}I", *columns[3]) if has_links else b"")


def pending_deletion(since: int, pack: bytes, offsets: list[int], *, is_decided: bool = False) -> bytes:
    """Give an entry of the pending deletions."""
    return struct.pack(">QB32sI", since, is_decided, pack, len(offsets)) + struct.pack(f">{len(offsets)}I", *offsets)


def tahoe_read_key(write_key: bytes) -> bytes:
    """Give R of W."""
    return tahoe_hash("allmydata_mutable_writekey_to_readkey_v1", write_key)


def entry(name: bytes, cap: str, metadata: dict[str, Any] | None = None, sealed_write_cap: bytes | None = None) -> StoredEntry:
    """Give an entry as it is stored."""
    return StoredEntry(name, encode_cap(cap), metadata or {}, sealed_write_cap)
