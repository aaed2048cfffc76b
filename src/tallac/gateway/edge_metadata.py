"""Metadata of an entry <-> the JSON object that clients read and send, and the times of linking that a node records."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tallac.dag import Metadata, time_to_float
from tallac.dag.child_metadata import NODE_KEY, from_child_metadata, to_child_metadata
from tallac.errors import RequestError

Json: TypeAlias = dict[str, object]

NO_WRITE_KEY = "no-write"

Now: TypeAlias = Callable[[], float]
"""Returns seconds since 1970; tests replace it."""

system_now: Now = time.time


def metadata_to_json(metadata: Metadata) -> Json:
    """Return metadata as the JSON object that clients read."""
    other = metadata.other or {}
    return to_child_metadata(metadata) | ({NODE_KEY: other[NODE_KEY]} if NODE_KEY in other else {})


def metadata_from_json(sent: Json) -> Metadata:
    """Parse metadata that a client sent.

    Raises:
        RequestError: It holds values that a directory can't store.
    """
    metadata = from_child_metadata(sent)
    try:
        # A directory's table can't encode numbers that are too large, nor unpaired surrogates.
        msgspec.msgpack.encode(metadata)
    except (ValueError, OverflowError, TypeError, RecursionError, msgspec.MsgspecError):
        raise RequestError("metadata holds what can't be kept: a number that is too large, or text that is no Unicode") from None
    return metadata


def linked(old: Metadata | None, new: Json | None, now: float) -> Metadata:
    """Return the metadata of an entry that is set; its times of linking come from the gateway, and no client can set them.

    Args:
        old: The metadata of the entry that it replaces; None for a new one.
        new: What the client sent; None keeps the old.
        now: Seconds since 1970.
    """
    metadata = (old or Metadata()) if new is None else metadata_from_json({k: v for k, v in new.items() if k != NODE_KEY})
    before = (old.other or {}).get(NODE_KEY) if old is not None else None
    times: Json = dict(before) if isinstance(before, dict) else {}
    if "linkcrtime" not in times:
        # Early clients stored this time under another name.
        times["linkcrtime"] = time_to_float(old.ctime) if old is not None and old.ctime is not None else now
    times["linkmotime"] = now
    return msgspec.structs.replace(metadata, other=(metadata.other or {}) | {NODE_KEY: times})
