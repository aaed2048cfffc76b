"""A named child in a directory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from tallac.caps import Cap, DirectoryReadCap, WriteCap, parse_lenient
from tallac.dag.encoded import decode_cap, encode_cap, size_of_encoded
from tallac.dag.metadata import FileType, Metadata
from tallac.dag.paths import display_path
from tallac.errors import EntryError, MalformedCapError, MalformedObjectError

NO_METADATA = Metadata()


OURS = "tallac"
"""The key of the marks among an entry's other metadata."""


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, repr_omit_defaults=True):
    """A named child in a directory.

    Attributes:
        name: One path component, as bytes; never empty.
        encoded: The child's read cap (or an unknown cap) in its encoded form; see `EncodedCap`.
        metadata: The metadata of the child.
        write: In a mutable directory: the child's write cap. In memory its text; as stored, sealed under the parent's write key.
    """

    name: bytes
    encoded: bytes
    metadata: Metadata = NO_METADATA
    write: bytes | None = None

    @staticmethod
    def of(name: bytes, cap: Cap, metadata: Metadata = NO_METADATA) -> Entry:
        """Return an entry for any cap; a write cap is stored beside the read cap that it attenuates to."""
        if isinstance(cap, WriteCap):
            return Entry(name, encode_cap(cap.read_cap), metadata, cap.danger_whole_text().encode())
        return Entry(name, encode_cap(cap), metadata)

    @property
    def cap(self) -> Cap:
        """The child's read cap, or an unknown cap."""
        return decode_cap(self.encoded)

    @property
    def write_cap(self) -> Cap | None:
        """The child's write cap, or one of unknown kind; None where there is none.

        Raises:
            MalformedObjectError: It leads elsewhere than the read cap beside it: what is written there would not be read here; or
                it is empty, since what is sealed in its place does not open.
        """
        if self.write is None:
            return None
        if not self.write:
            raise MalformedObjectError(
                f"the entry {display_path(self.name)} is damaged: its write cap can't be opened; unlink it, and link what is meant"
            )
        try:
            cap = parse_lenient(self.write)
        except MalformedCapError as error:
            raise MalformedObjectError(f"the write cap of {display_path(self.name)} is damaged: {error}") from None
        if isinstance(cap, WriteCap) and encode_cap(cap.read_cap) != self.encoded:
            raise MalformedObjectError(
                f"the entry {display_path(self.name)} is damaged: its write cap leads elsewhere than its read cap; "
                "unlink it, and link what is meant"
            )
        return cap

    @property
    def size(self) -> int:
        """Content length in bytes; 0 if the cap does not hold it."""
        return size_of_encoded(self.encoded)

    @property
    def is_directory(self) -> bool:
        """Whether the child is a directory."""
        if self.encoded[:1] == b"T":
            return isinstance(self.cap, DirectoryReadCap)
        return self.encoded[:1] in (b"D", b"M")

    @property
    def is_symlink(self) -> bool:
        """Whether this is a symbolic link."""
        return self.metadata.file_type is FileType.SYMLINK

    def __repr__(self) -> str:
        """Return the name and a fingerprint; caps are secrets."""
        return f"<Entry {self.name!r} {hashlib.sha256(self.encoded).hexdigest()[:8]}>"


class EntryList:
    """A directory whose entries are all in memory. See `tallac.interfaces.Directory`."""

    def __init__(self, entries: list[Entry]) -> None:
        """Take entries that are sorted by name."""
        self._entries = entries

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries in the order of their names."""
        return iter(self._entries)

    def get(self, name: bytes) -> Entry | None:
        """Return the entry of a name; None if there is none."""
        return next((entry for entry in self._entries if entry.name == name), None)


def mark_of(entry: Entry, key: str) -> str | None:
    """Read a mark that this Tallac, or another one, has put on a snapshot: `held` or `note`."""
    marks = (entry.metadata.other or {}).get(OURS)
    value = marks.get(key) if isinstance(marks, dict) else None
    return value if isinstance(value, str) else None


def is_held(entry: Entry) -> bool:
    """Whether a snapshot is never forgotten, removed, moved or replaced."""
    return mark_of(entry, "held") is not None


def require_not_held(entry: Entry) -> None:
    """Require that an entry may be removed from its directory, or replaced in it.

    Raises:
        EntryError: It is a held snapshot.
    """
    if is_held(entry):
        raise EntryError(f"{display_path(entry.name)}: this snapshot is held; `tallac release` removes the hold")
