from __future__ import annotations

import json

import pytest
from hypothesis import example, given, strategies as st

from tallac.dag import Entry, Metadata, SnapshotFacts, decode_table, encode_table
from tallac.errors import RequestError
from tallac.gateway.edge_metadata import Json, linked, metadata_from_json, metadata_to_json

json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)
keys = (
    st.sampled_from(["mtime", "ctime", "st_mode", "st_uid", "st_gid", "st_ino", "st_dev", "tahoe", "tallac", "no-write"])
    | st.text()
)
sent_metadata: st.SearchStrategy[Json] = st.dictionaries(keys, json_values, max_size=8)


@pytest.mark.slow
@example({"mtime": 2**60 + 1, "ctime": -1e-10, "st_mode": -1, "st_uid": True, "st_gid": 2**64 - 1, "tallac": {}, "tahoe": None})
@example({"st_mode": 2**32})
@given(sent_metadata)
def test_clients_read_what_they_sent(sent: Json) -> None:
    """Whatever JSON a client sends comes back as it was, and has a place in a table."""
    metadata = metadata_from_json(sent)
    assert metadata_to_json(metadata) == sent
    entries = [Entry(b"name", b"L", metadata)]
    assert decode_table(encode_table(entries)) == entries


def test_standard_keys_are_understood() -> None:
    """A restore sets the metadata that `tahoe backup` writes."""
    metadata = metadata_from_json(
        {"mtime": 1.5, "ctime": 2.25, "st_mode": 0o100644, "st_uid": 1, "st_gid": 2, "st_ino": 3, "st_dev": 4}
    )
    expected = Metadata(mode=0o100644, uid=1, gid=2, inode=3, device=4, mtime=(1, 500_000_000), ctime=(2, 250_000_000))
    assert metadata == expected


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", {"x": ["\udfff"]}], ids=repr)
def test_what_no_table_holds_is_refused(value: object) -> None:
    """Numbers beyond 64 bits and halves of characters are refused before anything is stored."""
    with pytest.raises(RequestError):
        metadata_from_json({"own": value})


def test_times_of_linking() -> None:
    """The first time stays, the last one moves; a client can neither set nor clear them."""
    first = linked(None, {"own": 1, "tahoe": {"linkcrtime": 1}}, 10.0)
    assert metadata_to_json(first) == {"own": 1, "tahoe": {"linkcrtime": 10.0, "linkmotime": 10.0}}
    kept = linked(first, None, 20.0)
    assert metadata_to_json(kept) == {"own": 1, "tahoe": {"linkcrtime": 10.0, "linkmotime": 20.0}}
    cleared = linked(kept, {}, 30.0)
    assert metadata_to_json(cleared) == {"tahoe": {"linkcrtime": 10.0, "linkmotime": 30.0}}
    of_a_snapshot = linked(Metadata(ctime=(5, 0)), None, 40.0)
    assert metadata_to_json(of_a_snapshot) == {"ctime": 5.0, "tahoe": {"linkcrtime": 5.0, "linkmotime": 40.0}}


def test_what_a_snapshot_knows_comes_back() -> None:
    """Metadata of a snapshot's entry, which clients see under Tahoe's keys and one of Tallac's, come back from JSON."""
    metadata = Metadata(
        mode=0o100644,
        uid=1,
        user="u",
        mtime=(1_700_000_000, 123_456_789),
        ctime=(1_700_000_001, 987_654_321),
        links=2,
        target=b"\xff",
        xattrs=((b"user.a", b"\xff"),),
        holes=((1, 2),),
        snapshot=SnapshotFacts(host="h", sources=(b"/\xff",), tags=("t",)),
        other={"tallac": {"held": True}, "theirs": 1},
    )
    shown = json.loads(json.dumps(metadata_to_json(metadata)))
    assert metadata_from_json(shown) == metadata
    # Another tool has set the time meanwhile: the finer one of before counts no more.
    assert metadata_from_json(shown | {"mtime": 5.0}).mtime == (5, 0)
    assert metadata_from_json(shown | {"mtime": 5.0}).xattrs == metadata.xattrs
