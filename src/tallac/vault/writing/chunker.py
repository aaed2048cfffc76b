"""Cut files into chunks. docs/format.md, "Chunks", is the specification; tests/vectors pins the cut points.

First, runs of at least 1 MiB of zeros, on a grid of 64 KiB, are taken out: they are holes, of which nothing is stored,
whether the file system knows them as holes or not. What lies between them is cut by FastCDC, seeded with a secret of the vault.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from pyfastcdc import FastCDC

from tallac.interfaces import Chunk

CHUNK_SIZE_MIN = 1 << 19
CHUNK_SIZE_AVERAGE = 1 << 19
CHUNK_SIZE_MAX = 1 << 22
BLOCK_SIZE = 1 << 16
HOLE_BLOCKS_MIN = 16
WINDOW_SIZE = 1 << 23
_ZEROS = bytes(BLOCK_SIZE)
_PROBE_SIZE = 64
_ZERO_PROBE = bytes(_PROBE_SIZE)


class Cutter:
    """Cut files; reusable, not thread-safe."""

    def __init__(self, seed: int) -> None:
        """Take the vault's chunker seed: 63 bits, not 0."""
        self._chunker = FastCDC(
            CHUNK_SIZE_AVERAGE, min_size=CHUNK_SIZE_MIN, max_size=CHUNK_SIZE_MAX, normalized_chunking=1, seed=seed
        )
        self._window = bytearray(WINDOW_SIZE)

    def cut(self, descriptor: int, size: int, start: int = 0) -> Iterator[Chunk]:
        """Find the chunks of an open file, in order, from where one of them begins. Where the file shrinks, they end early.

        Raises:
            OSError: The file can't be read.
        """
        # The block in which a chunk begins is in the same range of data as the chunk: ranges end where blocks do.
        for first, end, is_hole in ranges(descriptor, size, start // BLOCK_SIZE * BLOCK_SIZE):
            begin = max(first, start)
            if os.fstat(descriptor).st_size < end:
                # What lies behind the new end reads as nothing, and nothing looks like zeros.
                return
            if is_hole:
                yield Chunk(begin, end - begin, is_hole=True)
            else:
                yield from self._cut_range(descriptor, begin, end)

    def _cut_range(self, descriptor: int, start: int, end: int) -> Iterator[Chunk]:
        while start < end:
            view = memoryview(self._window)[: min(WINDOW_SIZE, end - start)]
            filled = _fill(descriptor, view, start)
            is_last = start + filled == end or filled < len(view)
            position = start
            for chunk in self._chunker.cut_buf(view[:filled]):
                # Only the end of the range may end a chunk, not the end of the window.
                if not is_last and chunk.offset + chunk.length == filled:
                    break
                yield Chunk(position, chunk.length)
                position += chunk.length
            if is_last:
                return
            start = position


def ranges(descriptor: int, size: int, first: int = 0) -> Iterator[tuple[int, int, bool]]:
    """Divide a file into (start, end, is a hole). A hole is a maximal run of at least 16 zero blocks, the last may be short.

    Args:
        descriptor: The file.
        size: Where it ends.
        first: Begin with this multiple of the size of a block.
    """
    data_start, run_start = first, -1
    for start, _end, is_zero in _zero_runs(descriptor, size, first):
        if is_zero:
            if run_start < 0:
                run_start = start
            continue
        if run_start >= 0:
            if start - run_start >= HOLE_BLOCKS_MIN * BLOCK_SIZE:
                if data_start < run_start:
                    yield data_start, run_start, False
                yield run_start, start, True
                data_start = start
            run_start = -1
    if run_start >= 0 and (size - run_start + BLOCK_SIZE - 1) // BLOCK_SIZE >= HOLE_BLOCKS_MIN:
        if data_start < run_start:
            yield data_start, run_start, False
        yield run_start, size, True
    elif data_start < size:
        yield data_start, size, False


def _zero_runs(descriptor: int, size: int, start: int) -> Iterator[tuple[int, int, bool]]:
    """Report of each block, or of many at once, whether it is all zero; what the file system knows as a hole is not read."""
    while start < size:
        data = _next_data(descriptor, start, size)
        hole_end = data // BLOCK_SIZE * BLOCK_SIZE if data < size else size
        if hole_end > start:
            yield start, hole_end, True
            start = hole_end
            continue
        data_end = _next_hole(descriptor, data, size)
        while start < data_end:
            end = min(start + BLOCK_SIZE, size)
            yield start, end, _is_zero(descriptor, start, end)
            start = end


def _is_zero(descriptor: int, start: int, end: int) -> bool:
    probe = os.pread(descriptor, min(_PROBE_SIZE, end - start), start)
    if probe != _ZERO_PROBE[: len(probe)]:
        return False
    block = os.pread(descriptor, end - start, start)
    return block == _ZEROS[: len(block)]


def _next_data(descriptor: int, start: int, size: int) -> int:
    if not hasattr(os, "SEEK_DATA"):
        return start
    try:
        return min(size, os.lseek(descriptor, start, os.SEEK_DATA))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size  # There is no data from here to the end.


def _next_hole(descriptor: int, start: int, size: int) -> int:
    if not hasattr(os, "SEEK_HOLE"):
        return size
    return min(size, os.lseek(descriptor, start, os.SEEK_HOLE))


def _fill(descriptor: int, view: memoryview, offset: int) -> int:
    filled = 0
    while filled < len(view):
        count = os.preadv(descriptor, [view[filled:]], offset + filled)
        if count == 0:
            break
        filled += count
    return filled
