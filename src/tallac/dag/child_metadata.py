"""Metadata of an entry <-> metadata of a child on a Tahoe-LAFS grid, which is JSON.

`tahoe backup` writes `mtime` and `ctime` (seconds in floating point), `st_mode`, `st_ino`, `st_dev`, `st_uid` and `st_gid`. These
are written and read in that form; the rest of an entry's metadata is under `tallac`. Where both hold a value, as for the exact
time, the one under `tallac` counts only as long as it agrees: another tool may have changed the other.
"""

from __future__ import annotations

import json
from typing import cast

import msgspec

from tallac.dag.metadata import FileType, Metadata, SnapshotFacts, Time, file_type_of, is_time, time_from_float, time_to_float

TALLAC_KEY = "tallac"
NODE_KEY = "tahoe"
"""Written by the node itself: when the child was linked."""

_NUMBERS = {"st_mode": "mode", "st_uid": "uid", "st_gid": "gid", "st_ino": "inode", "st_dev": "device"}
_TIMES = ("mtime", "ctime")
_MODE_LIMIT = 1 << 16
_NUMBER_LIMIT = 1 << 64
_SECONDS_LIMIT = 1 << 62
"""The largest values, exclusive, that a directory's table can hold."""


# The fields are written out, because a class derived from Metadata at run time costs 0.3 ms of each start, and mypy can't see its
# fields. A test compares the two.
class TallacKeys(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The values under `tallac`, byte strings in base64: the fields of `tallac.dag.Metadata` that have no standard key."""

    mtime: Time | None = None
    ctime: Time | None = None
    user: str | None = None
    group: str | None = None
    links: int = 1
    target: bytes | None = None
    rdev: tuple[int, int] | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    flags: int = 0
    holes: tuple[tuple[int, int], ...] = ()
    changed: bool = False
    missing: tuple[bytes, ...] = ()
    partial: bool = False
    mounted: bool = False
    snapshot: SnapshotFacts | None = None


_PLAIN_FIELDS = tuple(name for name in TallacKeys.__struct_fields__ if name not in _TIMES)


def to_child_metadata(metadata: Metadata) -> dict[str, object]:
    """Return the metadata of an entry as the JSON metadata of a child."""
    written = standard_keys(metadata)
    fields = {name: getattr(metadata, name) for name in _PLAIN_FIELDS}
    keys = TallacKeys(**fields, mtime=_precise(metadata.mtime), ctime=_precise(metadata.ctime))
    other = metadata.other or {}
    own = msgspec.to_builtins(keys)
    # Holds and tags of snapshots are stored under the same key.
    beside = other.get(TALLAC_KEY)
    if own:
        written[TALLAC_KEY] = (beside if isinstance(beside, dict) else {}) | own
    elif TALLAC_KEY in other:
        written[TALLAC_KEY] = beside
    return written | {key: value for key, value in other.items() if key not in (NODE_KEY, TALLAC_KEY)}


def standard_keys(metadata: Metadata) -> dict[str, object]:
    """Return the keys that `tahoe backup` writes, without those whose value is unknown."""
    numbers = {key: getattr(metadata, field) for key, field in _NUMBERS.items()}
    times = {name: None if (time := getattr(metadata, name)) is None else time_to_float(time) for name in _TIMES}
    return {key: value for key, value in {**numbers, **times}.items() if value is not None}


def fits_standard_keys(metadata: Metadata) -> bool:
    """Whether the keys that `tahoe backup` writes hold all that a restore needs.

    They lose a quarter of a microsecond of each time, and the names of owners.
    """
    bare = msgspec.structs.replace(metadata, mtime=None, ctime=None, user=None, group=None)
    keys = TallacKeys(**{name: getattr(bare, name) for name in _PLAIN_FIELDS})
    is_plain = metadata.file_type in (FileType.REGULAR, FileType.DIRECTORY)
    return is_plain and keys == TallacKeys() and metadata.other is None


def from_child_metadata(found: dict[str, object], *, with_node_key: bool = True) -> Metadata:
    """Parse the metadata of a child. Keys with values that don't fit are kept with the unknown keys: another tool wrote them.

    Args:
        found: JSON values.
        with_node_key: Whether to keep the node's own key, which no client can change.
    """
    known = dict(found)
    if not with_node_key:
        known.pop(NODE_KEY, None)
    foreign = known.pop(TALLAC_KEY, None)
    if isinstance(foreign, dict) and foreign:
        metadata = _read(dict(known) | {TALLAC_KEY: foreign})
        # Times are dropped if another tool has changed them since; everything else must be exactly what would be written here.
        if _without_times(_as_json(to_child_metadata(metadata).get(TALLAC_KEY))) == _without_times(foreign):
            return metadata
    metadata = _read(known)
    if TALLAC_KEY not in found:
        return metadata
    return msgspec.structs.replace(metadata, other=(metadata.other or {}) | {TALLAC_KEY: foreign})


def _read(other: dict[str, object]) -> Metadata:
    keys = _tallac_keys(other)
    fields: dict[str, object] = {name: getattr(keys, name) for name in _PLAIN_FIELDS}
    for key, name in _NUMBERS.items():
        if _is_number(other.get(key), is_mode=name == "mode"):
            fields[name] = other.pop(key)
    for name in _TIMES:
        time = _read_time(other.get(name))
        if time is not None:
            del other[name]
            precise = cast("Time | None", getattr(keys, name))
            fields[name] = precise if precise is not None and is_time(time, precise) else time
    return Metadata(**fields, other=other or None)  # type: ignore[arg-type]


def _tallac_keys(other: dict[str, object]) -> TallacKeys:
    found = other.get(TALLAC_KEY)
    if not isinstance(found, dict):
        return TallacKeys()
    try:
        keys = msgspec.convert(found, TallacKeys)
    except msgspec.ValidationError:
        return TallacKeys()
    del other[TALLAC_KEY]
    beside = {key: value for key, value in found.items() if key not in TallacKeys.__struct_fields__}
    if beside:
        other[TALLAC_KEY] = beside
    return keys


def _as_json(value: object) -> object:
    """Return a value as it comes back from JSON, with lists for tuples."""
    return json.loads(json.dumps(value))


def _without_times(keys: object) -> dict[str, object]:
    return {key: value for key, value in keys.items() if key not in _TIMES} if isinstance(keys, dict) else {}


def _is_number(value: object, *, is_mode: bool) -> bool:
    """Whether a value is a number that a file can have; a mode must include a file type."""
    if type(value) is not int or not 0 <= value < _NUMBER_LIMIT:
        return False
    return not is_mode or (value < _MODE_LIMIT and file_type_of(value) is not FileType.UNKNOWN)


def _precise(time: Time | None) -> Time | None:
    """Return a time that floating point can't represent exactly; None for any other."""
    return None if time is None or time_from_float(time_to_float(time)) == time else time


def _read_time(value: object) -> Time | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_SECONDS_LIMIT < value < _SECONDS_LIMIT:
        return None
    try:
        time = time_from_float(value)
        # Keys that would not be written back unchanged stay with the unknown keys.
        return time if time_to_float(time) == value else None
    except (ValueError, OverflowError):
        return None
