"""Compression with zstd, and when not to.

Compressor and decompressor are reused, which is what makes them fast on small files; so a codec belongs to one thread.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import zstandard

from tallac.errors import CorruptObjectError
from tallac.interfaces import Buffer
from tallac.interfaces.compressing import Compression

PROBE_SIZE = 1 << 14
PROBE_FROM_SIZE = 1 << 17
PLAIN_SIZE_MIN = 32

LEVEL_LOW = 1


class _Levels(NamedTuple):
    """Levels of zstd: that of contents of up to a size, and that of larger ones."""

    small: int
    small_size_max: int
    large: int


_LEVELS = {
    Compression.FAST: _Levels(LEVEL_LOW, 1 << 15, LEVEL_LOW),
    Compression.AUTO: _Levels(LEVEL_LOW, 1 << 15, 3),
    Compression.MAX: _Levels(15, 1 << 17, 19),
}
"""Why these: docs/decisions/047-compression.md."""

WINDOW_SIZE_MAX = 1 << 20
"""Where `MAX` looks no further back, a codec takes 20 MB; over a whole chunk of 4 MiB it would take 55."""


class Codec:
    """Compress and decompress single buffers. Not thread-safe."""

    def __init__(self, compression: Compression = Compression.AUTO) -> None:
        """Make a codec that compresses so much. Its parts are made when they are first used: each takes time and memory."""
        self._compression = compression
        self._is_off = compression is Compression.OFF
        self._levels = _LEVELS.get(compression, _LEVELS[Compression.AUTO])

    @cached_property
    def _probe(self) -> zstandard.ZstdCompressor:
        return zstandard.ZstdCompressor(level=LEVEL_LOW)

    @cached_property
    def _compressor_small(self) -> zstandard.ZstdCompressor:
        return self._probe if self._levels.small == LEVEL_LOW else zstandard.ZstdCompressor(level=self._levels.small)

    @cached_property
    def _compressor(self) -> zstandard.ZstdCompressor:
        large = self._levels.large
        return _bounded(large) if self._compression is Compression.MAX else zstandard.ZstdCompressor(level=large)

    @cached_property
    def _decompressor(self) -> zstandard.ZstdDecompressor:
        return zstandard.ZstdDecompressor()

    def compress(self, plain: Buffer) -> bytes | None:
        """Compress, or give None where that saves less than a 32nd, or nothing is to be compressed.

        Of a large buffer a few samples are tried first, so that what does not compress costs little.
        """
        size = len(plain)
        if self._is_off or size < PLAIN_SIZE_MIN or (size >= PROBE_FROM_SIZE and not self._promises(memoryview(plain))):
            return None
        compressor = self._compressor if size > self._levels.small_size_max else self._compressor_small
        compressed = compressor.compress(plain)
        return compressed if len(compressed) < size - (size >> 5) else None

    def _promises(self, plain: memoryview) -> bool:
        """Try a sample at the beginning, the middle and the end."""
        last = len(plain) - PROBE_SIZE
        for start in (0, last // 2, last):
            sample = plain[start : start + PROBE_SIZE]
            if len(self._probe.compress(sample)) < PROBE_SIZE - (PROBE_SIZE >> 5):
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


def _bounded(level: int) -> zstandard.ZstdCompressor:
    """Make a compressor of a high level whose memory does not grow with the content."""
    parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=WINDOW_SIZE_MAX)
    return zstandard.ZstdCompressor(compression_params=parameters)
