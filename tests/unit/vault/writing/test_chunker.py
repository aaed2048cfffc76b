import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pyfastcdc import FastCDC

from tallac.interfaces import Chunk
from tallac.testing.sample_vault import noise
from tallac.vault.writing import chunker as cutting
from tallac.vault.writing.chunker import BLOCK_SIZE, CHUNK_SIZE_MAX, CHUNK_SIZE_MIN, Cutter, ranges

SEED = 12345
MIB = 1 << 20
EDGES = [0, 1, BLOCK_SIZE, MIB, CHUNK_SIZE_MIN, CHUNK_SIZE_MAX, MIB - BLOCK_SIZE]


@contextmanager
def opened(path: Path, content: bytes) -> Iterator[int]:
    """Write a file and open it."""
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def cut(path: Path, content: bytes) -> list[Chunk]:
    """Cut a file with this content, and see that the pieces are all of it."""
    with opened(path, content) as descriptor:
        chunks = list(Cutter(SEED).cut(descriptor, len(content)))
    end = 0
    for chunk in chunks:
        assert chunk.offset == end
        assert chunk.length > 0
        assert chunk.is_hole or chunk.length <= CHUNK_SIZE_MAX
        end += chunk.length
        if chunk.is_hole:
            assert not any(content[chunk.offset : end])
    assert end == len(content)
    return chunks


def contents(content: bytes, chunks: list[Chunk]) -> set[bytes]:
    """Give what the pieces hold."""
    return {content[chunk.offset : chunk.offset + chunk.length] for chunk in chunks}


def test_windows_leave_no_trace(tmp_path: Path) -> None:
    """Pieces end where the chunker, given all of the content at once, ends them."""
    content = noise(1, 40 * MIB)
    chunker = FastCDC(CHUNK_SIZE_MIN, min_size=CHUNK_SIZE_MIN, max_size=CHUNK_SIZE_MAX, normalized_chunking=1, seed=SEED)
    expected = [(chunk.offset, chunk.length) for chunk in chunker.cut_buf(memoryview(content))]
    assert len(expected) > 20
    assert [(chunk.offset, chunk.length) for chunk in cut(tmp_path / "file", content)] == expected


@pytest.mark.parametrize("window", [CHUNK_SIZE_MAX + 1, CHUNK_SIZE_MAX + BLOCK_SIZE, 3 * CHUNK_SIZE_MAX - 1])
def test_any_window_gives_the_same_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    """The size of the window in which a file is read is no part of the format."""
    content = noise(2, 15 * MIB) + bytes(3 * MIB) + noise(3, 9 * MIB)
    expected = cut(tmp_path / "file", content)
    monkeypatch.setattr(cutting, "WINDOW_SIZE", window)
    assert cut(tmp_path / "file", content) == expected


@pytest.mark.slow
@pytest.mark.parametrize("end", [b"", bytes(BLOCK_SIZE * 3), bytes(3 * MIB + 17), noise(9, 2 * MIB + 5)])
def test_cutting_goes_on_at_any_piece(tmp_path: Path, end: bytes) -> None:
    """Whoever begins where a piece begins, finds that piece and all that follow as if they had begun at the front."""
    zeros = bytes(BLOCK_SIZE)
    content = bytes(2 * MIB) + noise(6, 5 * MIB + 1) + zeros * 15 + noise(7, 3 * MIB - 1) + zeros * 40 + noise(8, 4 * MIB) + end
    chunks = cut(tmp_path / "file", content)
    assert sum(chunk.is_hole for chunk in chunks) >= 2
    with opened(tmp_path / "file", content) as descriptor:
        cutter = Cutter(SEED)
        for number, chunk in enumerate(chunks):
            assert list(cutter.cut(descriptor, len(content), chunk.offset)) == chunks[number:]
        assert list(cutter.cut(descriptor, len(content), len(content))) == []


def test_another_seed_cuts_elsewhere(tmp_path: Path) -> None:
    """Where files are cut is a secret of the vault."""
    content = noise(4, 8 * MIB)
    with opened(tmp_path / "file", content) as descriptor:
        assert list(Cutter(SEED + 1).cut(descriptor, len(content))) != list(Cutter(SEED).cut(descriptor, len(content)))


@pytest.mark.slow
def test_an_insertion_changes_few_pieces(tmp_path: Path) -> None:
    """1 KB more in the middle of 64 MiB makes a few new pieces, whatever lies before and behind."""
    content = noise(5, 64 * MIB)
    changed = content[: 30 * MIB + 777] + noise(6, 1024) + content[30 * MIB + 777 :]
    before = contents(content, cut(tmp_path / "file", content))
    after = contents(changed, cut(tmp_path / "file", changed))
    assert len(before) > 50
    assert len(after - before) <= 3


def test_holes_and_zeros_are_the_same(tmp_path: Path) -> None:
    """Whether zeros are written, or are a hole of the file system, the pieces are the same; short runs are no holes."""
    content = noise(7, 3 * BLOCK_SIZE + 5) + bytes(5 * MIB) + noise(8, 2 * MIB) + bytes(MIB - 1) + b"x" + bytes(2 * MIB)
    written = cut(tmp_path / "written", content)
    with opened(tmp_path / "sparse", b"") as descriptor:
        os.truncate(descriptor, len(content))
        for start in range(0, len(content), 4096):
            if any(content[start : start + 4096]):
                os.pwrite(descriptor, content[start : start + 4096], start)
        assert list(Cutter(SEED).cut(descriptor, len(content))) == written
    assert sum(chunk.is_hole for chunk in written) == 2


def test_a_huge_hole_is_not_read(tmp_path: Path) -> None:
    """A terabyte of nothing costs nothing."""
    with opened(tmp_path / "sparse", b"") as descriptor:
        os.truncate(descriptor, 1 << 40)
        os.pwrite(descriptor, b"x", 1 << 39)
        chunks = list(Cutter(SEED).cut(descriptor, 1 << 40))
    assert [chunk.is_hole for chunk in chunks] == [True, False, True]
    assert chunks[1] == Chunk(1 << 39, BLOCK_SIZE)


@pytest.mark.parametrize(("size", "is_hole"), [(MIB, True), (MIB + 1, True), (15 * BLOCK_SIZE + 1, True), (15 * BLOCK_SIZE, False)])
def test_sixteen_blocks_are_a_hole(tmp_path: Path, size: int, is_hole: bool) -> None:
    """A run of 16 blocks is a hole, where the last block may be short; one of 15 is none."""
    with opened(tmp_path / "file", bytes(size)) as descriptor:
        found = list(ranges(descriptor, size))
    assert found == [(0, size, is_hole)]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(EDGES), st.integers(0, 3 * BLOCK_SIZE)),
            st.integers(-2, 2),
            st.sampled_from(["zeros", "zeros", "noise", "one byte"]),
        ),
        max_size=5,
    )
)
@settings(max_examples=60)
def test_pieces_are_the_content(tmp_path: Path, parts: list[tuple[int, int, str]]) -> None:
    """Contents of any size, biased to zeros and to the limits, are their pieces; what is no piece is zero (row 22)."""
    make: dict[str, Callable[[int], bytes]] = {
        "zeros": bytes,
        "noise": lambda size: noise(size, size),
        "one byte": lambda size: (bytes(size) + b"x")[-size:] if size else b"",
    }
    content = b"".join(make[kind](max(0, size + offset)) for size, offset, kind in parts)
    chunks = cut(tmp_path / "file", content)
    assert all(chunk.length >= min(MIB - BLOCK_SIZE + 1, len(content)) for chunk in chunks if chunk.is_hole)


@pytest.mark.parametrize("left", [0, 1, BLOCK_SIZE, MIB, 5 * MIB, 12 * MIB, 13 * MIB])
def test_a_file_that_shrinks_ends_early(tmp_path: Path, left: int) -> None:
    """Pieces end where the file ends by then; what is gone is never taken for zeros."""
    content = noise(9, 10 * MIB) + bytes(2 * MIB) + noise(10, 3 * MIB)
    for cut_before in (0, 1):
        with opened(tmp_path / "file", content) as descriptor:
            chunks = Cutter(SEED).cut(descriptor, len(content))
            found = [next(chunks) for _ in range(cut_before)]
            os.truncate(descriptor, left)
            found += chunks
        assert not [chunk for chunk in found[cut_before:] if chunk.is_hole and chunk.offset + chunk.length > left]
        end = 0
        for chunk in found:
            assert chunk.offset == end
            end += chunk.length
        assert end <= len(content)


def test_almost_zero_is_not_zero(tmp_path: Path) -> None:
    """Blocks that begin with zeros but are not zero are no holes."""
    chance = random.Random(1)
    content = bytearray(4 * MIB)
    for start in range(0, len(content), BLOCK_SIZE):
        content[start + chance.randrange(64, BLOCK_SIZE)] = 1
    assert not [chunk for chunk in cut(tmp_path / "file", bytes(content)) if chunk.is_hole]
