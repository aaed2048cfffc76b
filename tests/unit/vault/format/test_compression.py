from pathlib import Path

import pytest
import zstandard
from hypothesis import given, strategies as st

import tallac
from tallac.errors import CorruptObjectError
from tallac.interfaces.compressing import Compression
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import PROBE_FROM_SIZE, WINDOW_SIZE_MAX, Codec

CODEC = Codec()


@given(st.binary(max_size=300), st.integers(1, 2000))
def test_there_and_back(part: bytes, times: int) -> None:
    """What compresses comes back, and takes at least a 32nd less; what does not is left alone."""
    plain = part * times
    compressed = CODEC.compress(plain)
    if compressed is not None:
        assert len(compressed) < len(plain) - len(plain) // 32
        assert CODEC.decompress(compressed, len(plain)) == plain


@pytest.mark.parametrize("size", [10, 31, 1000, PROBE_FROM_SIZE - 1, PROBE_FROM_SIZE, 1 << 20])
def test_noise_is_left_alone(size: int) -> None:
    """Random bytes are stored raw, whether they are tried or probed."""
    assert CODEC.compress(noise(size, size)) is None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_stretch_that_compresses_is_found(place: int) -> None:
    """Large contents of which beginning, middle or end compress are compressed."""
    parts = [noise(number, 1 << 18) for number in range(3)]
    parts[place] = bytes(1 << 18)
    compressed = CODEC.compress(b"".join(parts))
    assert compressed is not None
    assert len(compressed) < 3 << 18


def test_a_bomb_is_refused() -> None:
    """A frame that declares more than is allowed, lies about it, or does not declare it, is refused before it grows."""
    bomb = zstandard.ZstdCompressor().compress(bytes(100 << 20))
    assert len(bomb) < 1 << 14
    with pytest.raises(CorruptObjectError):
        CODEC.decompress(bomb, (100 << 20) - 1)
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    with pytest.raises(CorruptObjectError):
        CODEC.decompress(silent, 1000)
    parameters = zstandard.ZstdCompressor().compressobj(size=1 << 20)
    lying = bytearray(parameters.compress(bytes(1 << 20)) + parameters.flush())
    assert zstandard.frame_content_size(bytes(lying)) == 1 << 20
    # The frame's size field: 4 bytes behind magic and descriptor.
    lying[5:9] = (1000).to_bytes(4, "little") if lying[4] & 0x20 else lying[5:9]
    with pytest.raises(CorruptObjectError):
        CODEC.decompress(bytes(lying), 1000)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(junk: bytes) -> None:
    """What is no frame, or more than one, gives the declared error."""
    frame = zstandard.ZstdCompressor().compress(b"a" * 100)
    for candidate in (junk, frame[:-1], frame + b"x" + junk, frame + frame):
        with pytest.raises(CorruptObjectError):
            CODEC.decompress(candidate, 100)


WORDS = b"".join(path.read_bytes() for path in sorted(Path(tallac.__file__).parent.rglob("*.py")))[:1_400_000]
"""Real text, 1.4 MB of it: more than the largest window."""


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("size", [31, 3_000, 1 << 15, 1 << 17, 1_400_000])
def test_one_codec_reads_all(compression: Compression, size: int) -> None:
    """Whatever a writer chose, every reader reads it; with `off` it lies there as it is."""
    compressed = Codec(compression).compress(WORDS[:size])
    assert (compressed is None) == (compression is Compression.OFF or size < 32)
    if compressed is not None:
        assert CODEC.decompress(compressed, size) == WORDS[:size]


def test_more_takes_less_space() -> None:
    """Small and large contents are no larger with `auto` than with `fast`, and clearly smaller with `max`."""
    for size in (20_000, 1_400_000):
        fast, auto, most = (
            len(Codec(compression).compress(WORDS[:size]) or WORDS)
            for compression in (Compression.FAST, Compression.AUTO, Compression.MAX)
        )
        assert most < 0.97 * auto
        assert auto <= fast


def test_windows_stay_within_bounds() -> None:
    """In a chunk of the largest size `max` looks back no further than a window by which its memory is bounded."""
    compressed = Codec(Compression.MAX).compress(WORDS * 2 + bytes((4 << 20) - 2 * len(WORDS)))
    assert compressed is not None
    assert zstandard.get_frame_parameters(compressed).window_size <= WINDOW_SIZE_MAX
