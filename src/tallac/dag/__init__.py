"""Values of a snapshot: entries, metadata, snapshot facts, and their canonical bytes."""

from tallac.dag.entry import Entry
from tallac.dag.metadata import (
    FileType,
    Metadata,
    SnapshotFacts,
    Time,
    is_time,
    time_from_float,
    time_from_ns,
    time_to_float,
    time_to_ns,
)
from tallac.dag.packed import pack_cap, packed_size, split_hashed, unpack_cap
from tallac.dag.snapshot_name import (
    ARCHIVES,
    LATEST,
    free_snapshot_name,
    newest_snapshot,
    next_snapshot_name,
    parse_snapshot_name,
    snapshot_name,
    snapshots_by_time,
)
from tallac.dag.table import decode_table, encode_entry, encode_table, table_of_encoded

__all__ = [
    "ARCHIVES",
    "LATEST",
    "Entry",
    "FileType",
    "Metadata",
    "SnapshotFacts",
    "Time",
    "decode_table",
    "encode_entry",
    "encode_table",
    "free_snapshot_name",
    "is_time",
    "newest_snapshot",
    "next_snapshot_name",
    "pack_cap",
    "packed_size",
    "parse_snapshot_name",
    "snapshot_name",
    "snapshots_by_time",
    "split_hashed",
    "table_of_encoded",
    "time_from_float",
    "time_from_ns",
    "time_to_float",
    "time_to_ns",
    "unpack_cap",
]
