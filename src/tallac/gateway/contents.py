"""The contents of files as streams of bytes; also those of directories that somebody names by the cap of a file."""

from __future__ import annotations

import tempfile
from typing import cast

from tallac.caps import DirectoryReadCap, FileReadCap, ImmutableDirectory, ImmutableFile, MutableDirectoryRead, MutableFileRead
from tallac.dag.literal_table import encode_child
from tallac.errors import AuthorityError, DamageError, EntryError
from tallac.gateway.bodies import IN_MEMORY_SIZE_MAX
from tallac.interfaces import BinaryReader, Grid


def open_content(grid: Grid, cap: FileReadCap, first_size: int) -> tuple[BinaryReader, int, bytes]:
    """Open a file, read its first bytes, so that damage is found before an answer begins, and rewind nothing.

    On a Tahoe-LAFS grid a directory is a file that holds a table, and some tools make the file's cap of the directory's. They get
    such a table here as well, without write caps.

    Returns:
        The reader, which the caller closes; the size in bytes; and the first bytes, at most first_size.

    Raises:
        DamageError: The content is damaged or lost.
    """
    try:
        return _begun(grid.open_file(cap), first_size)
    except DamageError:
        table = _directory_table(grid, cap)
        if table is None:
            raise
        return _begun(table, first_size)


def size_of_mutable(grid: Grid, cap: FileReadCap) -> int | None:
    """Return the size of a mutable file in bytes; None where its content is lost: a node then tells what the cap alone says."""
    try:
        reader, size, _first = open_content(grid, cap, 0)
    except DamageError:
        return None
    reader.close()
    return size


def holds_directory(grid: Grid, cap: FileReadCap) -> bool:
    """Whether what is stored where the cap of a file says is a directory that can be read."""
    table = _directory_table(grid, cap)
    if table is not None:
        table.close()
    return table is not None


def _begun(reader: BinaryReader, first_size: int) -> tuple[BinaryReader, int, bytes]:
    try:
        size = reader.seek(0, 2)
        reader.seek(0)
        return reader, size, reader.read(first_size) if first_size else b""
    except BaseException:
        reader.close()
        raise


def _directory_table(grid: Grid, cap: FileReadCap) -> BinaryReader | None:
    """Return the table of the directory that is stored where this cap says; None if there is none."""
    directory = _directory_cap(cap)
    if directory is None:
        return None
    try:
        entries = grid.read_directory(directory)
        table = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_SIZE_MAX)  # noqa: SIM115
        for entry in entries:
            table.write(encode_child(entry))
    except (DamageError, AuthorityError, EntryError):
        return None
    return cast("BinaryReader", table)


def _directory_cap(cap: FileReadCap) -> DirectoryReadCap | None:
    if isinstance(cap, MutableFileRead):
        return MutableDirectoryRead(cap.readkey, cap.fingerprint, cap.format)
    if isinstance(cap, ImmutableFile):
        return ImmutableDirectory(cap.key, cap.hash, cap.needed, cap.total, cap.size)
    return None
