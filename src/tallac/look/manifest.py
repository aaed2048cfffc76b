"""The manifest of a cap: every file and directory below it, each once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tallac.caps import Cap, DirectoryReadCap
from tallac.dag import Entry, encode_cap, mutable_identity
from tallac.interfaces import CapReader
from tallac.look.digest_set import DigestSet, digest_of


class Listed(msgspec.Struct, frozen=True):
    """A file or directory of a manifest: its read cap, and the first path to it from the root of the manifest."""

    path: tuple[bytes, ...]
    cap: Cap


def manifest(reader: CapReader, root: Cap) -> Iterator[Listed]:
    """Iterate over a file or directory and everything below it, each directory before its entries, everything once.

    A cap that can't be read is listed and not followed. Of files and directories memory keeps a few MB; beyond some 260,000 of them
    a digest of each, 12 bytes, goes to a temporary file.

    Raises:
        LocalStateError: What was put into the temporary file can't be read again, or is something else.
        DamageError: A directory is missing or damaged.
        StoreError: The grid failed.
    """
    seen = DigestSet()
    seen.add(_key(encode_cap(root)))
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
        if not seen.add(_key(entry.encoded)):
            continue
        cap = entry.cap
        yield Listed((*path, entry.name), cap)
        if isinstance(cap, DirectoryReadCap):
            levels.append(_entries(reader, cap))
            path.append(entry.name)


def _entries(reader: CapReader, cap: Cap) -> Iterator[Entry]:
    return iter(reader.read_directory(cap)) if isinstance(cap, DirectoryReadCap) else iter(())


def _key(encoded: bytes) -> bytes:
    # One mutable directory has several caps.
    return digest_of(mutable_identity(encoded) or encoded)
