"""Tar archives as POSIX.1-2001 has them (pax), with extended attributes as star and GNU tar write them."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterator
from typing import Protocol

from tallac.dag import Metadata

BLOCK_SIZE = 512
RECORD_SIZE = 20 * BLOCK_SIZE

_TYPES = {
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


class Sink(Protocol):
    """Takes the archive's bytes."""

    def write(self, data: bytes, /) -> object: ...


class TarWriter:
    """See `tallac.restore.archive.archive.ArchiveWriter`. Names are bytes from end to end.

    The library makes headers; it is not left to write the archive, since it would remember every member.
    """

    def __init__(self, sink: Sink) -> None:
        """Write to a sink."""
        self._sink = sink
        self._size = 0
        self._is_abandoned = False

    def add_directory(self, path: bytes, metadata: Metadata) -> list[str]:
        info, unset = _describe(path or b".", metadata, 0o755)
        info.type = tarfile.DIRTYPE
        self._write_header(info)
        return unset

    def add_file(self, path: bytes, metadata: Metadata, size: int, content: Iterator[bytes]) -> list[str]:
        info, unset = _describe(path, metadata, 0o644)
        info.size = size
        self._write_header(info)
        for block in content:
            self._write(block)
        self._pad(BLOCK_SIZE)
        return unset

    def add_special(self, path: bytes, metadata: Metadata) -> list[str]:
        info, unset = _describe(path, metadata, 0o644)
        assert metadata.mode is not None
        if stat.S_ISSOCK(metadata.mode):
            raise ValueError("a tar archive can hold no socket")
        info.type = _TYPES[stat.S_IFMT(metadata.mode)]
        if info.type == tarfile.SYMTYPE:
            if not metadata.target or b"\0" in metadata.target:
                raise ValueError("the symbolic link's text is not known, or none that a link can have")
            info.linkname = _text(metadata.target)
        elif info.type != tarfile.FIFOTYPE:
            if metadata.rdev is None:
                raise ValueError("the device's numbers are not known")
            info.devmajor, info.devminor = metadata.rdev
        self._write_header(info)
        return unset

    def add_link(self, path: bytes, first: bytes) -> bool:
        info = tarfile.TarInfo(_text(path))
        info.type = tarfile.LNKTYPE
        info.linkname = _text(first)
        self._write_header(info)
        return True

    def finish(self) -> None:
        self._write(bytes(2 * BLOCK_SIZE))
        self._pad(RECORD_SIZE)

    def abandon(self) -> None:
        self._is_abandoned = True

    def _write_header(self, info: tarfile.TarInfo) -> None:
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def _pad(self, unit: int) -> None:
        self._write(bytes(-self._size % unit))

    def _write(self, data: bytes) -> None:
        if not self._is_abandoned:
            self._sink.write(data)
            self._size += len(data)


def _describe(path: bytes, metadata: Metadata, default_mode: int) -> tuple[tarfile.TarInfo, list[str]]:
    """Make a header with what all kinds have, and give the words for what can't be in it."""
    info = tarfile.TarInfo(_text(path))
    info.mode = default_mode if metadata.mode is None else stat.S_IMODE(metadata.mode)
    info.uid, info.gid = metadata.uid or 0, metadata.gid or 0
    info.uname, info.gname = metadata.user or "", metadata.group or ""
    # The library copies these into the header in front of the member.
    headers: dict[str, str] = {}
    if metadata.mtime_ns is not None:
        info.mtime = max(0, metadata.mtime_ns // 1_000_000_000)
        headers["mtime"] = _decimal(metadata.mtime_ns)
    unset = []
    for name, value in metadata.xattrs:
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            unset.append(f"extended attribute {name!r} (tar has no such names)")
            continue
        headers["SCHILY.xattr." + text.replace("%", "%25").replace("=", "%3D")] = _text(value)
    info.pax_headers = headers
    return info, unset


def _decimal(ns: int) -> str:
    seconds, rest = divmod(abs(ns), 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{'-' if ns < 0 else ''}{seconds}{fraction}"


def _text(raw: bytes) -> str:
    """Put bytes in the form from which the library makes the same bytes again."""
    return raw.decode("utf-8", "surrogateescape")
