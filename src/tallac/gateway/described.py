"""Nodes as the JSON that clients read."""

from __future__ import annotations

import json

from tallac.caps import (
    IMMUTABLE_PREFIX,
    READ_ONLY_PREFIX,
    Cap,
    ImmutableFile,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableFileRead,
    UnknownCap,
    VerifyCap,
    WriteCap,
    base32,
    parse_lenient,
)
from tallac.gateway.edge_metadata import Json, metadata_to_json
from tallac.gateway.nodes import Node, read_cap_of


def json_text(value: object) -> bytes:
    """Return JSON as nodes write it: indented, ASCII only, with a line break at its end."""
    return json.dumps(value, indent=1).encode("ascii") + b"\n"


def describe(node: Node, size: int | None = None, *, is_listed: bool = False) -> tuple[str, Json]:
    """Return the kind of a node, and its caps, size and metadata as JSON; in a listing, unknown values are left out."""
    kind = "dirnode" if node.is_directory else "filenode" if node.is_file else "unknown"
    facts: Json = {}
    if node.is_file:
        facts |= _file_facts(node, size)
    elif node.is_directory:
        facts["mutable"] = node.is_mutable
    elif not is_listed:
        facts |= _unknown_facts(node)
    facts |= cap_texts(node)
    if node.metadata is not None:
        facts["metadata"] = metadata_to_json(node.metadata)
    return kind, facts


def cap_texts(node: Node) -> Json:
    """Return the texts of all caps that follow from the strongest one known of a node, by JSON key."""
    texts: Json = {}
    if isinstance(node.cap, VerifyCap):
        return texts
    if isinstance(node.cap, UnknownCap) and node.weaker is None:
        # Of an unknown cap, only the prefix tells what it allows.
        if _is_alleged(node.cap):
            texts["ro_uri"] = node.cap.text
        return texts
    read = node.weaker if isinstance(node.cap, UnknownCap) else read_cap_of(node.cap)
    if isinstance(node.cap, WriteCap | UnknownCap):
        texts["rw_uri"] = node.cap.danger_whole_text()
    if read is not None:
        texts["ro_uri"] = read.danger_whole_text()
    if node.cap.verify_cap is not None:
        texts["verify_uri"] = node.cap.verify_cap.danger_whole_text()
    return texts


def storage_index_text(cap: Cap) -> str:
    """Return the storage index of the object that a cap refers to, in base32; empty if nothing is stored."""
    verify = cap.verify_cap
    index = getattr(verify, "storage_index", b"")
    return base32.encode(index) if isinstance(index, bytes) else ""


def file_size_of(cap: Cap) -> int | None:
    """Return the size of a file in bytes; None where the cap does not hold it."""
    return cap.size if isinstance(cap, ImmutableFile | LiteralFile | LiteralDirectory) else None


def _file_facts(node: Node, size: int | None) -> Json:
    read = node.read_cap
    facts: Json = {"mutable": node.is_mutable}
    facts["format"] = read.format.value.upper() if isinstance(read, MutableFileRead) else "CHK"
    known = file_size_of(node.cap) if size is None else size
    if known is not None:
        facts["size"] = known
    return facts


def _unknown_facts(node: Node) -> Json:
    if node.weaker is not None:
        return {"mutable": True}
    in_immutable = node.parent is not None and not isinstance(read_cap_of(node.parent), MutableDirectoryRead)
    is_immutable = node.cap.danger_whole_text().startswith(IMMUTABLE_PREFIX) and _is_alleged(node.cap)
    return {"mutable": False} if in_immutable or is_immutable else {}


def _is_alleged(cap: Cap) -> bool:
    """Whether the prefix of a cap of unknown kind says what it allows, and the rest does not contradict it."""
    text = cap.danger_whole_text()
    for prefix in (READ_ONLY_PREFIX, IMMUTABLE_PREFIX):
        if text.startswith(prefix):
            return isinstance(parse_lenient(text.removeprefix(prefix)), UnknownCap)
    return False
