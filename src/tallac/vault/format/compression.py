"""Compression with zstd, and when not to.

Compressor and decompressor are reused, which is what makes them fast on small files; so a codec belongs to one thread.
"""

from __future__ import annotations

import zstandard

from tallac.errors import CorruptObjectError
from tallac.interfaces import Buffer

PROBE_SIZE = 1 << 14
PROBE_FROM_SIZE = 1 << 17
PLAIN_SIZE_MIN = 32

LEVEL = 3
LEVEL_SMALL = 1
SMALL_SIZE_MAX = 1 << 15
"""Up to this size level 3 costs two fifths more time than level 1 and saves 3 % (docs/decisions/004-workers.md)."""


class Codec:
    """Compress and decompress single buffers. Not thread-safe."""

    def __init__(self) -> None:
        """Make a codec."""
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._compressor_small = zstandard.ZstdCompressor(level=LEVEL_SMALL)
        self._decompressor = zstandard.ZstdDecompressor()

    def compress(self, plain: Buffer) -> bytes | None:
        """Compress, or give None where that saves less than a 32nd.

        Of a large buffer a few samples are tried first, so that what does not compress costs little.
        """
        size = len(plain)
        if size < PLAIN_SIZE_MIN or (size >= PROBE_FROM_SIZE and not self._promises(memoryview(plain))):
            return None
        compressor = self._compressor if size > SMALL_SIZE_MAX else self._compressor_small
        compressed = compressor.compress(plain)
        return compressed if len(compressed) < size - (size >> 5) else None

    def _promises(self, plain: memoryview) -> bool:
        """Try a sample at the beginning, the middle and the end."""
        last = len(plain) - PROBE_SIZE
        for start in (0, last // 2, last):
            sample = plain[start : start + PROBE_SIZE]
            if len(self._compressor_small.compress(sample)) < PROBE_SIZE - (PROBE_SIZE >> 5):
                return True
        return False

    def decompress(self, compressed: Buffer, size_max: int) -> bytes:
        """Decompress one zstd frame to at most size_max bytes.

        Raises:
            CorruptObjectError: It is no zstd frame, or would grow beyond that.
        """
        try:
            declared = zstandard.frame_content_size(compressed)
            if not 0 <= declared <= size_max:
                raise CorruptObjectError("compressed bytes declare another size than their cap allows")
            return self._decompressor.decompress(compressed, max_output_size=size_max, allow_extra_data=False)
        except zstandard.ZstdError:
            raise CorruptObjectError("compressed bytes do not decompress") from None
