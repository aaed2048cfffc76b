"""Caps in the short binary form that directory tables hold.

    "C" key(16) hash(32) size     immutable file, needed = total = 1; the size is big-endian without leading zero bytes
    "D" key(16) hash(32) size     immutable directory, likewise
    "L" bytes                     literal file
    "M" bytes                     literal directory
    "T" text                      every other cap, as text

Each cap has exactly one packed form, so that equal directories have equal bytes.
"""

from __future__ import annotations

from tallac.caps import LITERAL_SIZE_MAX, Cap, ImmutableDirectory, ImmutableFile, LiteralDirectory, LiteralFile, parse_lenient
from tallac.errors import MalformedCapError, MalformedObjectError

HASHED_SIZE_MIN = 1 + 16 + 32
SIZE_LENGTH_MAX = 8
CAP_TEXT_SIZE_MAX = 8192


def encode_size(size: int) -> bytes:
    """Write a size big-endian without leading zero bytes; 0 is empty."""
    return size.to_bytes((size.bit_length() + 7) // 8, "big")


def encode_cap(cap: Cap) -> bytes:
    """Give the one packed form of a cap."""
    if isinstance(cap, ImmutableFile) and cap.needed == cap.total == 1:
        return b"C" + cap.key + cap.hash + encode_size(cap.size)
    if isinstance(cap, ImmutableDirectory) and cap.needed == cap.total == 1:
        return b"D" + cap.key + cap.hash + encode_size(cap.size)
    if isinstance(cap, LiteralFile):
        return b"L" + cap.data
    if isinstance(cap, LiteralDirectory):
        return b"M" + cap.data
    return b"T" + cap.danger_whole_text().encode()


def decode_cap(encoded: bytes) -> Cap:
    """Read a packed cap.

    Raises:
        MalformedObjectError: It is none, or not the one form that this cap has.
    """
    tag = encoded[:1]
    if tag in (b"C", b"D"):
        key, cap_hash, size = split_hashed(encoded)
        kind = ImmutableFile if tag == b"C" else ImmutableDirectory
        return kind(key, cap_hash, 1, 1, size)
    if tag in (b"L", b"M") and len(encoded) - 1 > LITERAL_SIZE_MAX:
        raise MalformedObjectError("a directory holds a literal cap that is too long")
    if tag == b"L":
        return LiteralFile(encoded[1:])
    if tag == b"M":
        return LiteralDirectory(encoded[1:])
    if tag != b"T" or len(encoded) > CAP_TEXT_SIZE_MAX:
        raise MalformedObjectError("a directory holds a cap in an unknown form")
    try:
        cap = parse_lenient(encoded[1:].decode())
    except (UnicodeDecodeError, MalformedCapError) as error:
        raise MalformedObjectError("a directory holds a malformed cap") from error
    if encode_cap(cap) != encoded:
        raise MalformedObjectError("a directory holds a cap in a form that is not canonical")
    return cap


def encoded_size(encoded: bytes) -> int:
    """Tell the size in bytes of what a packed cap of something immutable refers to; 0 for others."""
    tag = encoded[:1]
    if tag in (b"C", b"D"):
        return int.from_bytes(encoded[49:], "big")
    if tag == b"T":
        cap = decode_cap(encoded)
        return cap.size if isinstance(cap, ImmutableFile | ImmutableDirectory) else 0
    return len(encoded) - 1 if tag in (b"L", b"M") else 0


def split_hashed(encoded: bytes) -> tuple[bytes, bytes, int]:
    """Give key, hash and size of a packed cap of form C or D.

    Raises:
        MalformedObjectError: It has a wrong length, or a size that does not begin with its first byte.
    """
    length = len(encoded) - HASHED_SIZE_MIN
    if not 0 <= length <= SIZE_LENGTH_MAX or encoded[HASHED_SIZE_MIN : HASHED_SIZE_MIN + 1] == b"\0":
        raise MalformedObjectError("a directory holds a cap of a wrong length")
    return encoded[1:17], encoded[17:49], int.from_bytes(encoded[49:], "big")
