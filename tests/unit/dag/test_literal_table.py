from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tallac.caps import Cap, ImmutableFile, LiteralDirectory, LiteralFile, UnknownCap
from tallac.dag import Entry, Metadata
from tallac.dag.literal_table import decode_literal, encode_child, literal_directory
from tallac.errors import CorruptObjectError

NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)
CAPS = st.one_of(st.binary(max_size=55).map(LiteralFile), st.just(ImmutableFile(bytes(16), bytes(32), 1, 1, 60)))


@given(st.dictionaries(NAMES, CAPS, max_size=5))
def test_a_table_comes_back(children: dict[bytes, Cap]) -> None:
    """Whatever is encoded is decoded, names of any bytes included."""
    entries = [Entry.of(name, cap, Metadata(mtime=(1, 500_000_000))) for name, cap in sorted(children.items())]
    assert decode_literal(b"".join(map(encode_child, entries))) == entries


@pytest.mark.parametrize(("content", "is_literal"), [(b"", True), (b"x" * 10, True), (b"x" * 40, False)])
def test_little_lies_in_the_cap(content: bytes, is_literal: bool) -> None:
    """Up to 55 bytes a table makes a cap that holds it; a longer one makes none."""
    made = literal_directory([Entry.of(b"a", LiteralFile(content), Metadata())])
    assert isinstance(made, LiteralDirectory) is is_literal
    if made is not None:
        assert len(made.data) <= 55
        assert [entry.cap for entry in decode_literal(made.data)] == [LiteralFile(content)]


def test_nothing_makes_the_empty_directory() -> None:
    """Without entries it is the cap that a vault gives to an empty directory."""
    assert literal_directory([]) == LiteralDirectory(b"")


def test_a_promise_that_its_place_makes_is_not_written() -> None:
    """All that is in an immutable directory is immutable, so the prefix that says so is left out, as nodes leave it out."""
    assert b"8:lafs://x," in encode_child(Entry.of(b"a", UnknownCap("imm.lafs://x"), Metadata()))


@pytest.mark.parametrize("metadata", [b'{"big": 18446744073709551616}', b'{"text": "\\ud800"}', b"[]", b"nothing"])
def test_metadata_that_no_table_holds_is_refused(metadata: bytes) -> None:
    """A table that a vault could not copy is damage, not a surprise later."""
    entry = b"1:a,10:URI:LIT:ge,0:,%d:%s," % (len(metadata), metadata)
    with pytest.raises(CorruptObjectError):
        decode_literal(b"%d:%s," % (len(entry), entry))
