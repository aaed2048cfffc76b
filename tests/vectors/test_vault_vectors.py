"""Pinned bytes of everything that a vault stores. `python -m tests.vectors.test_vault_vectors` writes them, for a new format only.

Keys, contents and randomness are BLAKE3's extended output, which any language can make again. What zstd makes of a content may
differ from version to version: its frames are pinned beside the objects. What Tallac makes here is read by the second reader.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest
from blake3 import blake3
from tests.formats.second_reader import Session as SecondSession, Vault as SecondVault
from tests.formats.second_unlocking import read_passphrase, unlock
from tests.formats.second_values import Link, join_links, links_of

from tallac.backends.memory import MemoryBackend
from tallac.caps import (
    Cap,
    ImmutableDirectory,
    ImmutableFile,
    LiteralFile,
    MutableDirectoryWrite,
    MutableFileWrite,
    parse,
    storage_index_of,
)
from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.passphrases import PassphraseCost
from tallac.dag import Entry, Metadata, SnapshotFacts, SnapshotRules, encode_table
from tallac.interfaces import Buffer
from tallac.testing.determinism import FakeClock
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, decode_body
from tallac.vault.format.header import Header, decode_header, write_header
from tallac.vault.format.keys import EnvelopeKey, WriterKey
from tallac.vault.format.links import links_of_entries
from tallac.vault.format.nodes import NodeRef, encode_node, links_of_children
from tallac.vault.format.objects import (
    Kind,
    Stored,
    commitment_of,
    object_name_of,
    open_content,
    open_links,
    read_key_of,
    seal_content,
    seal_links,
    stored_hash_of,
)
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.format.tables import TableDirectoryBuilder
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.mutable.pending_deletions import PendingPack, encode_pending
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.sessions import RegisteredSession
from tallac.vault.mutable.slot_contents import content_of, file_entry
from tallac.vault.mutable.slots import Slots, fingerprint_of, signing_key_of
from tallac.vault.packs.damaged import DamagedPacks
from tallac.vault.packs.pack import OpenPack, StoredPacks, pack_path
from tallac.vault.vault import open_vault
from tallac.vault.writing.chunker import Cutter

VECTORS = Path(__file__).with_name("vault.json")
WRITER = WriterKey(bytes(range(32)))
KEEPER, LOCATOR = WRITER.keeper_key, WRITER.locator_key
ENVELOPE = EnvelopeKey(bytes(range(32, 64)), WRITER.vault)
STRUCTURE = Structure(WRITER, Signers.of(WRITER))
PASSPHRASE, LABEL = "Paßwort mit ü", "the label"
MIB = 1 << 20
REPEATED = b"compressible " * 5042
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


_COMPRESS = Codec.compress


class PinnedFrames(Codec):
    """Compresses to frames that are pinned, and what has none not at all; or pins those that it makes."""

    def __init__(self, frames: dict[str, str], *, is_pinned: bool = True) -> None:
        super().__init__()
        self.frames = frames
        self._is_pinned = is_pinned

    def compress(self, plain: Buffer) -> bytes | None:
        """Look the content up by its hash."""
        name = hash_file_bytes(plain).hex()
        if not self._is_pinned and (made := _COMPRESS(self, plain)) is not None:
            self.frames[name] = made.hex()
        return bytes.fromhex(self.frames[name]) if name in self.frames else None

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Compress so wherever Tallac does: what seals a register, a slot or an index object makes a codec of its own."""
        Codec.compress = lambda _, plain: self.compress(plain)  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            Codec.compress = _COMPRESS  # type: ignore[method-assign]


class Made(NamedTuple):
    """An object, sealed, and what it was made of."""

    kind: Kind
    content: bytes
    links: bytes
    stored: Stored
    sealed: bytes
    sealed_links: bytes

    def described(self) -> Vectors:
        """Give all that follows from its content."""
        index = storage_index_of(self.stored.key)
        return {
            "kind": self.kind.name,
            "content": self.content.hex() if len(self.content) < 10_000 else "",
            "content hash": hash_file_bytes(self.content).hex(),
            "read key": self.stored.key.hex(),
            "storage index": index.hex(),
            "name": object_name_of(LOCATOR.naming, index).hex(),
            "stored hash": self.stored.hash[:16].hex(),
            "content commitment": self.stored.hash[16:].hex(),
            "sealed content": self.sealed.hex(),
            "links": self.links.hex(),
            "sealed links": self.sealed_links.hex(),
        }


class Sealer:
    """Seals objects as a writer does, and keeps them in the order in which they came."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.made: dict[str, Made] = {}

    def store(self, kind: Kind, content: bytes, links: bytes = b"", name: str = "") -> Stored:
        """Seal an object under its convergent key."""
        plain_hash = hash_file_bytes(content)
        key = read_key_of(WRITER.convergence, kind, plain_hash)
        index = storage_index_of(key)
        sealed = seal_content(kind, key, index, content, plain_hash, self._codec)
        sealed_links = b"" if kind is Kind.CHUNK else seal_links(kind, index, links)
        stored = Stored(key, stored_hash_of(kind, sealed, sealed_links) + commitment_of(kind, key, plain_hash))
        self.made[name or f"{kind.name.lower()} {len(self.made)}"] = Made(kind, content, links, stored, sealed, sealed_links)
        return stored


def keys() -> Vectors:
    """Derive all keys, from the writer key that is the bytes 0 to 31."""
    return {
        "writer key": WRITER.danger_whole_text(),
        "keeper key": KEEPER.danger_whole_text(),
        "locator key": LOCATOR.danger_whole_text(),
        "envelope key": ENVELOPE.danger_whole_text(),
        "id": WRITER.vault.hex(),
        "writer's signer": WRITER.signer.public.hex(),
        "keeper's signer": KEEPER.signer.public.hex(),
        "check": LOCATOR.check.hex(),
        "convergence": WRITER.convergence.hex(),
        "chunker seed": str(WRITER.chunker_seed),
        "table cut": WRITER.table_cut.hex(),
        "roots": KEEPER.roots.hex(),
        "naming": LOCATOR.naming.hex(),
        "structure": LOCATOR.structure_key.hex(),
        "envelope name": ENVELOPE.name,
    }


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


def directory() -> Vectors:
    """Store a directory of 4,000 entries, uncompressed; give its cap, and the lengths of its objects."""
    sealer = Sealer(PinnedFrames({}))
    builder = TableDirectoryBuilder(WRITER.table_cut, sealer.store)
    for number in range(4_000):
        metadata = Metadata(
            mode=0o100600, uid=1000, mtime=(number, 999_999_999), xattrs=((b"user.x", b"y"),) if number % 100 == 0 else ()
        )
        builder.add(Entry(b"%05d" % number, b"L" + stream(f"{number}", number % 56), metadata))
    cap = builder.finish()
    assert isinstance(cap, ImmutableDirectory)
    return {"cap": cap.danger_whole_text(), "lengths": [len(made.content) for made in sealer.made.values()]}


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


def mutable_key(seed: str) -> tuple[bytes, bytes]:
    """Give a write key and its fingerprint."""
    write_key = stream(seed, 16)
    return write_key, fingerprint_of(signing_key_of(write_key).public)


def sealed_objects(codec: Codec) -> tuple[dict[str, Made], dict[str, Cap]]:
    """Seal objects of all kinds and forms; give them and the caps of what they make."""
    sealer = Sealer(codec)
    plain = sealer.store(Kind.CHUNK, stream("plain chunk", 100), name="plain chunk")
    repeated = sealer.store(Kind.CHUNK, REPEATED[:65_536], name="compressed chunk")
    children = [
        NodeRef(b"", repeated.key + repeated.hash, 65_536),
        NodeRef(b"", b"", MIB),
        NodeRef(b"", plain.key + plain.hash, 100),
    ]
    listed = sealer.store(Kind.LIST, encode_node(Kind.LIST, 1, children), links_of_children(Kind.LIST, 1, children), name="list")
    file_write = MutableFileWrite(*mutable_key("mutable file"))
    caps: dict[str, Cap] = {
        "plain chunk": ImmutableFile(plain.key, plain.hash, 1, 1, 100),
        "compressed chunk": ImmutableFile(repeated.key, repeated.hash, 1, 1, 65_536),
        "list": ImmutableFile(listed.key, listed.hash, 1, 1, 65_536 + MIB + 100),
        "mutable file": file_write,
        "mutable directory": MutableDirectoryWrite(*mutable_key("mutable directory")),
    }
    facts = SnapshotFacts(host="host", user="user", sources=(b"/source",), started_ns=1, ended_ns=2, files=3, tags=("tag",))
    entries = [
        Entry.of(b"a literal", LiteralFile(b"literal"), Metadata(mode=0o100644, mtime=(-1, 999_999_999), links=2, inode=1 << 63)),
        Entry.of(
            b"another grid's",
            parse(f"URI:CHK:{'a' * 26}:{'b' * 51}a:3:10:12345"),
            Metadata(other={"b": 1.5, "a": {"d": 1, "c": []}}),
        ),
        Entry.of(b"chunk", caps["plain chunk"], Metadata(mode=0o104755, xattrs=((b"user.\xff", b"\0"),), holes=((0, 4096),))),
        Entry.of(b"link", LiteralFile(b""), Metadata(mode=0o120777, target=b"../\xff")),
        Entry.of(b"list", caps["list"], Metadata(snapshot=facts)),
        Entry.of(b"mutable", file_write.read_cap, Metadata()),
    ]
    content = b"\0" + encode_table(entries)
    table = sealer.store(Kind.DIRECTORY, content, links_of_entries(entries), name="table")
    caps["table"] = ImmutableDirectory(table.key, table.hash, 1, 1, len(content))
    builder = TableDirectoryBuilder(WRITER.table_cut, sealer.store)
    for number in range(2_000):
        builder.add(Entry(b"%05d" % number, b"L" + b"x" * 40))
    caps["large directory"] = builder.finish()
    assert len(sealer.made) >= 7
    return sealer.made, caps


def stored_vault(codec: PinnedFrames) -> tuple[MemoryBackend, dict[str, Made], dict[str, Cap]]:
    """Make a vault that has everything: one object of each name that a vault knows, whole, in use and linked."""
    backend, randomness, clock = MemoryBackend(), Nonces("a whole vault"), FakeClock(1_000_000_000)
    write_header(backend, Header.of(WRITER))
    objects, caps = sealed_objects(codec)
    packs = [put_pack(backend, list(objects.values()), randomness), put_pack(backend, list(objects.values())[:2], randomness)]
    # A second pack, with a copy of the chunks, has been damaged and put out of the way.
    DamagedPacks(backend, STRUCTURE, randomness).put(packs[1].name, packs[1].size, packs[1])
    backend.delete(pack_path(packs[1].name))
    index = IndexStore(backend, STRUCTURE, randomness).put(packs[:1])
    Register(backend, "index", LOCATOR.structure_key, STRUCTURE, NoMemory(), randomness).swap(lambda _: index)
    pending = [PendingPack(packs[1].name, 1, True, None), PendingPack(packs[0].name, 1, False, frozenset({0}))]
    keeper_structure = Structure(KEEPER, Signers.of(WRITER))
    quarantine = Register(backend, "quarantine", KEEPER.roots, keeper_structure, NoMemory(), randomness)
    quarantine.swap(lambda _: encode_pending(pending))
    slots = Slots(backend, LOCATOR, NoMemory(), randomness)
    directory_write, file_write = caps["mutable directory"], caps["mutable file"]
    assert isinstance(directory_write, MutableDirectoryWrite)
    assert isinstance(file_write, MutableFileWrite)
    content = caps["compressed chunk"]
    assert isinstance(content, ImmutableFile)
    slots.create(MutableDirectoryWrite(file_write.writekey, file_write.fingerprint), KEEPER, [file_entry(content)])
    slots.create(directory_write, KEEPER)
    slots.edit(directory_write, lambda _: [Entry.of(b"large", caps["large directory"]), Entry.of(b"table", caps["table"])])
    slots.edit(directory_write, lambda entries: [*entries, Entry.of(b"write", file_write)])
    roots = Register(backend, "roots", KEEPER.roots, STRUCTURE, NoMemory(), randomness)
    for write in (directory_write, file_write):
        root = write.verify_cap.storage_index + write.verify_cap.fingerprint
        roots.swap(lambda text, root=root: (text or b"") + root)  # type: ignore[misc]
    session = RegisteredSession.register(backend, KEEPER.roots, STRUCTURE, randomness, clock, "client")
    session.commit(links_of_entries([Entry.of(b"table", caps["table"])]))
    cost = PassphraseCost(memory_kib=64, passes=2, lanes=2)
    Passphrases(backend, Signers.of(WRITER), randomness=randomness, clock=clock, cost=cost).add(PASSPHRASE, LABEL, ENVELOPE)
    aliases = frozenset({("home", directory_write.danger_whole_text()), ("home", file_write.danger_whole_text())})
    EnvelopeFile(backend, WRITER.vault.hex(), ENVELOPE, randomness).add(Envelope(WRITER, aliases))
    return backend, objects, caps


def stamped_passphrases() -> Vectors:
    """Set a passphrase with each key that has a signer; give what is stored of both."""
    backend, randomness, clock = MemoryBackend(), Nonces("stamped passphrases"), FakeClock(2_000_000_000)
    cost = PassphraseCost(memory_kib=64, passes=1, lanes=1)
    for label, key in (("writer's", WRITER), ("keeper's", KEEPER)):
        passphrases = Passphrases(backend, Signers.of(WRITER), key=key, randomness=randomness, clock=clock, cost=cost)
        passphrases.add(f"{PASSPHRASE}: the {label}", label, ENVELOPE)
    return {item.name: backend.get(item.name).hex() for item in sorted(backend.list(""), key=lambda item: item.name)}


def put_pack(backend: MemoryBackend, objects: list[Made], randomness: Nonces) -> FinishedPack:
    """Put objects into a pack."""
    opened = OpenPack(backend.upload())
    for each in objects:
        name = object_name_of(LOCATOR.naming, storage_index_of(each.stored.key))
        opened.append(name, each.stored.hash[:16], each.sealed, each.sealed_links)
    finished = opened.finish(STRUCTURE, Codec(), randomness)
    opened.upload.commit(pack_path(finished.name))
    return finished


def whole(codec: PinnedFrames) -> Vectors:
    """Give all that is stored, and what it was made of."""
    with codec.everywhere():
        backend, objects, caps = stored_vault(codec)
    return {
        "objects": {name: made.described() for name, made in objects.items()},
        "caps": {name: cap.danger_whole_text() for name, cap in caps.items()},
        "stored": {item.name: backend.get(item.name).hex() for item in sorted(backend.list(""), key=lambda item: item.name)},
    }


PARTS = {
    "keys": keys,
    "cuts": cuts,
    "directory": directory,
    "left out": left_out,
    "stamped passphrases": stamped_passphrases,
}


def pinned() -> Vectors:
    """Read the vectors."""
    read: Vectors = json.loads(VECTORS.read_text("utf-8"))
    return read


def below(vectors: Vectors, *path: str) -> Vectors:
    """Look up a part."""
    for name in path:
        part = vectors[name]
        assert isinstance(part, dict)
        vectors = part
    return vectors


def texts(vectors: Vectors, *path: str) -> dict[str, str]:
    """Look up a part that holds texts alone."""
    found = {name: text for name, text in below(vectors, *path).items() if isinstance(text, str)}
    assert len(found) == len(below(vectors, *path))
    return found


def pinned_objects() -> dict[str, bytes]:
    """Give the pinned vault: names and bytes."""
    return {name: bytes.fromhex(stored) for name, stored in texts(pinned(), "stored").items()}


@pytest.mark.parametrize("part", PARTS)
def test_the_format_stays(part: str) -> None:
    """What is derived and stored today is, byte for byte, what was pinned."""
    assert PARTS[part]() == pinned()[part]


@pytest.mark.parametrize("part", ["objects", "caps", "stored"])
def test_a_whole_vault_stays(part: str) -> None:
    """Every object of a vault that has all kinds of them is, byte for byte, what was pinned."""
    assert whole(PinnedFrames(texts(pinned(), "frames")))[part] == pinned()[part]


def test_the_pinned_vault_has_everything() -> None:
    """No kind of name that a vault knows is missing."""
    folders = {name.partition("/")[0] for name in pinned_objects()}
    assert folders == {
        "header",
        "header.copy",
        "packs",
        "index",
        "registers",
        "slots",
        "sessions",
        "passphrases",
        "envelopes",
        "damaged",
    }


def test_the_pinned_objects_open() -> None:
    """Pinned objects open with their keys, to what they were made of."""
    for name in below(pinned(), "objects"):
        found = texts(pinned(), "objects", name)
        kind = Kind[found["kind"]]
        key, sealed = bytes.fromhex(found["read key"]), bytes.fromhex(found["sealed content"])
        index = storage_index_of(key)
        content = open_content(kind, key, index, sealed, size_max=1 << 20, codec=Codec())
        assert hash_file_bytes(content).hex() == found["content hash"]
        sealed_links = bytes.fromhex(found["sealed links"])
        assert stored_hash_of(kind, sealed, sealed_links).hex() == found["stored hash"]
        if kind is Kind.CHUNK:
            assert found["links"] == found["sealed links"] == ""
        else:
            assert open_links(kind, index, sealed_links).hex().startswith(found["links"])


def test_tallac_reads_the_pinned_vault(tmp_path: Path) -> None:
    """All that is pinned is read, checked and found to be healthy, but for the pack that was put out of the way."""
    backend = MemoryBackend(pinned_objects())
    caps = {name: parse(text) for name, text in texts(pinned(), "caps").items()}
    [passphrase] = [EnvelopeFile(backend, WRITER.vault.hex(), ENVELOPE, os.urandom).read()]
    assert {cap for _, cap in passphrase.aliases} == {
        caps[name].danger_whole_text() for name in ("mutable directory", "mutable file")
    }
    passphrases = Passphrases(backend, Signers.of(WRITER), randomness=os.urandom, clock=FakeClock())
    assert passphrases.open("Paßwort mit u\N{COMBINING DIAERESIS}") == ENVELOPE
    assert [(info.label, info.made_ns) for info in passphrases.of(ENVELOPE)] == [(LABEL, 1_000_000_000)]
    with open_vault(backend, WRITER, state=tmp_path / "state") as vault:
        root = caps["mutable directory"]
        assert isinstance(root, MutableDirectoryWrite)
        assert [entry.name for entry in vault.read_directory(root.read_cap)] == [b"large", b"table", b"write"]
        assert vault.check(root.read_cap, read_data=True).findings == []
        slots = Slots(backend, LOCATOR, NoMemory(), os.urandom)
        file = caps["mutable file"]
        assert isinstance(file, MutableFileWrite)
        assert content_of(slots, file.read_cap) == caps["compressed chunk"]
    footers = StoredPacks(backend, STRUCTURE).footers(StoredPacks(backend, STRUCTURE).sizes())
    names = [entry.name.hex() for footer in footers for entry in decode_body(footer.body)]
    assert names == [texts(pinned(), "objects", name)["name"] for name in below(pinned(), "objects")]
    assert decode_header(backend.get("header"), "here").identity == WRITER.vault.hex()


def test_the_second_reader_reads_the_pinned_vault() -> None:
    """A reader that shares nothing with Tallac gets the same out of the pinned bytes."""
    stored, caps, keys = pinned_objects(), texts(pinned(), "caps"), texts(pinned(), "keys")
    vault = SecondVault(stored, keys["writer key"])
    vault.check_packs()
    assert not vault.passed_over
    assert not vault.was_rebuilt
    large, table, write = vault.directory(caps["mutable directory"])
    assert (table.cap, write.write_cap, len(vault.directory(large.cap))) == (caps["table"], caps["mutable file"], 2_000)
    literal, other, chunk, link, listed, mutable = vault.directory(table.cap)
    assert (literal.metadata["t"], literal.metadata["i"], link.metadata["k"]) == ([-1, 999_999_999], 1 << 63, b"../\xff")
    assert (other.metadata["o"], listed.metadata["S"]["s"]) == ({"a": {"c": [], "d": 1}, "b": 1.5}, [b"/source"])
    content = REPEATED[:65_536]
    assert list(vault.chunks(listed.cap)) == [(65_536, content), (MIB, None), (100, stream("plain chunk", 100))]
    assert list(vault.chunks(chunk.cap)) == [(100, stream("plain chunk", 100))]
    assert list(vault.chunks(mutable.cap)) == [(65_536, content)]
    found = unlock(stored, PASSPHRASE)
    assert found == (
        LABEL,
        1_000_000_000,
        keys["writer key"],
        sorted(("home", caps[f"mutable {kind}"]) for kind in ("directory", "file")),
    )


@pytest.mark.parametrize("label", ["writer's", "keeper's"])
def test_both_readers_open_stamped_passphrases(label: str) -> None:
    """Whichever signer made it, a pinned stamp is right in its place alone, and the passphrase opens for both readers."""
    stamped = {name: bytes.fromhex(stored) for name, stored in texts(pinned(), "stamped passphrases").items()}
    stored = pinned_objects() | stamped
    passphrase = f"{PASSPHRASE}: the {label}"
    assert unlock(stored, passphrase)[:2] == (label, 2_000_000_000)
    passphrases = Passphrases(MemoryBackend(stored), Signers.of(WRITER), randomness=os.urandom, clock=FakeClock())
    assert passphrases.open(passphrase) == ENVELOPE
    names = [name for name in stamped if not name.endswith(".copy")]
    assert [read_passphrase(stored, name).is_stamped for name in names] == [True, True]
    [other] = [name for name in pinned_objects() if name.startswith("passphrases/") and not name.endswith(".copy")]
    assert not read_passphrase(stored, other).is_stamped
    assert not read_passphrase(stored | {names[0]: stored[names[1]]}, names[0]).is_stamped


def test_the_second_reader_verifies_the_pinned_vault() -> None:
    """With the keeper key alone it verifies all from the roots down, and sees what is under way."""
    objects = [texts(pinned(), "objects", name) for name in below(pinned(), "objects")]
    keeper = SecondVault(pinned_objects(), texts(pinned(), "keys")["keeper key"])
    met = keeper.walk()
    assert {link.digest.hex() for link in met} >= {found["stored hash"] for found in objects}
    table = texts(pinned(), "objects", "table")
    link = Link(3, bytes.fromhex(table["storage index"]), bytes.fromhex(table["stored hash"]))
    assert keeper.sessions() == [SecondSession("committing", 1_000_000_000, "client", [link])]
    assert keeper.register("quarantine").number == 1
    assert keeper.register("roots").number == 2


def test_the_second_reader_reads_damaged_packs() -> None:
    """Without the pack that holds the chunks, the copy that was put out of the way serves."""
    stored = pinned_objects()
    [pack] = [name for name in stored if name.startswith("packs/")]
    del stored[pack]
    vault = SecondVault(stored, texts(pinned(), "keys")["locator key"])
    cap = texts(pinned(), "caps")["plain chunk"]
    assert list(vault.chunks(cap)) == [(100, stream("plain chunk", 100))]


def test_the_second_reader_agrees_on_links() -> None:
    """What each pinned content refers to is what was pinned as its links."""
    for name in below(pinned(), "objects"):
        found = texts(pinned(), "objects", name)
        if found["content"]:
            assert join_links(links_of(Kind[found["kind"]], bytes.fromhex(found["content"]))).hex() == found["links"]


if __name__ == "__main__":
    frames = PinnedFrames({}, is_pinned=False)
    made = {name: make() for name, make in PARTS.items()} | whole(frames) | {"frames": frames.frames}
    VECTORS.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
