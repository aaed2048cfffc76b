"""Values of a snapshot: entries, metadata, snapshot facts, and their canonical bytes."""

from tallac.dag.ancestors import LEADS_BACK, Ancestors, mutable_identity
from tallac.dag.encoded import EncodedCap, decode_cap, encode_cap, encode_file_cap, encode_literal_file
from tallac.dag.entry import Entry, EntryList
from tallac.dag.metadata import (
    FileType,
    Metadata,
    SnapshotFacts,
    SnapshotRules,
    Time,
    is_time,
    time_from_float,
    time_from_ns,
    time_to_float,
    time_to_ns,
)
from tallac.dag.paths import Components, display_path, join_components, join_path
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
    "LEADS_BACK",
    "Ancestors",
    "Components",
    "EncodedCap",
    "Entry",
    "EntryList",
    "FileType",
    "Metadata",
    "SnapshotFacts",
    "SnapshotRules",
    "Time",
    "decode_cap",
    "decode_table",
    "display_path",
    "encode_cap",
    "encode_entry",
    "encode_file_cap",
    "encode_literal_file",
    "encode_table",
    "free_snapshot_name",
    "is_time",
    "join_components",
    "join_path",
    "mutable_identity",
    "newest_snapshot",
    "next_snapshot_name",
    "parse_snapshot_name",
    "snapshot_name",
    "snapshots_by_time",
    "table_of_encoded",
    "time_from_float",
    "time_from_ns",
    "time_to_float",
    "time_to_ns",
]
