from __future__ import annotations

import json
import stat

import msgspec
import pytest
from hypothesis import given, strategies as st

from tallac.dag import FileType, Metadata, SnapshotFacts, SnapshotRules, is_time, time_from_float, time_to_float
from tallac.dag.child_metadata import TallacKeys, fits_standard_keys, from_child_metadata, standard_keys, to_child_metadata

times = st.tuples(st.integers(-(10**10), 10**11), st.integers(0, 999_999_999))
some_bytes = st.binary(max_size=20)
rules = st.builds(
    SnapshotRules,
    patterns=st.lists(st.tuples(some_bytes, st.booleans()), max_size=3).map(tuple),
    ignore_file=st.sampled_from([None, b".tallacignore", b"other"]),
    markers=st.lists(st.tuples(some_bytes, some_bytes), max_size=2).map(tuple),
    size_max=st.none() | st.integers(0, 2**40),
    one_file_system=st.booleans(),
    is_cut=st.booleans(),
)
metadata = st.builds(
    Metadata,
    mode=st.none()
    | st.builds(
        int.__or__, st.sampled_from([kind.value for kind in FileType if kind is not FileType.UNKNOWN]), st.integers(0, 0o7777)
    ),
    uid=st.none() | st.integers(0, 2**32),
    user=st.none() | st.text(max_size=5),
    mtime=st.none() | times,
    ctime=st.none() | times,
    inode=st.none() | st.integers(0, 2**64 - 1),
    device=st.none() | st.integers(0, 2**64 - 1),
    links=st.integers(1, 5),
    target=st.none() | some_bytes,
    rdev=st.none() | st.tuples(st.integers(0, 4095), st.integers(0, 2**20)),
    xattrs=st.lists(st.tuples(some_bytes, some_bytes), max_size=3).map(tuple),
    flags=st.integers(0, 2**16),
    holes=st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 2**40)), max_size=3).map(tuple),
    changed=st.booleans(),
    missing=st.lists(some_bytes, max_size=3).map(tuple),
    partial=st.booleans(),
    mounted=st.booleans(),
    snapshot=st.none()
    | st.builds(
        SnapshotFacts,
        host=st.text(max_size=5),
        sources=st.tuples(some_bytes),
        files=st.integers(0, 9),
        rules=st.none() | rules.filter(lambda found: found != SnapshotRules()),
    ),
    other=st.none() | st.just({"theirs": [1, {"deep": None}]}),
)


@given(metadata=metadata)
def test_metadata_comes_back(metadata: Metadata) -> None:
    """All that an entry has survives the way through JSON, times to the nanosecond."""
    assert from_child_metadata(json.loads(json.dumps(to_child_metadata(metadata)))) == metadata


def test_the_keys_of_tahoe_backup() -> None:
    """A file's standard metadata has the keys and forms that `tahoe backup` writes."""
    found = Metadata(mode=0o100644, uid=1000, gid=100, inode=7, device=8, mtime=(1_700_000_000, 250_000_000), ctime=(1, 0))
    written = {
        "st_mode": 0o100644,
        "st_uid": 1000,
        "st_gid": 100,
        "st_ino": 7,
        "st_dev": 8,
        "mtime": 1_700_000_000.25,
        "ctime": 1.0,
    }
    assert to_child_metadata(found) == standard_keys(found) == written
    assert from_child_metadata(dict(written)) == found


def test_what_another_tool_changed_counts() -> None:
    """Where the standard key says another time than Tallac's own, it was changed later."""
    written = to_child_metadata(Metadata(mtime=(1_700_000_000, 123_456_789)))
    assert "tallac" in written
    assert from_child_metadata(written | {"mtime": 1_600_000_000.0}).mtime == (1_600_000_000, 0)


@pytest.mark.parametrize(
    "strange",
    [
        {"mtime": "yesterday"},
        {"mtime": float("inf")},
        {"mtime": True},
        {"st_mode": 1.5},
        {"st_mode": None},
        {"tallac": "no object"},
        {"tallac": {"xattrs": 5}},
    ],
)
def test_what_makes_no_sense_is_kept(strange: dict[str, object]) -> None:
    """A key that has the wrong kind of value is somebody else's."""
    found = from_child_metadata(dict(strange))
    assert found == Metadata(other=strange)


def test_the_node_s_own_key() -> None:
    """The node's own key is read on request, and never sent."""
    found = from_child_metadata({"tahoe": {"linkcrtime": 1.5}, "x": 1})
    assert found.other == {"tahoe": {"linkcrtime": 1.5}, "x": 1}
    assert to_child_metadata(found) == {"x": 1}
    assert from_child_metadata({"tahoe": {"linkcrtime": 1.5}}, with_node_key=False) == Metadata()


def test_what_the_standard_keys_can_say() -> None:
    """Owners' names and the last digits of a time may be lost where a directory is shared, and nothing else."""
    plain = Metadata(mode=stat.S_IFREG | 0o644, user="me", mtime=(1_700_000_000, 123_456_789))
    assert fits_standard_keys(plain)
    for more in (
        Metadata(mode=plain.mode, links=2),
        Metadata(mode=plain.mode, xattrs=((b"a", b"b"),)),
        Metadata(mode=plain.mode, flags=1),
    ):
        assert not fits_standard_keys(more)
    assert not fits_standard_keys(Metadata(mode=stat.S_IFLNK | 0o777, target=b"x"))


@given(time=times)
def test_times_in_floating_point(time: tuple[int, int]) -> None:
    """A time that went through floating point is recognised as the same, and stays as it is when it goes through again."""
    rounded = time_from_float(time_to_float(time))
    assert time_to_float(rounded) == time_to_float(time)
    assert is_time(rounded, time)
    assert not is_time(None, time)
    assert not is_time(rounded, (time[0] + 1, time[1]))


def test_every_field_has_a_key() -> None:
    """A field of an entry's metadata has a standard key or one under `tallac`, which has the same type and the same default."""
    standard = {"mode", "uid", "gid", "inode", "device", "other"}
    fields = {field.name: (field.type, field.default) for field in msgspec.structs.fields(Metadata)}
    keys = {field.name: (field.type, field.default) for field in msgspec.structs.fields(TallacKeys)}
    assert keys == {name: field for name, field in fields.items() if name not in standard}
