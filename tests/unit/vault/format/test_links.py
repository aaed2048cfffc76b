import io
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tallac.backends.memory import MemoryBackend
from tallac.caps import (
    ImmutableDirectory,
    ImmutableFile,
    ImmutableFileVerify,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableFileRead,
    UnknownCap,
    storage_index_of,
)
from tallac.dag import Entry, encode_cap
from tallac.errors import AuthorityError, MalformedObjectError
from tallac.vault.format.links import SMALL_SIZE_MAX, Link, LinkKind, decode_links, link_of, links_of_encoded, links_of_entries
from tallac.vault.vault import create_vault, open_vault

KEY, HASH = b"k" * 16, b"h" * 16 + b"c" * 16


def test_what_refers_to_what() -> None:
    """Each cap's link has its kind; a file's size tells a chunk from a list; literal and foreign caps have none."""
    index = storage_index_of(KEY)
    small, large = (ImmutableFile(KEY, HASH, 1, 1, size) for size in (SMALL_SIZE_MAX, SMALL_SIZE_MAX + 1))
    mutable, file = MutableDirectoryRead(KEY, HASH), MutableFileRead(KEY, HASH)
    expected = [
        (small, Link(LinkKind.CHUNK, b"", HASH[:16])),
        (large, Link(LinkKind.LIST, index, HASH[:16])),
        (ImmutableDirectory(KEY, HASH, 1, 1, 5), Link(LinkKind.DIRECTORY, index, HASH[:16])),
        (mutable, Link(LinkKind.SLOT, mutable.storage_index, HASH)),
        (file, Link(LinkKind.SLOT, file.storage_index, HASH)),
    ]
    for cap, link in expected:
        assert list(decode_links(links_of_encoded(encode_cap(cap)))) == [link]
        assert cap.verify_cap is not None
        assert link_of(cap.verify_cap) == link
    entries = [Entry.of(b"%d" % number, cap) for number, (cap, _) in enumerate(expected)]
    assert list(decode_links(links_of_entries(entries))) == [link for _, link in expected]
    for cap in (LiteralFile(b"x"), LiteralDirectory(b""), ImmutableFile(KEY, HASH, 3, 10, 5), UnknownCap("imm.URI:NEW:x")):
        assert links_of_encoded(encode_cap(cap)) == b""
    with pytest.raises(AuthorityError):
        link_of(ImmutableFileVerify(KEY, HASH, 3, 10, 5))


@given(st.binary(max_size=200), st.integers(0, 5))
def test_links_are_parsed_strictly(junk: bytes, kind: int) -> None:
    """Links are read as what they are, or refused with the declared error."""
    for candidate in (junk, bytes((kind,)) + junk, b"\0" + bytes(16) + bytes((kind,)) + junk):
        try:
            links = list(decode_links(candidate))
        except MalformedObjectError:
            continue
        encoded = b"".join(bytes((link.kind,)) + link.storage_index + link.hash for link in links)
        assert candidate.startswith(encoded)
        assert not candidate[len(encoded) :].strip(b"\xff")


@pytest.mark.parametrize(
    "encoded", [b"", b"L" + bytes(5000), b"M" + bytes(5000), b"C", b"C" + bytes(48), b"D" + bytes(60), b"X", b"T\xff"]
)
def test_a_cap_that_is_none_is_damage(tmp_path: Path, encoded: bytes) -> None:
    """A directory whose author put something else in a cap's place: a check names the entry, and the rest is checked."""
    backend = MemoryBackend()
    with open_vault(backend, create_vault(backend), state=tmp_path) as vault:
        with vault.session() as session, session.writing() as writer:
            good = encode_cap(writer.put_file(io.BytesIO(b"x" * 1000)))
            try:
                cap = writer.put_directory([Entry(b"bad", encoded), Entry(b"good", good)])
            except MalformedObjectError:
                return  # Not even written.
        report = vault.check(cap, read_data=True)
        assert [finding.path for finding in report.findings if finding.damaged] == [b"bad"]
        assert report.files >= 1
