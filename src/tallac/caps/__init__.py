"""Caps: capability strings, each of which locates a file or directory and grants access to it.

The grammar and the derivations are those of Tahoe-LAFS (docs/specifications/uri.rst there). A cap is valid only on the
grid that issued it.
"""

from __future__ import annotations

from tallac.caps import base32
from tallac.caps.authority import (
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    FileWriteCap,
    ReadCap,
    VerifyCap,
    WriteCap,
)
from tallac.caps.derivation import read_key_of, storage_index_of, storage_index_of_read_key
from tallac.caps.parsing import IMMUTABLE_PREFIX, READ_ONLY_PREFIX, TEXT_LENGTH_MAX, parse, parse_lenient
from tallac.caps.values import (
    HASH_SIZE,
    KEY_SIZE,
    LITERAL_SIZE_MAX,
    ImmutableDirectory,
    ImmutableDirectoryVerify,
    ImmutableFile,
    ImmutableFileVerify,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableDirectoryVerify,
    MutableDirectoryWrite,
    MutableFileRead,
    MutableFileVerify,
    MutableFileWrite,
    MutableFormat,
    UnknownCap,
)

__all__ = [
    "HASH_SIZE",
    "IMMUTABLE_PREFIX",
    "KEY_SIZE",
    "LITERAL_SIZE_MAX",
    "READ_ONLY_PREFIX",
    "TEXT_LENGTH_MAX",
    "Cap",
    "DirectoryReadCap",
    "DirectoryWriteCap",
    "FileReadCap",
    "FileWriteCap",
    "ImmutableDirectory",
    "ImmutableDirectoryVerify",
    "ImmutableFile",
    "ImmutableFileVerify",
    "LiteralDirectory",
    "LiteralFile",
    "MutableDirectoryRead",
    "MutableDirectoryVerify",
    "MutableDirectoryWrite",
    "MutableFileRead",
    "MutableFileVerify",
    "MutableFileWrite",
    "MutableFormat",
    "ReadCap",
    "UnknownCap",
    "VerifyCap",
    "WriteCap",
    "base32",
    "parse",
    "parse_lenient",
    "read_key_of",
    "storage_index_of",
    "storage_index_of_read_key",
]
