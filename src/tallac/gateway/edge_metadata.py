"""Metadata of an entry <-> the JSON object that Tahoe-LAFS clients see and send.

Keys that `tahoe backup` writes (mtime, ctime, st_mode and so on) keep their meaning; what else a snapshot knows of a file stands
under "tallac"; everything else is kept verbatim. A key whose value would not come back exactly is kept verbatim too, so that what a
client stored is what it reads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tallac.dag import Metadata, Time
from tallac.errors import RequestError

Json: TypeAlias = dict[str, object]

OWN_KEY = "tallac"
SYSTEM_KEY = "tahoe"
NO_WRITE_KEY = "no-write"

_TIMES = ("mtime", "ctime")
_NUMBERS = {"mode": "st_mode", "uid": "st_uid", "gid": "st_gid", "inode": "st_ino", "device": "st_dev"}
_NUMBER_LIMIT = 1 << 64

Now: TypeAlias = Callable[[], float]
"""Gives seconds since 1970; a test bends it."""

system_now: Now = time.time


def metadata_to_json(metadata: Metadata) -> Json:
    """Write metadata for a client."""
    shown: Json = {}
    own = metadata
    for field in _TIMES:
        value: Time | None = getattr(metadata, field)
        if value is not None:
            shown[field] = _float_of(value)
            if _time_of(_float_of(value)) == value:
                own = msgspec.structs.replace(own, **{field: None})
    for field, key in _NUMBERS.items():
        number = getattr(metadata, field)
        if number is not None:
            shown[key] = number
            own = msgspec.structs.replace(own, **{field: None})
    own = msgspec.structs.replace(own, other=None)
    if own != Metadata():
        shown[OWN_KEY] = msgspec.to_builtins(own)
    return shown | (metadata.other or {})


def metadata_from_json(sent: Json) -> Metadata:
    """Read metadata that a client sent.

    Raises:
        RequestError: It is no JSON object that could be kept.
    """
    other = dict(sent)
    metadata = _own_of(other)
    fields: dict[str, object] = {}
    for field in _TIMES:
        value = other.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = getattr(metadata, field) or _time_of(value)
            if moment is not None and _is_same(_float_of(moment), value):
                fields[field] = moment
                del other[field]
    for field, key in _NUMBERS.items():
        value = other.get(key)
        if type(value) is int and 0 <= value < _NUMBER_LIMIT:
            fields[field] = value
            del other[key]
    _require_storable(other)
    return msgspec.structs.replace(metadata, other=other or None, **fields)


def linked(old: Metadata | None, new: Json | None, now: float) -> Metadata:
    """Give the metadata of an entry that is set: its own times of linking are the system's, and nobody else's.

    Args:
        old: The metadata of the entry whose place it takes.
        new: What the client sent; None leaves the old.
        now: Seconds since 1970.
    """
    metadata = (old or Metadata()) if new is None else metadata_from_json({k: v for k, v in new.items() if k != SYSTEM_KEY})
    before = (old.other or {}).get(SYSTEM_KEY) if old is not None else None
    system: Json = dict(before) if isinstance(before, dict) else {}
    if "linkcrtime" not in system:
        system["linkcrtime"] = _float_of(old.ctime) if old is not None and old.ctime is not None else now
    system["linkmotime"] = now
    return msgspec.structs.replace(metadata, other=(metadata.other or {}) | {SYSTEM_KEY: system})


def _own_of(other: Json) -> Metadata:
    """Take out what stands under our own key, if it is what we write there."""
    try:
        metadata = msgspec.convert(other[OWN_KEY], Metadata)
    except (KeyError, msgspec.ValidationError):
        return Metadata()
    if msgspec.to_builtins(metadata) != other[OWN_KEY] or metadata.other is not None:
        return Metadata()
    del other[OWN_KEY]
    return metadata


def _float_of(moment: Time) -> float:
    return moment[0] + moment[1] / 1e9 if moment[1] else float(moment[0])


def _time_of(value: float) -> Time | None:
    if not math.isfinite(value):
        return None
    seconds = math.floor(value)
    nanoseconds = round((value - seconds) * 1e9)
    return (seconds + 1, 0) if nanoseconds == 1_000_000_000 else (seconds, nanoseconds)


def _is_same(shown: float, sent: float) -> bool:
    return type(sent) is float and shown == sent


def _require_storable(other: Json) -> None:
    try:
        # Numbers that are no number, or too large, and unpaired surrogates have no form in a table.
        msgspec.msgpack.encode(other)
    except (ValueError, OverflowError, TypeError, RecursionError, msgspec.MsgspecError):
        raise RequestError(
            "metadata holds a value that can't be kept: a number that is too large, or text that is no Unicode"
        ) from None
