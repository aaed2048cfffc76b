"""Caps in the short binary form that directory tables hold.

    "C" key(16) hash(32) size     immutable file, needed = total = 1; the size is big-endian without leading zero bytes
    "D" key(16) hash(32) size     immutable directory, likewise
    "L" bytes                     literal file
    "M" bytes                     literal directory
    "T" text                      every other cap, as text

Each cap has exactly one encoded form, so that equal directories have equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from tallac.caps import LITERAL_SIZE_MAX, Cap, ImmutableDirectory, ImmutableFile, LiteralDirectory, LiteralFile, parse_lenient
from tallac.errors import MalformedCapError, MalformedObjectError

HASHED_SIZE_MIN = 1 + 16 + 32
SIZE_LENGTH_MAX = 8
CAP_TEXT_SIZE_MAX = 8192
FILE_SIZE_FORMS = (b"C", b"L")
"""The forms of files whose size stands in the cap."""


def encode_size(size: int) -> bytes:
    """Write a size big-endian without leading zero bytes; 0 is empty."""
    return size.to_bytes((size.bit_length() + 7) // 8, "big")


def encode_file_cap(key_and_hash: bytes, size: int) -> bytes:
    """Return the encoded form of an immutable file's cap."""
    return b"C" + key_and_hash + encode_size(size)


def encode_literal_file(data: bytes) -> bytes:
    """Return the encoded form of a literal file's cap."""
    return b"L" + data


def encode_cap(cap: Cap) -> bytes:
    """Return the one encoded form of a cap."""
    if isinstance(cap, ImmutableFile) and cap.needed == cap.total == 1:
        return encode_file_cap(cap.key + cap.hash, cap.size)
    if isinstance(cap, ImmutableDirectory) and cap.needed == cap.total == 1:
        return b"D" + cap.key + cap.hash + encode_size(cap.size)
    if isinstance(cap, LiteralFile):
        return encode_literal_file(cap.data)
    if isinstance(cap, LiteralDirectory):
        return b"M" + cap.data
    return b"T" + cap.danger_whole_text().encode()


def decode_cap(encoded: bytes) -> Cap:
    """Decode a cap.

    Raises:
        MalformedObjectError: It is none, or not the one form that this cap has.
    """
    tag = encoded[:1]
    if tag in (b"C", b"D"):
        hashed = EncodedCap(encoded)
        hashed.require_hashed()
        kind = ImmutableFile if tag == b"C" else ImmutableDirectory
        return kind(hashed.key, hashed.hash, 1, 1, hashed.size)
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


def size_of_encoded(encoded: bytes) -> int:
    """Return `EncodedCap(encoded).size`; it is asked of every file again and again, and nearly all are of form C."""
    return int.from_bytes(encoded[HASHED_SIZE_MIN:], "big") if encoded[:1] == b"C" else EncodedCap(encoded).size


class EncodedCap(bytes):
    """An encoded cap with its parts by name, for whoever wants to know one without decoding the whole.

    It is a view: entries, and what crosses to another process, hold plain bytes, since msgspec takes no subclass of them.
    """

    __slots__ = ()

    @property
    def is_file(self) -> bool:
        """Whether this is of form C, an immutable file."""
        return self[:1] == b"C"

    @property
    def is_directory(self) -> bool:
        """Whether this is of form D, an immutable directory."""
        return self[:1] == b"D"

    @property
    def is_hashed(self) -> bool:
        """Whether this has a key, a hash and a size: forms C and D."""
        return self[:1] in (b"C", b"D")

    @property
    def is_literal_file(self) -> bool:
        """Whether this is of form L, a file that the cap holds itself."""
        return self[:1] == b"L"

    @property
    def is_literal(self) -> bool:
        """Whether the cap holds the content itself: forms L and M."""
        return self[:1] in (b"L", b"M")

    @property
    def is_text(self) -> bool:
        """Whether this is of form T, any other cap as text."""
        return self[:1] == b"T"

    @property
    def has_file_size(self) -> bool:
        """Whether this is a file whose size stands in the cap: forms C and L."""
        return self[:1] in FILE_SIZE_FORMS

    @property
    def key(self) -> bytes:
        """The read key; of forms C and D only."""
        return self[1:17]

    @property
    def hash(self) -> bytes:
        """The cap hash; of forms C and D only."""
        return self[17:HASHED_SIZE_MIN]

    @property
    def data(self) -> bytes:
        """The content of a literal."""
        return self[1:]

    @property
    def size(self) -> int:
        """The size in bytes of what the cap refers to, where that is immutable; 0 otherwise."""
        if self.is_hashed:
            return int.from_bytes(self[HASHED_SIZE_MIN:], "big")
        if self.is_text:
            cap = decode_cap(self)
            return cap.size if isinstance(cap, ImmutableFile | ImmutableDirectory) else 0
        return len(self) - 1 if self.is_literal else 0

    def require_hashed(self) -> None:
        """Check the length of form C or D.

        Raises:
            MalformedObjectError: It is wrong, or the size has leading zero bytes.
        """
        length = len(self) - HASHED_SIZE_MIN
        if not 0 <= length <= SIZE_LENGTH_MAX or self[HASHED_SIZE_MIN : HASHED_SIZE_MIN + 1] == b"\0":
            raise MalformedObjectError("a directory holds a cap of a wrong length")


def sizes_of(caps: Iterable[bytes]) -> dict[bytes, int]:
    """Return the sizes of what some encoded caps refer to, as `EncodedCap.size` has them."""
    return {encoded: size_of_encoded(encoded) for encoded in caps}
