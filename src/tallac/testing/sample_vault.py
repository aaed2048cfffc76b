"""Small vaults with known contents, for tests that damage them, crash in them, or read them back."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from tallac.caps import Cap, DirectoryReadCap, DirectoryWriteCap, FileReadCap, ReadCap, parse
from tallac.dag import Entry, decode_cap
from tallac.errors import DamageError
from tallac.interfaces import CapReader, CapWriter, Grid, PreparesEdits

Tree: TypeAlias = "Mapping[bytes, bytes | Tree]"
"""Names, each with the content of a file or the tree of a directory."""

ARCHIVES = b"Archives"
LATEST = b"Latest"


def noise(seed: int, size: int) -> bytes:
    """Return incompressible bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - foreseeable on purpose


def flatten(tree: Tree, above: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """Iterate over the paths and contents of all files; the path of an empty directory ends with a slash."""
    for name, below in tree.items():
        if isinstance(below, bytes):
            yield above + name, below
        elif below:
            yield from flatten(below, above + name + b"/")
        else:
            yield above + name + b"/", b""


def put_tree(writer: CapWriter, tree: Tree) -> DirectoryReadCap:
    """Store a tree and return the cap of its root."""
    entries = []
    for name, below in sorted(tree.items()):
        cap: Cap = decode_cap(_put_file(writer, below)) if isinstance(below, bytes) else put_tree(writer, below)
        entries.append(Entry.of(name, cap))
    return writer.put_directory(entries)


def _put_file(writer: CapWriter, content: bytes) -> bytes:
    if len(content) <= writer.small_size_max:
        return writer.put_small(content)
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        chunks = list(writer.cut(file.fileno(), len(content)))
    stored = [
        (chunk, b"" if chunk.is_hole else writer.put_chunk(content[chunk.offset : chunk.offset + chunk.length])) for chunk in chunks
    ]
    return writer.join(stored)


def create_target(grid: Grid) -> DirectoryWriteCap:
    """Create a mutable directory that holds another, `Archives`."""
    target, archives = grid.create_directory(), grid.create_directory()
    grid.edit_directory(target, lambda entries: [*entries, Entry.of(ARCHIVES, archives)])
    return target


def back_up(grid: Grid, target: DirectoryWriteCap, name: bytes, tree: Tree) -> DirectoryReadCap:
    """Create a snapshot as a backup does: store, prepare `Latest` where that is of use, commit, link."""
    with grid.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, tree)
        if isinstance(grid, PreparesEdits):
            grid.prepare_edit(target, _pointing_latest_at(cap))
        session.commit([cap])
        enter(grid, target, name, cap)
    return cap


def enter(grid: Grid, target: DirectoryWriteCap, name: bytes, cap: ReadCap) -> None:
    """Link a snapshot in `Archives`, and as `Latest`."""
    archives = next(entry for entry in grid.edit_directory(target, lambda entries: entries) if entry.name == ARCHIVES)
    assert archives.write is not None
    write_cap = parse(archives.write.decode())
    assert isinstance(write_cap, DirectoryWriteCap)
    grid.edit_directory(write_cap, lambda entries: [*_without(entries, name), Entry.of(name, cap)])
    grid.edit_directory(target, _pointing_latest_at(cap))


def _pointing_latest_at(cap: ReadCap) -> Callable[[list[Entry]], list[Entry]]:
    return lambda entries: [*_without(entries, LATEST), Entry.of(LATEST, cap)]


def _without(entries: list[Entry], name: bytes) -> list[Entry]:
    return [entry for entry in entries if entry.name != name]


def read_tree(grid: CapReader, cap: DirectoryReadCap, above: bytes = b"") -> Iterator[tuple[bytes, bytes | DamageError]]:
    """Iterate over everything below a directory as `flatten` does; an unreadable file or directory yields its error."""
    try:
        entries = list(grid.read_directory(cap))
    except DamageError as error:
        yield above, error
        return
    if not entries and above:
        yield above, b""
    for entry in entries:
        below = entry.cap
        if isinstance(below, DirectoryReadCap):
            yield from read_tree(grid, below, above + entry.name + b"/")
        elif isinstance(below, FileReadCap):
            yield above + entry.name, read_file(grid, below)


def read_file(grid: CapReader, cap: FileReadCap) -> bytes | DamageError:
    """Read a whole file; return the error if it is damaged."""
    try:
        with grid.open_file(cap) as file:
            parts = []
            while part := file.read(1 << 20):
                parts.append(part)
            return b"".join(parts)
    except DamageError as error:
        return error
