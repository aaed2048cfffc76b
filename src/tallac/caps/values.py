"""The caps of every kind as values. The fields of a kind are defined once and shared by its file and its directory form."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from tallac.caps import base32
from tallac.caps.authority import (
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    FileWriteCap,
    VerifyCap,
)
from tallac.caps.derivation import read_key_of, storage_index_of, storage_index_of_read_key

KEY_SIZE = 16
HASH_SIZE = 32
LITERAL_SIZE_MAX = 4096
SHARES_MAX = 256
SIZE_MAX = 2**64 - 1


class MutableFormat(Enum):
    """How a Tahoe-LAFS grid stores a mutable file. Here it decides only the kind of its cap."""

    SDMF = "sdmf"
    MDMF = "mdmf"


def _require_size(kind: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise ValueError(f"the {kind} has {len(value)} bytes, {size} are needed")


def _require_shares(needed: int, total: int, size: int) -> None:
    if not 1 <= needed <= total <= SHARES_MAX:
        raise ValueError(f"the numbers of shares are impossible: 1 <= needed <= total <= {SHARES_MAX} has to hold")
    if not 0 <= size <= SIZE_MAX:
        raise ValueError(f"the size is impossible: it has to be from 0 to {SIZE_MAX}")


# Field sets. These classes have the fields and the text; the subclasses below add the authority, and no fields.


class _Literal(Cap, frozen=True):
    """A file or directory that is so small that its cap holds its content."""

    _kind: ClassVar[str]

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) > LITERAL_SIZE_MAX:
            raise ValueError(f"a literal cap holds at most {LITERAL_SIZE_MAX} bytes, not {len(self.data)}")

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def size(self) -> int:
        """The length of the content in bytes."""
        return len(self.data)

    @property
    def verify_cap(self) -> None:
        """None: nothing is stored that could be checked."""
        return None

    def danger_whole_text(self) -> str:
        return f"URI:{self._kind}:{base32.encode(self.data)}"

    def __str__(self) -> str:
        # The content may be guessable, and a fingerprint would confirm a guess.
        return f"{self._kind} of {len(self.data)} bytes"


class _Immutable(Cap, frozen=True):
    """The read cap of an immutable object: key (16 bytes), hash (32 bytes), shares needed and total, and content size in bytes."""

    _kind: ClassVar[str]

    key: bytes
    hash: bytes
    needed: int
    total: int
    size: int

    def __post_init__(self) -> None:
        _require_size("key", self.key, KEY_SIZE)
        _require_size("hash", self.hash, HASH_SIZE)
        _require_shares(self.needed, self.total, self.size)

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def storage_index(self) -> bytes:
        """The storage index: 16 bytes, derived from the key."""
        return storage_index_of(self.key)

    def danger_whole_text(self) -> str:
        secrets = f"{base32.encode(self.key)}:{base32.encode(self.hash)}"
        return f"URI:{self._kind}:{secrets}:{self.needed}:{self.total}:{self.size}"


class _ImmutableVerify(VerifyCap, frozen=True):
    """The verify cap of an immutable object: like its read cap, with the storage index in place of the key."""

    _kind: ClassVar[str]

    storage_index: bytes
    hash: bytes
    needed: int
    total: int
    size: int

    def __post_init__(self) -> None:
        _require_size("storage index", self.storage_index, KEY_SIZE)
        _require_size("hash", self.hash, HASH_SIZE)
        _require_shares(self.needed, self.total, self.size)

    @property
    def kind(self) -> str:
        return self._kind

    def danger_whole_text(self) -> str:
        secrets = f"{base32.encode(self.storage_index)}:{base32.encode(self.hash)}"
        return f"URI:{self._kind}:{secrets}:{self.needed}:{self.total}:{self.size}"


class _MutableWrite(Cap, frozen=True):
    """The write cap of a mutable object: write key (16 bytes) and fingerprint of the public key (32 bytes)."""

    _sdmf_kind: ClassVar[str]
    _mdmf_kind: ClassVar[str]

    writekey: bytes
    fingerprint: bytes
    format: MutableFormat = MutableFormat.SDMF

    def __post_init__(self) -> None:
        _require_size("write key", self.writekey, KEY_SIZE)
        _require_size("fingerprint", self.fingerprint, HASH_SIZE)

    @property
    def kind(self) -> str:
        return self._mdmf_kind if self.format is MutableFormat.MDMF else self._sdmf_kind

    @property
    def readkey(self) -> bytes:
        """The read key: 16 bytes, derived from the write key."""
        return read_key_of(self.writekey)

    @property
    def storage_index(self) -> bytes:
        """The storage index: 16 bytes, derived from the read key."""
        return storage_index_of_read_key(self.readkey)

    def danger_whole_text(self) -> str:
        return f"URI:{self.kind}:{base32.encode(self.writekey)}:{base32.encode(self.fingerprint)}"


class _MutableRead(Cap, frozen=True):
    """The read cap of a mutable object: read key (16 bytes) and fingerprint of the public key (32 bytes)."""

    _sdmf_kind: ClassVar[str]
    _mdmf_kind: ClassVar[str]

    readkey: bytes
    fingerprint: bytes
    format: MutableFormat = MutableFormat.SDMF

    def __post_init__(self) -> None:
        _require_size("read key", self.readkey, KEY_SIZE)
        _require_size("fingerprint", self.fingerprint, HASH_SIZE)

    @property
    def kind(self) -> str:
        return self._mdmf_kind if self.format is MutableFormat.MDMF else self._sdmf_kind

    @property
    def storage_index(self) -> bytes:
        """The storage index: 16 bytes, derived from the read key."""
        return storage_index_of_read_key(self.readkey)

    def danger_whole_text(self) -> str:
        return f"URI:{self.kind}:{base32.encode(self.readkey)}:{base32.encode(self.fingerprint)}"


class _MutableVerify(VerifyCap, frozen=True):
    """The verify cap of a mutable object: storage index (16 bytes) and fingerprint of the public key (32 bytes)."""

    _sdmf_kind: ClassVar[str]
    _mdmf_kind: ClassVar[str]

    storage_index: bytes
    fingerprint: bytes
    format: MutableFormat = MutableFormat.SDMF

    def __post_init__(self) -> None:
        _require_size("storage index", self.storage_index, KEY_SIZE)
        _require_size("fingerprint", self.fingerprint, HASH_SIZE)

    @property
    def kind(self) -> str:
        return self._mdmf_kind if self.format is MutableFormat.MDMF else self._sdmf_kind

    def danger_whole_text(self) -> str:
        return f"URI:{self.kind}:{base32.encode(self.storage_index)}:{base32.encode(self.fingerprint)}"


# Files


class LiteralFile(_Literal, FileReadCap, frozen=True):
    """A file whose content is in its cap (`LIT`)."""

    _kind = "LIT"


class ImmutableFileVerify(_ImmutableVerify, frozen=True):
    """The verify cap of an immutable file (`CHK-Verifier`)."""

    _kind = "CHK-Verifier"


class ImmutableFile(_Immutable, FileReadCap, frozen=True):
    """The read cap of an immutable file (`CHK`)."""

    _kind = "CHK"

    @property
    def verify_cap(self) -> ImmutableFileVerify:
        """The verify cap of the same file."""
        return ImmutableFileVerify(self.storage_index, self.hash, self.needed, self.total, self.size)


class MutableFileVerify(_MutableVerify, frozen=True):
    """The verify cap of a mutable file (`SSK-Verifier`, `MDMF-Verifier`)."""

    _sdmf_kind = "SSK-Verifier"
    _mdmf_kind = "MDMF-Verifier"


class MutableFileRead(_MutableRead, FileReadCap, frozen=True):
    """The read cap of a mutable file (`SSK-RO`, `MDMF-RO`)."""

    _sdmf_kind = "SSK-RO"
    _mdmf_kind = "MDMF-RO"

    @property
    def verify_cap(self) -> MutableFileVerify:
        """The verify cap of the same file."""
        return MutableFileVerify(self.storage_index, self.fingerprint, self.format)


class MutableFileWrite(_MutableWrite, FileWriteCap, frozen=True):
    """The write cap of a mutable file (`SSK`, `MDMF`)."""

    _sdmf_kind = "SSK"
    _mdmf_kind = "MDMF"

    @property
    def read_cap(self) -> MutableFileRead:
        """The read cap of the same file."""
        return MutableFileRead(self.readkey, self.fingerprint, self.format)

    @property
    def verify_cap(self) -> MutableFileVerify:
        """The verify cap of the same file."""
        return self.read_cap.verify_cap


# Directories


class LiteralDirectory(_Literal, DirectoryReadCap, frozen=True):
    """A directory whose table is in its cap (`DIR2-LIT`); `data` is the encoded table."""

    _kind = "DIR2-LIT"


class ImmutableDirectoryVerify(_ImmutableVerify, frozen=True):
    """The verify cap of an immutable directory (`DIR2-CHK-Verifier`)."""

    _kind = "DIR2-CHK-Verifier"


class ImmutableDirectory(_Immutable, DirectoryReadCap, frozen=True):
    """The read cap of an immutable directory (`DIR2-CHK`)."""

    _kind = "DIR2-CHK"

    @property
    def verify_cap(self) -> ImmutableDirectoryVerify:
        """The verify cap of the same directory."""
        return ImmutableDirectoryVerify(self.storage_index, self.hash, self.needed, self.total, self.size)


class MutableDirectoryVerify(_MutableVerify, frozen=True):
    """The verify cap of a mutable directory (`DIR2-Verifier`, `DIR2-MDMF-Verifier`)."""

    _sdmf_kind = "DIR2-Verifier"
    _mdmf_kind = "DIR2-MDMF-Verifier"


class MutableDirectoryRead(_MutableRead, DirectoryReadCap, frozen=True):
    """The read cap of a mutable directory (`DIR2-RO`, `DIR2-MDMF-RO`)."""

    _sdmf_kind = "DIR2-RO"
    _mdmf_kind = "DIR2-MDMF-RO"

    @property
    def verify_cap(self) -> MutableDirectoryVerify:
        """The verify cap of the same directory."""
        return MutableDirectoryVerify(self.storage_index, self.fingerprint, self.format)


class MutableDirectoryWrite(_MutableWrite, DirectoryWriteCap, frozen=True):
    """The write cap of a mutable directory (`DIR2`, `DIR2-MDMF`)."""

    _sdmf_kind = "DIR2"
    _mdmf_kind = "DIR2-MDMF"

    @property
    def read_cap(self) -> MutableDirectoryRead:
        """The read cap of the same directory."""
        return MutableDirectoryRead(self.readkey, self.fingerprint, self.format)

    @property
    def verify_cap(self) -> MutableDirectoryVerify:
        """The verify cap of the same directory."""
        return self.read_cap.verify_cap


# Kinds that a later version may know


class UnknownCap(Cap, frozen=True):
    """A cap of a kind that this version does not know. It is stored and passed on unchanged, prefix included."""

    text: str

    @property
    def kind(self) -> str:
        """Always `unknown`: any part of the text may be secret."""
        return "unknown"

    @property
    def verify_cap(self) -> None:
        """None: an unknown kind can't be attenuated."""
        return None

    def danger_whole_text(self) -> str:
        return self.text
