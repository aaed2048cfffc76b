"""All that hangs below a place, each thing once: the manifest of what a cap leads to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from tallac.caps import Cap, DirectoryReadCap
from tallac.dag import Entry, encode_cap
from tallac.interfaces import CapReader

_KEY_SIZE = 12


class Listed(msgspec.Struct, frozen=True):
    """One thing of a manifest: its read cap, and the path by which it was found first, from where the manifest begins."""

    path: tuple[bytes, ...]
    cap: Cap


def manifest(reader: CapReader, root: Cap) -> Iterator[Listed]:
    """List a file or directory and all that is below it, a directory before its entries, each thing once.

    What can't be read is listed and not followed. Little is kept in memory: a dozen bytes for each thing.

    Raises:
        DamageError: A directory is lost.
        StoreError: The grid failed.
    """
    seen = {_key(encode_cap(root))}
    yield Listed((), root)
    levels = [_entries(reader, root)]
    path: list[bytes] = []
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            if path:
                path.pop()
            continue
        key = _key(entry.encoded)
        if key in seen:
            continue
        seen.add(key)
        cap = entry.cap
        yield Listed((*path, entry.name), cap)
        if isinstance(cap, DirectoryReadCap):
            levels.append(_entries(reader, cap))
            path.append(entry.name)


def _entries(reader: CapReader, cap: Cap) -> Iterator[Entry]:
    return iter(reader.read_directory(cap)) if isinstance(cap, DirectoryReadCap) else iter(())


def _key(encoded: bytes) -> bytes:
    return hashlib.blake2b(encoded, digest_size=_KEY_SIZE).digest()
