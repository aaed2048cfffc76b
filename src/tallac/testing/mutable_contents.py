"""Mutable files in memory, for fake grids."""

from __future__ import annotations

from tallac.caps import FileReadCap, FileWriteCap, MutableFileRead, MutableFileWrite, MutableFormat
from tallac.errors import MissingObjectError
from tallac.interfaces import FileContent


def read_all(content: FileContent) -> bytes:
    """Read a stream to its end."""
    buffer, whole = memoryview(bytearray(1 << 16)), bytearray()
    while count := content.readinto(buffer):
        whole += buffer[:count]
    return bytes(whole)


class MutableContents:
    """The contents of mutable files by read key."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, bytes] = {}

    def create(self, content: FileContent, mutable_format: MutableFormat) -> MutableFileWrite:
        """Create a file."""
        cap = MutableFileWrite(len(self._by_key).to_bytes(16, "big"), bytes(32), mutable_format)
        self._by_key[cap.readkey] = read_all(content)
        return cap

    def write(self, cap: FileWriteCap, content: FileContent, offset: int | None) -> None:
        """Replace the content of a file, or overwrite it from an offset in bytes on."""
        if not isinstance(cap, MutableFileWrite):
            raise MissingObjectError(f"the memory grid has no file {cap!r}")
        old, new = self.get(cap.read_cap), read_all(content)
        if offset is not None:
            new = old[:offset].ljust(offset, b"\0") + new + old[offset + len(new) :]
        self._by_key[cap.readkey] = new

    def get(self, cap: FileReadCap) -> bytes:
        """Return the content of a file."""
        if not isinstance(cap, MutableFileRead) or cap.readkey not in self._by_key:
            raise MissingObjectError(f"the memory grid has no file {cap!r}")
        return self._by_key[cap.readkey]
