"""Looks at two trees in a way of its own, and tells in what they differ. It shares no code with what it judges."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from tests.end_to_end.hostile_tree import get_flags

FLAGS_COMPARED = 0xFF


class Looks(NamedTuple):
    """All that can be seen of one file.

    Attributes:
        first: The first path, in order, of the same inode.
    """

    mode: int
    uid: int
    gid: int
    size: int
    device: int
    links: int
    mtime_ns: int
    target: bytes
    xattrs: dict[str, bytes]
    flags: int
    content: str
    holes: list[tuple[int, int]]
    first: bytes


def look(root: Path) -> dict[bytes, Looks]:
    """Look at a tree, however deep; its root is b"."."""
    found: dict[bytes, Looks] = {}
    firsts: dict[tuple[int, int], bytes] = {}
    waiting = [b"."]
    while waiting:
        path = waiting.pop()
        *above, name = path.split(b"/")
        directory = _open(root, above)
        try:
            found[path] = _look(directory, name, path, firsts)
            if stat.S_ISDIR(found[path].mode):
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
                names = sorted((os.fsencode(each) for each in os.listdir(below)), reverse=True)
                os.close(below)
                waiting += [path + b"/" + each for each in names]
        finally:
            os.close(directory)
    return found


def _open(root: Path, names: list[bytes]) -> int:
    """Open a directory step by step, since its path may be too long for one call."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for name in names:
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    return descriptor


def _look(directory: int, name: bytes, path: bytes, firsts: dict[tuple[int, int], bytes]) -> Looks:
    seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
    is_directory, is_regular = stat.S_ISDIR(seen.st_mode), stat.S_ISREG(seen.st_mode)
    place = b"/proc/self/fd/%d/%b" % (directory, name)
    content, holes, flags = "", [], 0
    if is_directory or is_regular:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
        flags = get_flags(descriptor) & FLAGS_COMPARED
        if is_regular:
            with open(descriptor, "rb", closefd=False) as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            holes = _holes(descriptor, seen.st_size)
        os.close(descriptor)
    return Looks(
        mode=seen.st_mode,
        uid=seen.st_uid,
        gid=seen.st_gid,
        size=0 if is_directory else seen.st_size,
        device=seen.st_rdev,
        links=0 if is_directory else seen.st_nlink,
        mtime_ns=seen.st_mtime_ns,
        target=os.readlink(name, dir_fd=directory) if stat.S_ISLNK(seen.st_mode) else b"",
        xattrs=_xattrs(place),
        flags=flags,
        content=content,
        holes=holes,
        first=firsts.setdefault((seen.st_dev, seen.st_ino), path),
    )


def _xattrs(place: bytes) -> dict[str, bytes]:
    names = os.listxattr(place, follow_symlinks=False)
    return {name: os.getxattr(place, name, follow_symlinks=False) for name in names}


def _holes(descriptor: int, size: int) -> list[tuple[int, int]]:
    holes = []
    offset = 0
    while offset < size:
        start = os.lseek(descriptor, offset, os.SEEK_HOLE)
        if start >= size:
            break
        try:
            end = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError:
            end = size
        holes.append((start, end - start))
        offset = end
    return holes


def differences(one: dict[bytes, Looks], other: dict[bytes, Looks], *ignored: str) -> dict[bytes, str]:
    """Tell by path in what two trees differ, fields left out that are not to be compared."""
    told = dict.fromkeys(one.keys() - other.keys(), "only in the first")
    told |= dict.fromkeys(other.keys() - one.keys(), "only in the second")
    for path in one.keys() & other.keys():
        differing = [
            f"{field}: {getattr(one[path], field)!r:.200} != {getattr(other[path], field)!r:.200}"
            for field in Looks._fields
            if field not in ignored and getattr(one[path], field) != getattr(other[path], field)
        ]
        if differing:
            told[path] = "; ".join(differing)
    return told
