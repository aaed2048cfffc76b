"""The second reader reads what the second writer writes, and refuses what the page forbids."""

from __future__ import annotations

import re

import pytest
from tests.formats.second_hash import hashed
from tests.formats.second_reader import OtherFormatError, Vault, read_body, read_header
from tests.formats.second_sample import (
    ALL_LISTS,
    ALL_TABLES,
    BELOW,
    FILE,
    FIRST_CHUNK,
    HOLE_BYTES,
    ROOT,
    SECOND_CHUNK,
    TEXT,
    Made,
    forbidden_list,
    forbidden_table,
)
from tests.formats.second_unlocking import unlock
from tests.formats.second_values import (
    CHUNK,
    DIRECTORY,
    SLOT,
    FormatError,
    Link,
    attenuate,
    base32,
    encode_entries,
    join_links,
    key_text,
    link_of,
    padded_size,
    read_entries,
    rounded_size,
    split_links,
    unbase32,
    unpad,
    verify_link_of,
)
from tests.formats.second_writer import (
    KEEPER,
    Sealed,
    SecondWriter,
    compress,
    entry,
    pad,
    seal_links,
    stream,
)


def content_of(vault: Vault, cap: str) -> bytes:
    """Read a file."""
    return b"".join(bytes(size) if chunk is None else chunk for size, chunk in vault.chunks(cap))


@pytest.mark.parametrize("kind", ["writer", "keeper", "locator"])
def test_all_is_read(made: Made, kind: str) -> None:
    """With any vault key and the root's write cap everything comes back."""
    vault = made.open(kind)
    vault.check_packs()
    archives, latest = vault.directory(made.writer.mutable_cap(ROOT))
    assert (archives.write_cap, archives.metadata["S"]["h"], latest.cap) == (made.writer.mutable_cap(BELOW), "host", made.snapshot)
    file, listed, literal = vault.directory(latest.cap)
    assert [content_of(vault, each.cap) for each in (file, listed, literal)] == [
        TEXT,
        FIRST_CHUNK + bytes(HOLE_BYTES) + SECOND_CHUNK,
        b"foo",
    ]
    assert (file.metadata["t"], file.metadata["l"], listed.metadata["o"]) == ([-1, 5], 1, {"a": 1.5, "b": [None]})
    assert not vault.was_rebuilt
    assert content_of(vault, made.writer.mutable_cap(FILE, "MDMF")) == TEXT


def test_a_keeper_verifies_from_the_roots_down(made: Made) -> None:
    """Links alone lead a keeper to everything, sessions and pending deletions are seen, and no key comes back up."""
    keeper = made.open("keeper")
    met = keeper.walk()
    assert {link.digest for link in met if link.kind != SLOT} == {each.h for each in made.objects.values()}
    assert len([link for link in met if link.kind == SLOT]) == 3
    [session] = keeper.sessions()
    assert session == ("committing", 10**18, "client", [link_of(made.snapshot)])
    assert keeper.register("quarantine").number == 1
    with pytest.raises(FormatError):
        keeper.key("convergence secret")
    assert b"max" in made.open("locator").register("settings").text
    with pytest.raises(FormatError):
        made.open("locator").roots()


def test_a_verify_cap_verifies_all_below(made: Made) -> None:
    """Whoever has a verify cap and the locator key verifies what is below it, and reads nothing."""
    match = re.fullmatch("URI:DIR2-CHK:[^:]*:(.*)", made.snapshot)
    link = link_of(made.snapshot)
    assert match
    assert link
    located = made.open("locator")
    cap = f"URI:DIR2-CHK-Verifier:{base32(link.storage_index)}:{match[1]}"
    assert len(located.walk([verify_link_of(cap)])) == 5


def test_a_wrong_byte_is_noticed_by_links_alone(made: Made) -> None:
    """One wrong bit of any object keeps a keeper from walking on, although footer and index say that it is there."""
    for place in read_body("", made.pack.body):
        name = f"packs/{made.pack.name.hex()}"
        whole = made.writer.objects[name]
        made.writer.objects[name] = whole[: place.start] + bytes((whole[place.start] ^ 1,)) + whole[place.start + 1 :]
        with pytest.raises(FormatError, match="missing"):
            made.open("keeper").walk()
        made.writer.objects[name] = whole


def test_another_copy_serves(made: Made) -> None:
    """Of several copies the one whose bytes are right is taken, wherever it lies."""
    good = made.writer.objects.pop(f"packs/{made.pack.name.hex()}")
    wrong = [each._replace(content=bytes(len(each.content))) for each in made.objects.values()]
    packs = [made.writer.pack(wrong), made.writer.pack(list(made.objects.values())), made.pack]
    made.writer.register("index", made.writer.index(packs))
    assert content_of(made.open(), made.list_cap)
    made.writer.objects[f"packs/{made.pack.name.hex()}"] = good
    del made.writer.objects[f"packs/{packs[1].name.hex()}"]
    assert content_of(made.open(), made.list_cap)


def test_a_damaged_pack_serves(made: Made) -> None:
    """What a repair has put out of the way is read where an object is nowhere else, as far as its bytes are right."""
    whole = made.writer.objects[f"packs/{made.pack.name.hex()}"]
    made.writer.damage(made.pack, whole[:-200])
    made.writer.register("index", made.writer.index([]))
    vault = made.open()
    assert content_of(vault, made.list_cap)
    assert vault.passed_over == []


def test_the_index_is_made_again(made: Made) -> None:
    """Without an index that is right, the packs' footers give it."""
    expected = made.open().places
    made.writer.register("index", hashed(b"what is not there"))
    rebuilt = made.open()
    assert rebuilt.was_rebuilt
    assert rebuilt.places == expected


def test_two_methods_give_two_hashes(made: Made) -> None:
    """One content, compressed and not, has one name and one commitment, and two h."""
    plain, compressed = (made.writer.object(CHUNK, TEXT, compressed=compressed) for compressed in (False, True))
    assert (plain.name, plain.read_key, plain.digest[16:]) == (compressed.name, compressed.read_key, compressed.digest[16:])
    assert plain.h != compressed.h
    assert len(plain.content) == rounded_size(28 + len(TEXT) + 1)


def test_a_passphrase_opens_the_envelope(made: Made) -> None:
    """A passphrase in another of Unicode's forms leads to the envelope, of which both copies count."""
    writer, envelope = made.writer, bytes(range(32))
    aliases = [("home", writer.mutable_cap(ROOT))]
    writer.passphrase("1" * 32, envelope, "Paßwort mit ü", "label", 77)
    writer.envelope(envelope, writer.key("keeper"), aliases)
    [path] = [name for name in writer.objects if name.startswith("envelopes/") and name.endswith(".copy")]
    kept = writer.objects[path]
    writer.envelope(envelope, writer.key("writer"), [])
    writer.objects[path] = kept
    found = unlock(writer.objects, "Paßwort mit u\N{COMBINING DIAERESIS}")
    assert found == ("label", 77, writer.key("writer"), aliases)
    with pytest.raises(FormatError, match="leads nowhere"):
        unlock(writer.objects, "another")


def test_keys_prove_themselves(made: Made) -> None:
    """A key of another vault is refused, whether or not it names this one's id, and so is a mistyped one."""
    other = SecondWriter(bytes(31) + b"\1", stream("another"))
    for kind in ("writer", "keeper", "locator"):
        with pytest.raises(FormatError, match="another vault"):
            Vault(made.writer.objects, other.key(kind))
        with pytest.raises(FormatError, match="not the vault's"):
            Vault(made.writer.objects, key_text(kind, other._keys[kind], made.writer.id))
        text = made.writer.key(kind)
        with pytest.raises(FormatError, match="typing error"):
            Vault(made.writer.objects, text[:-20] + ("a" if text[-20] != "a" else "b") + text[-19:])


def test_a_header_proves_itself(made: Made) -> None:
    """A header with another's signers, id or signature is refused, as is one with a wrong check."""
    other = SecondWriter(bytes(31) + b"\1", stream("another"))
    lines = made.writer.header().splitlines()
    for line, strange in enumerate(other.header().splitlines()):
        if strange != lines[line]:
            changed = b"\n".join([*lines[:line], strange, *lines[line + 1 : 7]]) + b"\n"
            changed += b"check " + hashed(changed).hex()[:16].encode() + b"\n" if line < 7 else strange + b"\n"
            with pytest.raises(FormatError):
                read_header({"header": changed})
    newer = made.writer.header().replace(b"format 2", b"format 3").rpartition(b"check")[0]
    newer += b"check " + hashed(newer).hex()[:16].encode() + b"\n"
    with pytest.raises(OtherFormatError):
        read_header({"header": newer, "header.copy": made.writer.header()})
    torn = made.writer.header().replace(b"format 2", b"format 3")
    assert read_header({"header": torn, "header.copy": made.writer.header()}).id == made.writer.id


def refused(made: Made, stored: Sealed, size: int, message: str) -> None:
    """Require that a reader refuses this object, which is packed, in the index and in no way damaged."""
    made.add(stored)
    vault, cap = made.open("locator"), stored.cap(size)
    read = vault.directory if stored.kind == DIRECTORY else vault.chunks
    with pytest.raises(FormatError, match=message):
        list(read(cap))


@pytest.mark.parametrize("name", ALL_TABLES)
def test_forbidden_tables_are_refused(made: Made, name: str) -> None:
    """A table that the page forbids is refused, however well it is sealed."""
    stored, size = forbidden_table(made.writer, name)
    message = "malformed|empty table|write cap in an immutable|packed cap is not in its one form"
    refused(made, stored, size, message)


def test_metadata_begins_with_its_long_head() -> None:
    """An entry's metadata in MessagePack's shortest form is refused, and so are longer forms of anything else."""
    good = encode_entries([entry(b"name", "URI:LIT:", {"m": 1})])
    assert read_entries(good)
    assert b"\xde\x00\x01" in good
    for wrong in (
        good.replace(b"\xde\x00\x01", b"\x81"),
        good.replace(b"\xc4\x04name", b"\xc5\x00\x04name"),
        b"\xdc\x00\x01" + good[1:],
    ):
        with pytest.raises(FormatError, match="one form"):
            read_entries(wrong)
    doubled = good.replace(b"\xde\x00\x01\xa1m\x01", b"\xde\x00\x02\xa1m\x01\xa1m\x01")
    with pytest.raises(FormatError):
        read_entries(doubled)


@pytest.mark.parametrize("name", ALL_LISTS)
def test_forbidden_lists_are_refused(made: Made, name: str) -> None:
    """A list that the page forbids is refused, however well it is sealed."""
    stored, size = forbidden_list(made.writer, name)
    message = "too long|add up|above level|impossible level|without children|shape|out of bounds|hole is|one too many|too late"
    refused(made, stored, size, message)


def test_tables_ascend_over_the_whole_directory(made: Made) -> None:
    """Two tables that each ascend, and not together, are refused, and so is a child with a wrong first name."""
    tables = [[entry(b"a", "URI:LIT:"), entry(b"m", "URI:LIT:")], [entry(b"m", "URI:LIT:"), entry(b"z", "URI:LIT:")]]
    for names, message in (((b"a", b"m"), "tables out of order"), ((b"a", b"l"), "wrong first name")):
        sealed = [made.writer.table(table)[0] for table in tables]
        sizes = [len(encode_entries(table)) + 1 for table in tables]
        node = made.writer.node(DIRECTORY, 1, [one.child(size, name) for one, size, name in zip(sealed, sizes, names, strict=True)])
        pack = made.writer.pack([*sealed, node])
        made.writer.register("index", made.writer.index([pack]))
        with pytest.raises(FormatError, match=message):
            made.open("locator").directory(node.cap(sum(sizes)))


def test_links_of_another_content_are_refused(made: Made) -> None:
    """Sealed links that are not those of the content are noticed by a reader, and h tells them from others."""
    content = b"\0" + encode_entries([entry(b"file", made.file)])
    stored = made.writer.object(DIRECTORY, content, b"")
    refused(made, stored, len(content), "sealed links are others")
    honest = made.writer.object(DIRECTORY, content)
    link = Link(DIRECTORY, unbase32("a" * 26), honest.h)
    exchanged = honest._replace(links=seal_links(DIRECTORY, link.storage_index, b""))
    made.writer.register("index", made.writer.index([made.writer.pack([exchanged])]))
    with pytest.raises(FormatError, match="all its copies are wrong"):
        made.open().directory(honest.cap(len(content)))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_poisoned_chunk_raises_an_alarm(made: Made, *, compressed: bool) -> None:
    """Bytes of another content under a known read key have an h, and no reader takes them for what was meant."""
    poisoned = made.writer.object(CHUNK, b"x" * len(TEXT), compressed=compressed, claimed=TEXT)
    honest = made.writer.object(CHUNK, TEXT)
    assert (poisoned.name, poisoned.read_key, poisoned.digest[16:]) == (honest.name, honest.read_key, honest.digest[16:])
    refused(made, poisoned, len(TEXT), "does not fit its cap")


@pytest.mark.parametrize("what", ["index", "footer", "register", "session"])
def test_what_nobody_stamped_is_passed_over(made: Made, what: str) -> None:
    """Without a right stamp an index object, a footer, a register or a session counts for nothing."""
    forger = SecondWriter(bytes(32), stream("a forger"))
    forger._seeds = [bytes(32), bytes(32)]
    forger.objects = made.writer.objects
    if what == "index":
        made.writer.register("index", forger.index([made.pack]))
        assert made.open().was_rebuilt
    elif what == "footer":
        forged = forger.pack(list(made.objects.values()))
        del made.writer.objects["registers/index"]
        vault = made.open()
        assert [note.partition(":")[0] for note in vault.passed_over] == [f"packs/{forged.name.hex()}"]
    elif what == "register":
        forger.register("roots", b"", number=2)
        with pytest.raises(FormatError, match="nobody who may"):
            made.open("keeper").roots()
    else:
        forger.session("f" * 32, "open", 1, "", b"")
        keeper = made.open("keeper")
        assert len(keeper.sessions()) == 1
        assert len(keeper.passed_over) == 1


def test_a_footer_binds_its_objects(made: Made) -> None:
    """A right footer behind other bytes is somebody's forgery."""
    pack = made.pack.pack
    forged = bytes(100) + pack[100:]
    del made.writer.objects[f"packs/{made.pack.name.hex()}"], made.writer.objects["registers/index"]
    made.writer.objects[f"packs/{hashed(forged).hex()}"] = forged
    vault = made.open()
    assert vault.places == {}
    assert "a footer of other objects" in vault.passed_over[0]


def test_either_signer_will_do(made: Made) -> None:
    """What the keeper's signer stamped counts as much."""
    pack = made.writer.pack(list(made.objects.values()), signer=KEEPER)
    made.writer.register("index", made.writer.index([pack], signer=KEEPER), signer=KEEPER, number=2, predecessor=bytes(32))
    vault = made.open()
    vault.check_packs()
    assert not vault.was_rebuilt


def test_slots_are_checked(made: Made) -> None:
    """A slot with other links, an exchanged write cap, a first state that follows another, or a file's entry is refused."""
    writer, root = made.writer, made.writer.mutable_cap(ROOT)
    writer.slot(ROOT, [entry(b"a", made.file)], links=b"")
    with pytest.raises(FormatError, match="links do not follow"):
        made.open().directory(root)
    sealed = writer.sealed_write_cap(ROOT, writer.mutable_cap(FILE))
    writer.slot(ROOT, [entry(b"a", attenuate(writer.mutable_cap(BELOW)), {}, sealed)])
    assert made.open().directory(attenuate(root))[0].write_cap is None
    with pytest.raises(FormatError, match="leads elsewhere"):
        made.open().directory(root)
    writer.slot(ROOT, [], predecessor=b"\1" * 32)
    with pytest.raises(FormatError, match="predecessor"):
        made.open().directory(root)
    with pytest.raises(FormatError, match="no directory's"):
        made.open().directory(writer.mutable_cap(FILE))
    with pytest.raises(FormatError, match="no mutable file's"):
        content_of(made.open(), writer.mutable_cap(BELOW, "SSK"))
    writer.slot(ROOT, [], number=1 << 62)
    with pytest.raises(FormatError):
        made.open().directory(root)


def test_padding_has_one_form() -> None:
    """Padding that is not zero, or too long, or of a frame that lies about its size, is refused."""
    good = pad(b"contents", 40)
    assert unpad(good, 40) == b"contents"
    assert unpad(pad(TEXT, 40, compressed=True), 40) == TEXT
    for wrong in (good[:-1] + b"\1", good + bytes(8), good[:-1], b"\2" + good[1:], pad(TEXT, 40)[:1] + b"\xff" + pad(TEXT, 40)[2:]):
        with pytest.raises(FormatError):
            unpad(wrong, 40)
    for bomb in (
        compress(bytes(1 << 20), declares=False),
        compress(bytes(1 << 20)),
        compress(TEXT) + compress(b"more"),
        b"\x50\x2a\x4d\x18" + bytes(4),
    ):
        stored = b"\1" + len(TEXT).to_bytes(4, "big") + len(bomb).to_bytes(4, "big") + bomb
        with pytest.raises(FormatError):
            unpad(stored.ljust(padded_size(len(stored) + 40) - 40, b"\0"), 40)


def test_links_may_end_like_their_padding() -> None:
    """A link whose last byte is FF is told from the padding behind it."""
    link = Link(CHUNK, b"", b"\xff" * 16)
    assert split_links(join_links([link]) + b"\xff" * 20, is_padded=True) == [link]
    for wrong in (join_links([link]) + b"\xff\0", b"\4" + bytes(16), b"\0" + bytes(15)):
        with pytest.raises(FormatError):
            split_links(wrong, is_padded=True)
