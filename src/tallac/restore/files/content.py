"""Writing the content of a regular file, with its holes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallac.caps import FileReadCap
from tallac.dag import EncodedCap, Entry
from tallac.errors import CapError, CorruptObjectError
from tallac.interfaces import BinaryReader, FileReader
from tallac.restore.filesystem import DestinationSystem

_STEP_SIZE = 1 << 20
_ZEROS = bytes(_STEP_SIZE)


def write_content(system: DestinationSystem, grid: FileReader, entry: Entry, descriptor: int) -> int:
    """Write what an entry's cap leads to into a new, empty file; give its size in bytes.

    Raises:
        DamageError: The content is missing or wrong; what has been written is not all of it.
        CapError: The cap leads to no file, or was issued by another grid.
        OSError: The destination failed.
    """
    cap = entry.cap
    if not isinstance(cap, FileReadCap):
        raise CapError("the cap leads to no file that can be read")
    with grid.open_file(cap) as reader:
        if entry.metadata.holes:
            size = _write_sparse(system, reader, entry.metadata.holes, descriptor)
        else:
            size = _copy(system, reader, descriptor)
    # Only these caps tell a size; a text cap's size is not known beforehand.
    if EncodedCap(entry.encoded).is_file and size != entry.size:
        raise CorruptObjectError(f"the content has {size} bytes instead of {entry.size}")
    return size


def write_all(system: DestinationSystem, descriptor: int, block: bytes) -> None:
    """Write a block at the file's position, however many calls it takes."""
    if not block:
        return
    written = system.write(descriptor, block)
    while written < len(block):
        written += system.write(descriptor, memoryview(block)[written:])


def segments(holes: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int, bool]]:
    """Divide a file into ranges (offset, length, is_hole). A hole that makes no sense is passed over."""
    position = 0
    for offset, length in holes:
        end = min(offset + length, size)
        if offset < position or end <= offset:
            continue
        if offset > position:
            yield position, offset - position, False
        yield offset, end - offset, True
        position = end
    if position < size:
        yield position, size - position, False


def _copy(system: DestinationSystem, reader: BinaryReader, descriptor: int) -> int:
    size = 0
    while block := reader.read(_STEP_SIZE):
        write_all(system, descriptor, block)
        size += len(block)
    return size


def _write_sparse(system: DestinationSystem, reader: BinaryReader, holes: Sequence[tuple[int, int]], descriptor: int) -> int:
    size = reader.seek(0, 2)
    reader.seek(0)
    for offset, length, is_hole in segments(holes, size):
        position, end = offset, offset + length
        if not is_hole:
            system.seek_to(descriptor, position)
        while position < end:
            block = reader.read(min(_STEP_SIZE, end - position))
            if not block:
                raise CorruptObjectError(f"the content ends after {position} of {size} bytes")
            if not is_hole:
                write_all(system, descriptor, block)
            elif not _ZEROS.startswith(block):
                # Holes were recorded in another instant than the content. What was read counts.
                system.seek_to(descriptor, position)
                write_all(system, descriptor, block)
            position += len(block)
    system.truncate(descriptor, size)
    return size
