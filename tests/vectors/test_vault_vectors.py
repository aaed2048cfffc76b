"""Pinned values of the vault's format. `python tests/vectors/test_vault_vectors.py` writes them anew, for a new format only."""

import json
import os
import tempfile
from pathlib import Path
from typing import TypeAlias

import pytest
from blake3 import blake3

from tallac.backends.memory import MemoryBackend
from tallac.caps import ImmutableDirectory, LiteralFile, MutableDirectoryWrite, storage_index_of
from tallac.crypto.hashing import hash_file_bytes
from tallac.dag import Entry, Metadata, SnapshotFacts, SnapshotRules, encode_table
from tallac.testing.determinism import FakeClock
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, decode_body
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.objects import (
    Kind,
    Stored,
    cap_hash_of,
    commitment_of,
    object_name_of,
    open_content,
    open_links,
    read_key_of,
    seal_content,
    seal_links,
)
from tallac.vault.format.tables import TableDirectoryBuilder
from tallac.vault.index.index_objects import IndexStore, index_path
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.sessions import RegisteredSession
from tallac.vault.mutable.slots import Slots, fingerprint_of, signing_key_of
from tallac.vault.packs.pack import OpenPack, pack_path, read_footer
from tallac.vault.writing.chunker import Cutter

VECTORS = Path(__file__).with_name("vault.json")
WRITER = WriterKey(bytes(range(32)))
MIB = 1 << 20
Vectors: TypeAlias = "dict[str, Vectors | str | int | list[int] | list[str]]"


def stream(seed: str, size: int) -> bytes:
    """Give the first bytes of BLAKE3's extended output for a text: what any language can make again."""
    return blake3(seed.encode()).digest(length=size)


class Nonces:
    """Randomness that is BLAKE3's extended output."""

    def __init__(self, seed: str) -> None:
        self._hasher = blake3(seed.encode())
        self._place = 0

    def __call__(self, size: int) -> bytes:
        """Give the next bytes."""
        self._place += size
        return self._hasher.digest(length=size, seek=self._place - size)


def keys() -> Vectors:
    """Derive all keys, from the writer key that is the bytes 0 to 31."""
    keeper, locator = WRITER.keeper_key, WRITER.locator_key
    return {
        "writer key": WRITER.danger_whole_text(),
        "keeper key": keeper.danger_whole_text(),
        "locator key": locator.danger_whole_text(),
        "convergence": WRITER.convergence.hex(),
        "chunker seed": str(WRITER.chunker_seed),
        "table cut": WRITER.table_cut.hex(),
        "roots": keeper.roots.hex(),
        "naming": locator.naming.hex(),
        "frame": locator.structure_key.hex(),
    }


def objects() -> Vectors:
    """Seal one object of each kind: content and links are the first 100 and 49 bytes of the streams with their names."""
    found: Vectors = {}
    for kind in Kind:
        content = stream(f"{kind.name} content", 100)
        links = b"" if kind is Kind.CHUNK else stream(f"{kind.name} links", 49)
        key = read_key_of(WRITER.convergence, kind, hash_file_bytes(content))
        index = storage_index_of(key)
        commitment = commitment_of(kind, key, hash_file_bytes(content))
        nonces = Nonces(f"{kind.name} nonces")
        sealed, is_compressed = seal_content(kind, key, index, content, Codec(), nonces)
        assert not is_compressed
        found[kind.name] = {
            "read key": key.hex(),
            "storage index": index.hex(),
            "name": object_name_of(WRITER.locator_key.naming, index).hex(),
            "commitment": commitment.hex(),
            "cap hash": cap_hash_of(commitment, links).hex(),
            "sealed content": sealed.hex(),
            "sealed links": seal_links(kind, index, commitment, links, nonces).hex() if links else "",
        }
    return found


def cut_content() -> bytes:
    """Give 16 MiB with a hole and a run of zeros that is too short to be one."""
    return stream("cut 1", 6 * MIB) + bytes(2 * MIB) + stream("cut 2", 5 * MIB) + bytes(MIB // 2) + stream("cut 3", 5 * MIB // 2)


def cuts() -> Vectors:
    """Cut that content."""
    with tempfile.TemporaryFile() as file:
        file.write(cut_content())
        file.flush()
        chunks = list(Cutter(WRITER.chunker_seed).cut(file.fileno(), 16 * MIB))
    return {
        "content": hash_file_bytes(cut_content()).hex(),
        "lengths": [chunk.length for chunk in chunks],
        "holes": [number for number, chunk in enumerate(chunks) if chunk.is_hole],
    }


def pack() -> Vectors:
    """Write a pack of three objects; names, contents and links are streams."""
    backend, nonces = MemoryBackend(), Nonces("pack nonces")
    opened = OpenPack(backend.upload())
    for number in range(3):
        links = stream(f"links {number}", 60) if number == 2 else b""
        name, content = stream(f"name {number}", 16), stream(f"content {number}", 50 + 13 * number)
        opened.append(name, content, links, is_compressed=number == 1)
    finished = opened.finish(WRITER.locator_key.structure_key, Codec(), nonces)
    opened.upload.commit(pack_path(finished.name))
    return {"name": finished.name.hex(), "body": finished.body.hex(), "pack": backend.get(pack_path(finished.name)).hex()}


def slot_entries() -> list[Entry]:
    """Give a slot's entries: a file, and a mutable directory with its write cap."""
    below = stream("below", 16)
    cap = MutableDirectoryWrite(below, fingerprint_of(signing_key_of(below).public))
    return [
        Entry.of(stream("file name", 20), LiteralFile(stream("file", 50)), Metadata(mode=0o100644)),
        Entry.of(b"\xff mutable", cap),
    ]


def slot() -> Vectors:
    """Store a slot's second state."""
    backend, nonces = MemoryBackend(), Nonces("slot nonces")
    slots = Slots(backend, WRITER.locator_key, NoMemory(), nonces)
    write_key = stream("slot", 16)
    cap = MutableDirectoryWrite(write_key, fingerprint_of(signing_key_of(write_key).public))
    slots.create(cap, WRITER.keeper_key)
    slots.edit(cap, lambda _: slot_entries())
    path = slots.path_of(cap.storage_index)
    return {"cap": cap.danger_whole_text(), "path": path, "slot": backend.get(path).hex()}


def register() -> Vectors:
    """Store the second state of the register of roots."""
    backend, nonces = MemoryBackend(), Nonces("register nonces")
    roots = Register(backend, "roots", WRITER.keeper_key.roots, NoMemory(), nonces)
    for number in range(2):
        roots.swap(lambda text, number=number: (text or b"") + stream(f"root {number}", 48))  # type: ignore[misc]
    return {"register": backend.get("registers/roots").hex()}


def directory() -> Vectors:
    """Store a directory of 4,000 entries; give its cap, and the lengths of its objects."""
    lengths: list[int] = []

    def store(kind: Kind, content: bytes, links: bytes) -> Stored:
        lengths.append(len(content))
        key = read_key_of(WRITER.convergence, kind, hash_file_bytes(content))
        return Stored(key, cap_hash_of(commitment_of(kind, key, hash_file_bytes(content)), links))

    builder = TableDirectoryBuilder(WRITER.table_cut, store)
    for number in range(4_000):
        metadata = Metadata(
            mode=0o100600, uid=1000, mtime=(number, 999_999_999), xattrs=((b"user.x", b"y"),) if number % 100 == 0 else ()
        )
        builder.add(Entry(b"%05d" % number, b"L" + stream(f"{number}", number % 56), metadata))
    cap = builder.finish()
    assert isinstance(cap, ImmutableDirectory)
    return {"cap": cap.danger_whole_text(), "lengths": lengths}


def left_out() -> Vectors:
    """Encode a table that says what was left out, in all ways."""
    rules = SnapshotRules(
        patterns=((b"*.o", False), (b"/\xff", True)),
        ignore_file=None,
        markers=((b"TAG", b"Sig"),),
        size_max=0,
        one_file_system=True,
    )
    entries = [
        Entry(b"a", b"M", Metadata(missing=(b"one", b"\xff"), snapshot=SnapshotFacts(host="h", rules=rules))),
        Entry(b"b", b"M", Metadata(partial=True, snapshot=SnapshotFacts(rules=SnapshotRules(is_cut=True)))),
        Entry(b"c", b"M", Metadata(mode=0o040700, mounted=True)),
    ]
    return {"table": encode_table(entries).hex()}


def index() -> Vectors:
    """Store an index object of two packs whose bodies are streams."""
    backend = MemoryBackend()
    packs = [FinishedPack(stream(f"pack {number}", 32), 1000 + number, stream(f"body {number}", 90)) for number in range(2)]
    name = IndexStore(backend, WRITER.locator_key.structure_key, Nonces("index nonces")).put(packs)
    return {"name": name.hex(), "index": backend.get(index_path(name)).hex()}


def session() -> Vectors:
    """Store a committing session, begun one second after 1970."""
    backend = MemoryBackend()
    registered = RegisteredSession.register(backend, WRITER.keeper_key.roots, Nonces("session nonces"), FakeClock(1_000_000_000))
    registered.commit(stream("session links", 49))
    return {"path": registered.path, "session": backend.get(registered.path).hex()}


PARTS = {
    "keys": keys,
    "objects": objects,
    "cuts": cuts,
    "pack": pack,
    "slot": slot,
    "register": register,
    "directory": directory,
    "left out": left_out,
    "index": index,
    "session": session,
}


def pinned() -> Vectors:
    """Read the vectors."""
    read: Vectors = json.loads(VECTORS.read_text("utf-8"))
    return read


def text_in(vectors: Vectors, *path: str) -> str:
    """Look up a text."""
    for name in path[:-1]:
        below = vectors[name]
        assert isinstance(below, dict)
        vectors = below
    text = vectors[path[-1]]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("part", PARTS)
def test_the_format_stays(part: str) -> None:
    """What is derived and stored today is, byte for byte, what was pinned."""
    assert PARTS[part]() == pinned()[part]


def test_the_pinned_objects_open() -> None:
    """Pinned objects open with their keys, to what they were made of."""
    vectors = pinned()
    for kind in Kind:
        key, index, sealed, links, cap_hash = (
            bytes.fromhex(text_in(vectors, "objects", kind.name, name))
            for name in ("read key", "storage index", "sealed content", "sealed links", "cap hash")
        )
        content = open_content(kind, key, index, sealed, is_compressed=False, size_max=100, codec=Codec())
        assert content == stream(f"{kind.name} content", 100)
        if links:
            assert open_links(kind, index, cap_hash, links) == stream(f"{kind.name} links", 49)


def test_the_pinned_pack_is_read() -> None:
    """The pinned pack's footer lists the objects, and they are where it says."""
    vectors = pinned()
    name, whole = bytes.fromhex(text_in(vectors, "pack", "name")), bytes.fromhex(text_in(vectors, "pack", "pack"))
    backend = MemoryBackend({pack_path(name): whole})
    footer = read_footer(backend, name, len(whole), WRITER.locator_key.structure_key, Codec())
    for number, stored in enumerate(decode_body(footer.body)):
        assert stored.name == stream(f"name {number}", 16)
        assert whole[stored.offset : stored.offset + stored.length] == stream(f"content {number}", 50 + 13 * number)
        assert stored.is_compressed == (number == 1)
        assert stored.links_length == (60 if number == 2 else 0)


def test_the_pinned_slot_is_read() -> None:
    """The pinned slot gives its entries, write caps included, to who has its write cap."""
    vectors = pinned()
    backend = MemoryBackend({text_in(vectors, "slot", "path"): bytes.fromhex(text_in(vectors, "slot", "slot"))})
    write_key = stream("slot", 16)
    cap = MutableDirectoryWrite(write_key, fingerprint_of(signing_key_of(write_key).public))
    assert cap.danger_whole_text() == text_in(vectors, "slot", "cap")
    entries, state = Slots(backend, WRITER.locator_key, NoMemory(), os.urandom).entries(cap.read_cap, cap)
    assert entries == slot_entries()
    assert state.number == 2


if __name__ == "__main__":
    VECTORS.write_text(json.dumps({name: make() for name, make in PARTS.items()}, indent=1) + "\n", "utf-8")
