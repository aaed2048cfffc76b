"""Whatever is written in a store, a configuration or on a command line: parsers answer, or raise the error that they declare."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from tests.torture import SCALE

from tallac.app.configuration.configuration import Alias, Configuration, ConfigurationFile, KnownGrid
from tallac.app.keys.recovery_kit import RecoveryKit, parse_kit
from tallac.app.keys.recovery_kit_page import kit_page, kit_text
from tallac.app.locations.grid_path import parse_grid_path
from tallac.app.locations.urls import is_absent, parse_location
from tallac.backends.memory import MemoryBackend
from tallac.caps import LiteralFile, MutableDirectoryWrite, parse, parse_lenient
from tallac.clock import SystemClock
from tallac.crypto.passphrases import PassphraseCost
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, open_sealed, seal
from tallac.dag import Entry, Metadata, SnapshotFacts, decode_cap, decode_table, encode_table
from tallac.errors import DamageError, MalformedCapError, MalformedKitError, StoreError, TallacError
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import Tree, back_up, create_target, noise
from tallac.vault.access.duplicates import CHECK_SIZE, add_check
from tallac.vault.access.envelopes import EnvelopeFile
from tallac.vault.access.passphrases import Passphrases, decode_passphrase
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, decode_body, decode_index, encode_body, encode_index, names_in
from tallac.vault.format.header import decode_header
from tallac.vault.format.keys import EnvelopeKey, parse_vault_key
from tallac.vault.format.links import decode_links, split_links
from tallac.vault.format.nodes import NodeRef, decode_node, encode_node
from tallac.vault.format.objects import Kind
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.registers import REGISTER_PREFIX, Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.sessions import SESSION_CONTEXT, SessionRecord, SessionState, decode_session, seal_session
from tallac.vault.mutable.slots import Slots
from tallac.vault.vault import create_vault, open_vault

TRIES, TRIES_LONG = 1_000, 100_000
SECONDS_MAX = 1.0

KEY = bytes(range(32))
SALT = bytes(SALT_SIZE)
SESSION_PATH = "sessions/" + "0" * 32
TREE: Tree = {b"a": noise(1, 3_000), b"d": {b"text": b"text " * 40}}

Parser = Callable[[bytes], object]
Parse = tuple[Parser, type[TallacError], list[bytes]]


def mutated(samples: list[bytes], chance: random.Random) -> bytes:
    """Change a sample in some places: bits, lengths, pieces lost, doubled, moved or taken from another sample."""
    content = bytearray(chance.choice(samples))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(content) + 1)
        length = chance.choice((1, 2, 4, 8, 32, len(content)))
        change = chance.randrange(7)
        if change == 0 and place < len(content):
            content[place] ^= 1 << chance.randrange(8)
        elif change == 1:
            content[place : place + 1] = bytes((chance.choice((0, 1, 0x7F, 0x80, 0xC4, 0xDC, 0xDE, 0xFF)),))
        elif change == 2:
            del content[place : place + length]
        elif change == 3:
            content[place:place] = content[place : place + length]
        elif change == 4:
            content[place : place + length] = chance.randbytes(length)
        elif change == 5:
            other = chance.choice(samples)
            begin = chance.randrange(len(other) + 1)
            content[place : place + length] = other[begin : begin + length]
        else:
            content[place : place + 8] = chance.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)).to_bytes(8, "big")
    return bytes(content)


def texts(parser: Callable[[str], object]) -> Parser:
    """Return a parser of bytes from a parser of text."""
    return lambda content: parser(content.decode("utf-8", "surrogateescape"))


def _locate(text: str) -> bool:
    return is_absent(parse_location(text))


class Parsers:
    """All parsers by name, each with the error that it declares and samples of what it reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        backend = MemoryBackend()
        self._key = create_vault(backend, randomness=SeededRandomness(1))
        with open_vault(backend, self._key, state=folder / "state", randomness=SeededRandomness(2)) as vault:
            target = create_target(vault)
            assert isinstance(target, MutableDirectoryWrite)
            back_up(vault, target, b"1", TREE)
            self._entries = list(vault.read_directory(target.read_cap))
            self._caps = [target, target.read_cap, target.read_cap.verify_cap, *(entry.cap for entry in self._entries)]
        self._target = target
        self._stored = backend.snapshot()
        self.all: dict[str, Parse] = {}
        self._add_texts()
        self._add_values()
        self._add_structure()
        self._add_sealed()
        self._add_ways_back()
        self._add_configuration()

    def _add_texts(self) -> None:
        caps = [cap.danger_whole_text().encode() for cap in [*self._caps, LiteralFile(b"text")]]
        keys = [self._key, self._key.keeper_key, self._key.locator_key]
        self.all["caps"] = (parse, MalformedCapError, caps)
        self.all["lenient caps"] = (parse_lenient, MalformedCapError, caps)
        self.all["vault keys"] = (texts(parse_vault_key), MalformedCapError, [key.danger_whole_text().encode() for key in keys])
        places = [b"home:docs//a/", b"@file:a/b", b"@-", caps[0] + b"/a", caps[1] + b":./a", b"Latest"]
        self.all["places"] = (texts(parse_grid_path), TallacError, places)
        self.all["locations"] = (
            texts(_locate),
            TallacError,
            [b"/a/b", b"file:///a%20b", b"s3://bucket/a", b"./x", b"file:///a%00b"],
        )

    def _add_values(self) -> None:
        facts = SnapshotFacts(host="h", sources=(b"/a",), files=3, started_ns=10**18, tags=("t",))
        whole = Metadata(
            mode=0o100644,
            uid=0,
            mtime=(-5, 3),
            xattrs=((b"user.a", b"\xff"),),
            holes=((0, 4096),),
            rdev=(1, 3),
            target=b"x",
            snapshot=facts,
            other={"a": [1, {"b": None}]},
        )
        entries = [Entry.of(b"name %d" % number, cap, whole) for number, cap in enumerate(self._caps[1:2] + self._caps[3:])]
        encoded = [entry.encoded for entry in [*self._entries, *entries]]
        children = [NodeRef(b"", bytes(48), 600_000), NodeRef(b"", b"", 1 << 20), NodeRef(b"", b"k" * 48, 600_000)]
        nodes = [encode_node(Kind.LIST, 1, children)]
        directories = [encode_node(Kind.DIRECTORY, 1, [NodeRef(b"a", bytes(48), 500), NodeRef(b"n", b"k" * 48, 700)])]
        links = [b"\0" + bytes(16) + b"\1" + bytes(32) + b"\2" + bytes(32) + b"\3" + bytes(48), b"\0" + bytes(16) + b"\xff" * 5]
        self.all["tables"] = (decode_table, DamageError, [encode_table(entries), encode_table(self._entries)])
        self.all["packed caps"] = (decode_cap, DamageError, encoded)
        self.all["nodes of lists"] = (lambda content: decode_node(Kind.LIST, content), DamageError, nodes)
        self.all["nodes of directories"] = (lambda content: decode_node(Kind.DIRECTORY, content), DamageError, directories)
        self.all["links"] = (lambda content: list(decode_links(content)), DamageError, links)
        self.all["divided links"] = (split_links, DamageError, links)

    def _add_structure(self) -> None:
        headers = [self._stored["header"], self._stored["header"].replace(b"format 2", b"format 3")]
        body = encode_body([bytes(16), b"n" * 16], [bytes(16), b"h" * 16], [100, 200], [0, 50])
        plains = [pad_plain(text, Codec(), SEAL_OVERHEAD) for text in (body, b"text " * 100, b"")]
        index = [encode_index([FinishedPack(bytes(32), 1000, body), FinishedPack(b"p" * 32, 2000, body)])]
        self.all["headers"] = (lambda content: decode_header(content, "here"), StoreError, headers)
        self.all["footers"] = (lambda content: list(decode_body(content)), DamageError, [body])
        self.all["padded texts"] = (lambda content: unpad_plain(content, Codec(), SEAL_OVERHEAD), DamageError, plains)
        self.all["index objects"] = (decode_index, DamageError, index)
        self.all["names of index objects"] = (names_in, DamageError, [bytes(64)])

    def _add_sealed(self) -> None:
        """Add the parsers of sealed contents, as an attacker who has the structure key could write them."""
        locator, codec, structure = self._key.locator_key, Codec(), Structure(self._key, Signers.of(self._key))
        slots = Slots(MemoryBackend(self._stored), locator, NoMemory(), SeededRandomness(3))
        path = slots.path_of(self._target.read_cap.verify_cap.storage_index)
        from_store = MemoryBackend(self._stored)
        record = unpad_plain(
            open_sealed(locator.structure_key, from_store.get(path), b"slot\x02" + path.encode()), codec, SEAL_OVERHEAD
        )

        def parse_slot(content: bytes) -> object:
            sealed = seal(locator.structure_key, SALT, pad_plain(content, codec, SEAL_OVERHEAD), b"slot\x02" + path.encode())
            backend = MemoryBackend({path: sealed})
            return Slots(backend, locator, NoMemory(), SeededRandomness(3)).read(self._target.read_cap.verify_cap)

        def parse_register(content: bytes) -> object:
            head, text = content[:40], content[40:]
            stamp = structure.stamp(b"register", b"index\0" + head + text)
            sealed = seal(KEY, SALT, pad_plain(head + stamp + text, codec, SEAL_OVERHEAD), b"register\x02index")
            backend = MemoryBackend({REGISTER_PREFIX + "index": sealed})
            return Register(backend, "index", KEY, structure, NoMemory(), SeededRandomness(3)).read()

        def parse_session(content: bytes) -> object:
            sealed = seal(KEY, SALT, pad_plain(content, codec, SEAL_OVERHEAD), SESSION_CONTEXT + SESSION_PATH.encode())
            return decode_session(SESSION_PATH, sealed, KEY, structure)

        sessions = []
        for state, links in ((SessionState.OPEN, b""), (SessionState.COMMITTING, b"ab")):
            said = SessionRecord(state, 1, "here", links)
            made = seal_session(SESSION_PATH, said, KEY, structure, SeededRandomness(5))
            plain = open_sealed(KEY, made, SESSION_CONTEXT + SESSION_PATH.encode())
            sessions.append(unpad_plain(plain, codec, SEAL_OVERHEAD))
        self.all["slots"] = (parse_slot, DamageError, [record])
        self.all["registers"] = (parse_register, DamageError, [bytes(40) + b"text", bytes(7) + b"\1" + bytes(32)])
        self.all["sessions"] = (parse_session, DamageError, sessions)

    def _add_ways_back(self) -> None:
        """Add the parsers of passphrase objects, of opened envelopes, and of recovery kits."""
        codec, cap = Codec(), self._target.danger_whole_text()
        envelope_key, path = EnvelopeKey(KEY, self._key.vault), "passphrases/" + "0" * 32
        backend = MemoryBackend()
        file = EnvelopeFile(backend, self._key.vault.hex(), envelope_key, SeededRandomness(4))
        context = b"envelope\x02" + self._key.vault + file.path.encode()

        def parse_envelope(content: bytes) -> object:
            padded = pad_plain(content, codec, SEAL_OVERHEAD + CHECK_SIZE)
            stored = MemoryBackend({file.path: add_check(seal(envelope_key.content, SALT, padded, context))})
            return EnvelopeFile(stored, self._key.vault.hex(), envelope_key, SeededRandomness(4)).read()

        clock, cost = SystemClock(), PassphraseCost(memory_kib=64, passes=1, lanes=1)
        passphrases = Passphrases(
            backend, Signers.of(self._key), key=self._key, randomness=SeededRandomness(4), clock=clock, cost=cost
        )
        stored = backend.get(passphrases.add("x", "label", envelope_key))
        kit = RecoveryKit("file:///vault", self._key.vault.hex(), self._key, (("home", cap),))
        kits = ["\n".join([*kit.danger_vault_lines(), *kit.danger_alias_lines()]), kit_page(kit), kit_text(kit)]
        envelopes = [msgspec.msgpack.encode([self._key.danger_whole_text(), [["home", cap]]])]
        self.all["passphrases"] = (lambda content: decode_passphrase(content, path), DamageError, [stored[:-CHECK_SIZE]])
        self.all["envelopes"] = (parse_envelope, DamageError, envelopes)
        self.all["recovery kits"] = (texts(parse_kit), MalformedKitError, [text.encode() for text in kits])

    def _add_configuration(self) -> None:
        file = ConfigurationFile(self._folder / "configuration")
        file.path.parent.mkdir(exist_ok=True)
        key, cap = self._key.danger_whole_text(), self._target.danger_whole_text()
        with file.updating() as configuration:
            configuration.grids[self._key.vault.hex()] = KnownGrid("file:///vault", key)
            configuration.aliases["home"] = Alias(self._key.vault.hex(), cap)
        text = file.path.read_bytes()

        def parse_configuration(content: bytes) -> Configuration:
            file.path.write_bytes(content)
            return file.read()

        self.all["configurations"] = (parse_configuration, TallacError, [text, b"[" * 10_000, b'{"format": 1}'])


NAMES = (
    "caps",
    "lenient caps",
    "vault keys",
    "places",
    "locations",
    "tables",
    "packed caps",
    "nodes of lists",
    "nodes of directories",
    "links",
    "divided links",
    "headers",
    "footers",
    "padded texts",
    "index objects",
    "names of index objects",
    "slots",
    "registers",
    "sessions",
    "passphrases",
    "envelopes",
    "recovery kits",
    "configurations",
)


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Parsers:
    """Return all parsers."""
    return Parsers(tmp_path_factory.mktemp("parsers"))


def test_all_parsers_are_named(parsers: Parsers) -> None:
    """None is left out, and each takes its samples, or at least one of them."""
    assert set(parsers.all) == set(NAMES)
    for name, (parser, declared, samples) in parsers.all.items():
        taken = 0
        for sample in samples:
            with suppress(declared):
                parser(sample)
                taken += 1
        assert taken, name


def test_other_keys_that_are_no_text() -> None:
    """Metadata of other tools may hold maps; one with a number as a key is malformed, and nothing worse."""
    with pytest.raises(DamageError):
        decode_table(msgspec.msgpack.encode([[b"a", b"M", {"o": {"a": {1: 2}}}, None]]))


def fuzz(parsers: Parsers, name: str, chance: random.Random, count: int) -> None:
    """Parse changed samples."""
    parser, declared, samples = parsers.all[name]
    for _ in range(count):
        content = mutated(samples, chance)
        started = time.thread_time()
        with suppress(declared):
            parser(content)
        assert time.thread_time() - started < SECONDS_MAX, content


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_changed_samples(parsers: Parsers, chance: random.Random, name: str) -> None:
    """A thousand of each."""
    fuzz(parsers, name, chance, TRIES)


@pytest.mark.torture
@pytest.mark.parametrize("name", NAMES)
def test_many_changed_samples(parsers: Parsers, chance: random.Random, name: str) -> None:
    """A hundred thousand of each."""
    fuzz(parsers, name, chance, TRIES_LONG * SCALE)
