"""The one form that an entry's metadata have as stored, with MessagePack written by hand: docs/format.md, at its beginning."""

import pytest

from tallac.dag import Entry, Metadata, decode_table, encode_table
from tallac.dag.encoded import encode_literal_file
from tallac.errors import MalformedObjectError

NAME, CAP = b"\xc4\x01a", b"\xc4\x02Lx"
NIL = b"\xc0"
MODE = b"\xa1m\xcd\x81\xa4"  # "m": 0o100644
LINKS = b"\xa1l\x02"  # "l": 2


def table(metadata: bytes) -> bytes:
    """Return a table of one entry with these bytes for its metadata."""
    return b"\x91\x94" + NAME + CAP + metadata + NIL


@pytest.mark.parametrize(
    ("metadata", "stored"),
    [
        (Metadata(), b"\xde\x00\x00"),
        (Metadata(mode=0o100644), b"\xde\x00\x01" + MODE),
        (Metadata(mode=0o100644, links=2), b"\xde\x00\x02" + MODE + LINKS),
    ],
)
def test_metadata_begin_with_the_long_form_of_a_map(metadata: Metadata, stored: bytes) -> None:
    """A map of metadata begins with `de` and its length in two bytes, however few keys it has: so it is written, and read."""
    entry = Entry(b"a", encode_literal_file(b"x"), metadata)
    assert encode_table([entry]) == table(stored)
    assert decode_table(table(stored)) == [entry]


@pytest.mark.parametrize(
    "stored",
    [
        b"\x80",
        b"\x81" + MODE,
        b"\x82" + MODE + LINKS,
        b"\xdf\x00\x00\x00\x01" + MODE,
        b"\xde\x00\x02" + LINKS + MODE,
        b"\xde\x00\x02" + MODE + MODE,
        b"\xde\x00\x01\xa1m\xce\x00\x00\x81\xa4",
        b"\xde\x00\x01\xd9\x01m\xcd\x81\xa4",
        b"\xde\x00\x01\xa1l\x01",
    ],
    ids=["short", "short with a key", "short with two", "longer", "out of order", "twice", "long number", "long key", "a default"],
)
def test_no_other_form_is_read(stored: bytes) -> None:
    """What says the same in other bytes, the shortest form of a map included, is refused: each directory has one form."""
    with pytest.raises(MalformedObjectError):
        decode_table(table(stored))
