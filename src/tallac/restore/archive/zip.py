"""Zip archives, with the modes, times and owners that Info-ZIP reads on Unix systems."""

from __future__ import annotations

import re
import stat
import struct
import time
import zipfile
from collections.abc import Iterator
from typing import Protocol

from tallac.dag import Metadata, display_path
from tallac.restore.overwrite.name_collisions import folded

_UNIX = 3
_DOS_DIRECTORY = 0x10
_TIME_FIELD = 0x5455
_OWNER_FIELD = 0x7875
_DRIVE = re.compile(r"(?<![^/])([A-Za-z]):")
# The form in which Python keeps bytes that are no UTF-8.
_NO_TEXT = re.compile("[\udc80-\udcff]")
# What a DOS date can say.
_YEARS = range(1980, 2108)


class Sink(Protocol):
    """Takes the archive's bytes."""

    def write(self, data: bytes, /) -> object: ...


class ZipWriter:
    """See `tallac.restore.archive.archive.ArchiveWriter`.

    The list of members stands at the end, so all their names are kept in memory.
    """

    def __init__(self, sink: Sink) -> None:
        """Write to a sink."""
        self._stream = _Stream(sink)
        self._archive = zipfile.ZipFile(self._stream, "w", zipfile.ZIP_DEFLATED)
        # Without the slash at the end of directories' names: a file and a directory of one name can't both be unpacked.
        self._names: set[str] = set()
        # As file systems compare names that do not tell upper from lower case.
        self._links: set[str] = set()

    def add_directory(self, path: bytes, metadata: Metadata) -> list[str]:
        if not path:
            return []  # A zip archive has no member for the place that it is unpacked in.
        info, unset = self._describe(path + b"/", metadata, stat.S_IFDIR | 0o755)
        info.external_attr |= _DOS_DIRECTORY
        info.compress_type = zipfile.ZIP_STORED
        self._archive.writestr(info, b"")
        return unset

    def add_file(self, path: bytes, metadata: Metadata, size: int, content: Iterator[bytes]) -> list[str]:
        info, unset = self._describe(path, metadata, stat.S_IFREG | 0o644)
        info.file_size = size
        with self._archive.open(info, "w") as member:
            for block in content:
                member.write(block)
        return unset

    def add_special(self, path: bytes, metadata: Metadata) -> list[str]:
        assert metadata.mode is not None
        if not stat.S_ISLNK(metadata.mode):
            raise ValueError("a zip archive can hold files, directories and symbolic links only")
        if not metadata.target:
            raise ValueError("the symbolic link's text is not known")
        info, unset = self._describe(path, metadata, metadata.mode)
        self._links.add(_folded(info.filename))
        self._archive.writestr(info, metadata.target)
        return unset

    def add_link(self, path: bytes, first: bytes) -> bool:
        return False

    def finish(self) -> None:
        self._archive.close()

    def abandon(self) -> None:
        # The library writes the list of members even when it is thrown away; and half a member would look as if it were whole.
        self._stream.is_closed = True

    def _describe(self, path: bytes, metadata: Metadata, default_mode: int) -> tuple[zipfile.ZipInfo, list[str]]:
        unset = []
        name = _name_of(path)
        if name.encode() != path:
            unset.append(f"the name as it is (in a zip it is {display_path(name.encode())})")
        self._enter(name.removesuffix("/"))
        info = zipfile.ZipInfo(name, _dos_time(metadata))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = _UNIX
        info.external_attr = (default_mode if metadata.mode is None else metadata.mode & 0xFFFF) << 16
        info.extra = _extra(metadata)
        if metadata.xattrs:
            unset.append("extended attributes (zip has none)")
        return info, unset

    def _enter(self, name: str) -> None:
        """Note the name of a member.

        Raises:
            ValueError: Another member has it, or a symbolic link has that of a directory that it lies in.
        """
        if name in self._names:
            raise ValueError("the zip has another file of this name")
        if self._links:
            components = _folded(name).split("/")
            if any("/".join(components[:length]) in self._links for length in range(1, len(components))):
                raise ValueError("the zip has a symbolic link of the name of the directory that this lies in")
        self._names.add(name)


class _Stream:
    """A file that can't be sought in, which is all that the library needs."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.is_closed = False

    def write(self, data: bytes) -> int:
        if not self.is_closed:
            self._sink.write(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


def _name_of(path: bytes) -> str:
    """Return a path as a zip may hold it: text, in which no component leads anywhere on Windows.

    There a backslash divides names, and a letter with a colon is a drive. Such characters, and bytes that are no UTF-8, are written
    in base 16 behind a percent sign.
    """
    text = path.decode("utf-8", "surrogateescape").replace("\\", "%5C")
    text = _DRIVE.sub(r"\1%3A", text)
    return _NO_TEXT.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)


def _folded(name: str) -> str:
    return "/".join(folded(component.encode()) for component in name.split("/"))


def _dos_time(metadata: Metadata) -> tuple[int, int, int, int, int, int]:
    if metadata.mtime is not None:
        try:
            found = time.localtime(metadata.mtime[0])
        except (OverflowError, ValueError, OSError):
            pass  # No calendar has it; the lowest time that zip knows stands for it.
        else:
            if found.tm_year in _YEARS:
                return (found.tm_year, found.tm_mon, found.tm_mday, found.tm_hour, found.tm_min, found.tm_sec)
    return (1980, 1, 1, 0, 0, 0)


def _extra(metadata: Metadata) -> bytes:
    extra = b""
    if metadata.mtime is not None and -(1 << 31) <= metadata.mtime[0] < 1 << 31:
        extra += struct.pack("<HHBi", _TIME_FIELD, 5, 1, metadata.mtime[0])
    uid, gid = metadata.uid, metadata.gid
    if uid is not None and gid is not None and 0 <= uid < 1 << 32 and 0 <= gid < 1 << 32:
        extra += struct.pack("<HHBBIBI", _OWNER_FIELD, 11, 1, 4, uid, 4, gid)
    return extra
