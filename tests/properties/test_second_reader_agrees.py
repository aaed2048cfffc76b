"""Tallac's decoders and the second reader's take the same bytes for well formed, whatever somebody does to them."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, strategies as st
from tests.formats.second_values import (
    FormatError,
    StoredEntry,
    decode,
    decode_cap as second_decode_cap,
    encode_entries,
    node_children,
    read_entries,
    split_links,
)

from tallac.dag import Entry, Metadata, SnapshotFacts, SnapshotRules, decode_cap, encode_table
from tallac.dag.table import decode_table
from tallac.errors import CorruptObjectError
from tallac.vault.format.links import decode_links
from tallac.vault.format.nodes import NodeRef, decode_node, encode_node
from tallac.vault.format.objects import Kind

NUMBERS = st.one_of(st.none(), st.sampled_from([0, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=5,
)
METADATA = st.builds(
    Metadata,
    mode=NUMBERS.map(lambda mode: None if mode is None else mode % (1 << 17)),
    uid=NUMBERS,
    inode=NUMBERS,
    user=st.none() | st.text(max_size=40),
    mtime=st.none() | st.tuples(st.integers(-(1 << 40), 1 << 40), st.integers(0, 10**9 - 1)),
    target=st.none() | st.binary(max_size=300),
    xattrs=st.dictionaries(st.binary(max_size=4), st.binary(max_size=4), max_size=3).map(
        lambda found: tuple(sorted(found.items()))
    ),
    changed=st.booleans(),
    missing=st.sets(st.binary(min_size=1, max_size=3), max_size=2).map(lambda names: tuple(sorted(names))),
    snapshot=st.none() | st.builds(SnapshotFacts, host=st.text(max_size=3), files=st.integers(0, 300), rules=st.none()),
    other=st.none() | st.dictionaries(st.text(max_size=3), JSON, max_size=3),
)
ENTRIES = st.dictionaries(st.binary(min_size=1, max_size=40), METADATA, max_size=20).map(
    lambda found: [Entry(name, b"L" + name[:55], found[name]) for name in sorted(found)]
)
CAP_TEXTS = [
    b"L",
    b"Lfoo",
    b"M",
    b"C" + bytes(range(48)) + b"\x01\x00",
    b"D" + bytes(range(48)),
    b"TURI:DIR2-RO:" + b"a" * 26 + b":" + b"a" * 52,
    b"TURI:CHK:" + b"a" * 26 + b":" + b"a" * 52 + b":3:10:5",
    b"TURI:CHK:" + b"a" * 26 + b":" + b"a" * 52 + b":1:1:5",
    b"TURI:LIT:",
]


@st.composite
def changes(draw: st.DrawFn, data: bytes) -> bytes:
    """Change a few bytes: other ones, fewer, more."""
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        piece = draw(
            st.binary(max_size=2) | st.sampled_from([b"\xde\x00", b"\xdc\x00", b"\xc5\x00", b"\xcd\x00", b"\xca", b"\xd9"])
        )
        data = data[:place] + piece + data[place + draw(st.integers(0, 3)) :]
    return data


def second_takes(data: bytes) -> bool:
    """Tell whether the second reader takes all of a table."""
    try:
        read_entries(data)
    except FormatError:
        return False
    return True


def is_one_form(data: bytes) -> bool:
    """Tell whether entries are in their one form to the second reader, whatever their values say."""
    try:
        return encode_entries([StoredEntry(*entry) for entry in decode(data)]) == data
    except (FormatError, TypeError, AttributeError):
        return False


@pytest.mark.slow
@given(ENTRIES, st.data())
@example([Entry(b"a", b"L", Metadata(snapshot=SnapshotFacts(rules=SnapshotRules(size_max=0, patterns=((b"", True),)))))], None)
def test_tables(entries: list[Entry], data: st.DataObject | None) -> None:
    """What Tallac makes, both take; of what was changed, Tallac takes what the second reader takes, and nothing in another form."""
    table = encode_table(entries)
    assert second_takes(table)
    if data is None:
        return
    changed = data.draw(changes(table))
    try:
        decode_table(changed)
    except CorruptObjectError:
        assert not second_takes(changed)
    else:
        assert is_one_form(changed)


@pytest.mark.parametrize("kind", [Kind.LIST, Kind.DIRECTORY])
@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(1, 4 << 20)), min_size=1, max_size=40), st.integers(1, 16), st.data())
def test_nodes(kind: Kind, sizes: list[tuple[bytes, int]], level: int, data: st.DataObject) -> None:
    """Both take the same nodes of trees, unchanged or changed; of a directory's, whose names ascend."""
    children = [NodeRef(first, bytes(48), size) for first, size in sorted(dict(sizes).items())]
    changed = data.draw(changes(encode_node(kind, level, children)))
    assume(changed)
    try:
        is_taken = bool(decode_node(kind, changed))
    except CorruptObjectError:
        is_taken = False
    try:
        found = node_children(int(kind), changed)
        names = [child.first_name for child in found]
        is_taken_again = kind is Kind.LIST or names == sorted(set(names))
    except FormatError:
        is_taken_again = False
    assert is_taken == is_taken_again


@given(st.sampled_from(CAP_TEXTS).flatmap(changes))
def test_packed_caps(packed: bytes) -> None:
    """Both take the same packed caps; of texts Tallac may refuse more, since to the second reader any may be one of the future."""
    try:
        text = second_decode_cap(packed)
    except FormatError:
        with pytest.raises(CorruptObjectError):
            decode_cap(packed)
        return
    try:
        cap = decode_cap(packed)
    except CorruptObjectError:
        assert packed[:1] not in {b"C", b"D", b"L", b"M"} or len(packed) > 4096
    else:
        assert cap.danger_whole_text() == text


@given(st.lists(st.sampled_from([b"\0" + bytes(16), b"\1" + bytes(32), b"\2" + b"\xff" * 32, b"\3" + bytes(48)])), st.data())
def test_links(links: list[bytes], data: st.DataObject) -> None:
    """Both take the same links, with or without what fills them up."""
    changed = data.draw(changes(b"".join(links) + b"\xff" * 3))
    try:
        expected = [(link.kind + 1, link.storage_index, link.hash) for link in decode_links(changed)]
    except CorruptObjectError:
        with pytest.raises(FormatError):
            split_links(changed, is_padded=True)
    else:
        assert [tuple(link) for link in split_links(changed, is_padded=True)] == expected
