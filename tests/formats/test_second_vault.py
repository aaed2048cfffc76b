"""Tallac reads a vault that somebody else wrote from the page alone, and refuses what the page forbids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.formats.second_reader import read_body
from tests.formats.second_sample import (
    BELOW,
    FILE,
    FIRST_CHUNK,
    FORBIDDEN_ENTRIES,
    FORBIDDEN_LISTS,
    FORBIDDEN_TABLES,
    FORBIDDEN_VALUES,
    HOLE_BYTES,
    NEGLECTED_TABLES,
    ROOT,
    SECOND_CHUNK,
    TEXT,
    Made,
    forbidden_list,
    forbidden_table,
)
from tests.formats.second_values import CHUNK, DIRECTORY, FormatError, attenuate, encode_entries, key_text, padded_size
from tests.formats.second_writer import KEEPER, SecondWriter, compress, entry, pack_body, pad, stream

from tallac.backends.memory import MemoryBackend
from tallac.caps import Cap, DirectoryReadCap, FileReadCap, MutableDirectoryWrite, MutableFileRead, parse
from tallac.errors import DamageError, TallacError
from tallac.interfaces import CapReader
from tallac.interfaces.compressing import Compression
from tallac.testing.determinism import FakeClock
from tallac.testing.sample_vault import read_file
from tallac.vault.access.envelopes import EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import decode_body
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import parse_vault_key
from tallac.vault.format.padding import unpad_plain
from tallac.vault.vault import Vault, open_vault


@contextmanager
def opened(made: Made, state: Path, kind: str = "writer") -> Iterator[Vault]:
    """Open the vault by Tallac, with nothing remembered."""
    with open_vault(MemoryBackend(made.writer.objects), parse_vault_key(made.writer.key(kind)), state=state) as vault:
        yield vault


def content_of(grid: CapReader, cap: str) -> bytes:
    """Read a file, or raise what is wrong with it."""
    parsed = parse(cap)
    assert isinstance(parsed, FileReadCap)
    content = read_file(grid, parsed)
    if isinstance(content, DamageError):
        raise content
    return content


def parsed_directory(cap: str) -> DirectoryReadCap:
    """Parse a directory's read cap."""
    parsed = parse(cap)
    assert isinstance(parsed, DirectoryReadCap)
    return parsed


def names_in(grid: CapReader, cap: str) -> list[bytes]:
    """Read a directory's names."""
    return [entry.name for entry in grid.read_directory(parsed_directory(cap))]


def write_caps_in(vault: Vault, cap: MutableDirectoryWrite) -> list[Cap | None]:
    """Read the write caps of a mutable directory's entries."""
    return [entry.write_cap for entry in vault.edit_directory(cap, lambda entries: entries)]


@pytest.mark.parametrize("kind", ["writer", "keeper", "locator"])
def test_all_is_read(made: Made, tmp_path: Path, kind: str) -> None:
    """With any vault key and a read cap everything comes back, and it is healthy."""
    with opened(made, tmp_path, kind) as vault:
        root = parsed_directory(attenuate(made.writer.mutable_cap(ROOT)))
        archives, latest = vault.read_directory(root)
        assert (archives.name, archives.metadata.snapshot and archives.metadata.snapshot.host) == (b"Archives", "host")
        assert names_in(vault, made.snapshot) == [b"file", b"list", b"literal"]
        assert latest.cap == parse(made.snapshot)
        assert content_of(vault, made.file) == TEXT
        assert content_of(vault, made.list_cap) == FIRST_CHUNK + bytes(HOLE_BYTES) + SECOND_CHUNK
        file = parse(attenuate(made.writer.mutable_cap(FILE, "MDMF")))
        assert isinstance(file, MutableFileRead)
        assert vault.check(root, read_data=True).findings == []
        assert vault.components.settings.compression() is Compression.MAX


def test_a_structure_check_is_content(made: Made, tmp_path: Path) -> None:
    """A keeper's check of a vault that somebody else wrote finds nothing but the session under way."""
    made.writer.register("quarantine", b"", number=2, predecessor=bytes(32))
    with opened(made, tmp_path, "keeper") as vault:
        [finding] = vault.check_structure(read_data=True).findings
        assert "is committing" in finding.message


def test_what_was_written_is_found_again(made: Made, tmp_path: Path) -> None:
    """Tallac gives the same contents the same caps, and stores nothing twice."""
    made.writer.register("quarantine", b"", number=2, predecessor=bytes(32))
    with opened(made, tmp_path) as vault, vault.session() as session, session.writing() as writer:
        assert writer.put_small(TEXT) == b"C" + _key_and_hash(made, "chunk") + len(TEXT).to_bytes(2, "big")
        assert writer.bytes_stored == 0


def _key_and_hash(made: Made, name: str) -> bytes:
    return made.objects[name].read_key + made.objects[name].digest


def test_the_index_is_made_again(made: Made, tmp_path: Path) -> None:
    """Without an index the packs' footers give it."""
    del made.writer.objects["registers/index"]
    with opened(made, tmp_path, "locator") as vault:
        assert content_of(vault, made.file) == TEXT


@pytest.mark.parametrize("name", FORBIDDEN_TABLES)
def test_forbidden_tables_are_refused(made: Made, tmp_path: Path, name: str) -> None:
    """A table that the page forbids is refused as damage, however well it is sealed."""
    stored, size = forbidden_table(made.writer, name)
    made.add(stored)
    with opened(made, tmp_path, "locator") as vault, pytest.raises(DamageError) as caught:
        names_in(vault, stored.cap(size))
    assert "missing" not in str(caught.value)


@pytest.mark.parametrize("name", FORBIDDEN_ENTRIES)
def test_forbidden_entries_are_refused(made: Made, tmp_path: Path, name: str) -> None:
    """A malformed cap is damage of its entry, beside which the others are read."""
    stored, size = forbidden_table(made.writer, name)
    made.add(stored)
    with opened(made, tmp_path, "locator") as vault:
        [found] = vault.read_directory(parsed_directory(stored.cap(size)))
        with pytest.raises(DamageError):
            str(found.cap)


@pytest.mark.parametrize("name", [*FORBIDDEN_VALUES, *NEGLECTED_TABLES])
def test_what_is_odd_in_metadata_stops_nothing(made: Made, tmp_path: Path, name: str) -> None:
    """A value that breaks a bound is damage of that value alone: its directory is read."""
    stored, size = forbidden_table(made.writer, name)
    made.add(stored)
    with opened(made, tmp_path, "locator") as vault:
        assert names_in(vault, stored.cap(size)) == [b"a"]


@pytest.mark.parametrize("name", FORBIDDEN_LISTS)
def test_forbidden_lists_are_refused(made: Made, tmp_path: Path, name: str) -> None:
    """A list that the page forbids is refused as damage, however well it is sealed."""
    stored, size = forbidden_list(made.writer, name)
    made.add(stored)
    with opened(made, tmp_path, "locator") as vault, pytest.raises(TallacError):
        content_of(vault, stored.cap(size))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_poisoned_chunk_raises_an_alarm(made: Made, tmp_path: Path, *, compressed: bool) -> None:
    """Bytes of another content under a known read key are not taken for what was meant, and the good copy is still read."""
    poisoned = made.writer.object(CHUNK, b"x" * len(TEXT), compressed=compressed, claimed=TEXT)
    made.add(poisoned)
    with opened(made, tmp_path, "locator") as vault:
        with pytest.raises(DamageError):
            content_of(vault, poisoned.cap(len(TEXT)))
        assert content_of(vault, made.file) == TEXT


def test_a_chunk_that_declares_too_much_is_refused(made: Made, tmp_path: Path) -> None:
    """A frame of more than the cap's size is refused before it is opened, and one that declares no size as well."""
    for declared in (True, False):
        bomb = made.writer.object(CHUNK, bytes(32 << 20), frame=compress(bytes(32 << 20), declares=declared))
        made.add(bomb)
        with opened(made, tmp_path / str(declared), "locator") as vault, pytest.raises(DamageError):
            content_of(vault, bomb.cap(500_000))


def test_links_of_another_content_are_noticed_by_a_check(made: Made, tmp_path: Path) -> None:
    """A directory whose sealed links are not those of its content is damage to whoever reads all of it."""
    content = b"\0" + encode_entries([entry(b"file", made.file)])
    stored = made.writer.object(DIRECTORY, content, b"")
    made.add(stored)
    with opened(made, tmp_path) as vault:
        assert vault.check(parse(stored.cap(len(content))), read_data=True).findings != []


def test_an_entry_that_leads_to_two_places_is_refused(made: Made, tmp_path: Path) -> None:
    """An entry whose write cap leads elsewhere than its read cap is damage of the directory to who has its write cap."""
    writer = made.writer
    sealed = writer.sealed_write_cap(ROOT, writer.mutable_cap(FILE))
    writer.slot(ROOT, [entry(b"a", attenuate(writer.mutable_cap(BELOW)), {}, sealed)], number=2, predecessor=b"\1" * 32)
    root = parse(writer.mutable_cap(ROOT))
    assert isinstance(root, MutableDirectoryWrite)
    with opened(made, tmp_path) as vault:
        assert names_in(vault, attenuate(writer.mutable_cap(ROOT))) == [b"a"]
        with pytest.raises(DamageError):
            write_caps_in(vault, root)


def test_a_slot_with_other_links_is_refused(made: Made, tmp_path: Path) -> None:
    """A slot's links have to be those of its entries."""
    made.writer.slot(ROOT, [entry(b"a", made.file)], number=2, predecessor=b"\1" * 32, links=b"")
    with opened(made, tmp_path) as vault, pytest.raises(DamageError):
        names_in(vault, attenuate(made.writer.mutable_cap(ROOT)))


def test_mutable_files_and_directories_are_told_apart(made: Made, tmp_path: Path) -> None:
    """A directory's cap opens no mutable file's slot."""
    with opened(made, tmp_path) as vault, pytest.raises(TallacError):
        names_in(vault, attenuate(made.writer.mutable_cap(FILE)))


@pytest.mark.parametrize("what", ["index", "footer", "register", "session"])
def test_what_nobody_stamped_stops_nothing(made: Made, tmp_path: Path, what: str) -> None:
    """With the locator key's secrets and without a signer, nobody hides what is there."""
    forger = SecondWriter(bytes(32), stream("a forger"))
    forger._seeds = [bytes(32), bytes(32)]
    forger.objects = made.writer.objects
    if what == "index":
        made.writer.register("index", forger.index([]))
    elif what == "footer":
        forger.pack([each._replace(content=bytes(len(each.content))) for each in made.objects.values()])
        del made.writer.objects["registers/index"]
    elif what == "register":
        forger.register("index", b"", number=7)
    else:
        forger.session("f" * 32, "open", 1, "", b"")
    with opened(made, tmp_path, "keeper") as vault:
        assert content_of(vault, made.file) == TEXT
        vault.check_structure(read_data=True)


def test_keys_prove_themselves(made: Made, tmp_path: Path) -> None:
    """A key of another vault is refused, whether or not it names this one's id."""
    other = SecondWriter(bytes(31) + b"\1", stream("another"))
    backend = MemoryBackend(made.writer.objects)
    # A writer key's text can't name another id than its own.
    texts = [other.key(kind) for kind in ("writer", "keeper", "locator")]
    texts += [key_text(kind, other._keys[kind], made.writer.id) for kind in ("keeper", "locator")]
    for text in texts:
        with pytest.raises(TallacError):
            open_vault(backend, parse_vault_key(text), state=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_padding_that_the_page_forbids_is_refused() -> None:
    """What is behind the text is zero, and a frame holds what it declares, no more and no less."""
    good = pad(TEXT, 40, compressed=True)
    assert unpad_plain(good, Codec(), 40) == TEXT
    wrong = [pad(b"contents", 40)[:-1] + b"\1", pad(b"contents", 40) + bytes(8), b"\2" + good[1:], good[:20]]
    bombs = compress(bytes(1 << 20), declares=False), compress(bytes(1 << 20)), compress(TEXT) + compress(b"more")
    for bomb in bombs:
        stored = b"\1" + len(TEXT).to_bytes(4, "big") + len(bomb).to_bytes(4, "big") + bomb
        wrong.append(stored.ljust(padded_size(len(stored) + 40) - 40, b"\0"))
    for each in wrong:
        with pytest.raises(DamageError):
            unpad_plain(each, Codec(), 40)


def test_a_footer_has_one_form() -> None:
    """A body that lists lengths of links where there are none is refused, and so is one that is cut off or too long."""
    names = [(bytes(16), bytes(16), 60, 0)]
    body = pack_body(names)
    assert len(list(decode_body(body))) == 1
    for wrong in (body[:4] + b"\1" + body[5:] + bytes(4), body[:-1], body + b"\0", body[:-4] + b"\x80" + bytes(3)):
        with pytest.raises(DamageError):
            list(decode_body(wrong))
        with pytest.raises(FormatError):
            read_body("", wrong)


def test_a_passphrase_opens_the_envelope(made: Made) -> None:
    """A passphrase that somebody else set leads to the key and the aliases."""
    writer, envelope = made.writer, bytes(range(32))
    # Somebody without a signer has made the first of the two.
    writer.passphrase("0" * 32, envelope, "another", "other", 76, signer=None)
    writer.passphrase("1" * 32, envelope, "Paßwort mit ü", "label", 77)
    writer.envelope(envelope, writer.key("writer"), [("home", writer.mutable_cap(ROOT))])
    backend = MemoryBackend(writer.objects)
    passphrases = Passphrases(backend, read_header(backend).signers, randomness=os.urandom, clock=FakeClock())
    key = passphrases.open("Paßwort mit u\N{COMBINING DIAERESIS}")
    assert key.danger_whole_text() == key_text("envelope", envelope, writer.id)
    assert [(info.label, info.made_ns) for info in passphrases.of(key)] == [("other", 76), ("label", 77)]
    found = EnvelopeFile(backend, writer.id.hex(), key, os.urandom).read()
    assert found.key.danger_whole_text() == writer.key("writer")
    assert found.aliases == frozenset({("home", writer.mutable_cap(ROOT))})


def test_a_damaged_pack_serves(made: Made, tmp_path: Path) -> None:
    """What somebody else's repair has put out of the way is read where an object is nowhere else."""
    made.writer.damage(made.pack, made.writer.objects[f"packs/{made.pack.name.hex()}"][:-200])
    made.writer.register("index", made.writer.index([], signer=KEEPER), number=2, predecessor=b"\1" * 32, signer=KEEPER)
    with opened(made, tmp_path, "locator") as vault:
        assert content_of(vault, made.list_cap) == FIRST_CHUNK + bytes(HOLE_BYTES) + SECOND_CHUNK
