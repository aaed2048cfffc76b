"""Values of a snapshot: entries, metadata, snapshot facts, and their canonical bytes."""

from tallac.dag.entry import Entry
from tallac.dag.metadata import FileType, Metadata, SnapshotFacts, Time, time_from_ns, time_to_ns
from tallac.dag.packed import pack_cap, packed_size, unpack_cap
from tallac.dag.table import decode_table, encode_entry, encode_table, table_of_encoded

__all__ = [
    "Entry",
    "FileType",
    "Metadata",
    "SnapshotFacts",
    "Time",
    "decode_table",
    "encode_entry",
    "encode_table",
    "pack_cap",
    "packed_size",
    "table_of_encoded",
    "time_from_ns",
    "time_to_ns",
    "unpack_cap",
]
