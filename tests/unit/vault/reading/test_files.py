import io
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.caps import ImmutableFile, LiteralFile
from tallac.dag import decode_cap, encode_cap
from tallac.errors import DamageError, MalformedObjectError
from tallac.interfaces import Backend, FileContent
from tallac.testing.sample_vault import noise
from tallac.vault.format.links import SMALL_SIZE_MAX
from tallac.vault.vault import Vault, create_vault, open_vault

MIB = 1 << 20
SIZES = [
    0,
    1,
    55,
    56,
    1000,
    SMALL_SIZE_MAX - 1,
    SMALL_SIZE_MAX,
    SMALL_SIZE_MAX + 1,
    MIB,
    4 * MIB - 1,
    4 * MIB,
    4 * MIB + 1,
    9 * MIB,
]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Give an empty vault."""
    backend = MemoryBackend()
    with open_vault(backend, create_vault(backend), state=tmp_path / "state") as vault:
        yield vault


def stored(vault: Vault, content: FileContent) -> ImmutableFile | LiteralFile:
    """Store a file in a session of its own."""
    with vault.session() as session, session.writing() as writer:
        cap = writer.put_file(content)
    assert isinstance(cap, ImmutableFile | LiteralFile)
    return cap


@pytest.mark.parametrize("size", SIZES)
def test_files_of_all_sizes(vault: Vault, size: int) -> None:
    """Around every limit, of noise and of zeros, what was stored is read, and the cap knows its size."""
    for content in (noise(size, size), bytes(size), bytes(size // 2) + noise(1, size - size // 2)):
        cap = stored(vault, io.BytesIO(content))
        assert cap.size == size
        assert isinstance(cap, LiteralFile) == (size <= 55)
        with vault.open_file(cap) as file:
            assert file.read() == content
            assert file.read(1) == b""


def test_a_stream_in_small_parts(vault: Vault) -> None:
    """A stream that gives a few bytes at a time has the cap of the same content at once."""

    class Dribble(io.RawIOBase):
        """Gives at most 1,000 bytes a call."""

        def __init__(self, content: bytes) -> None:
            super().__init__()
            self._inner = io.BytesIO(content)

        def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
            return self._inner.readinto(buffer[:1000])

    content = noise(1, SMALL_SIZE_MAX + 5)
    assert stored(vault, Dribble(content)) == stored(vault, io.BytesIO(content))
    assert stored(vault, Dribble(content[:9999])) == stored(vault, io.BytesIO(content[:9999]))


def test_reading_anywhere(vault: Vault) -> None:
    """Seeking and reading gives what a file in memory gives."""
    content = noise(1, 3 * MIB) + bytes(3 * MIB) + noise(2, 2 * MIB)
    chance = random.Random(3)
    with vault.open_file(stored(vault, io.BytesIO(content))) as file:
        for _ in range(100):
            start, size = chance.randrange(len(content) + 1000), chance.randrange(1, 3000)
            assert file.seek(start) == file.tell() == start
            part = file.read(size)
            assert part == content[start : start + len(part)]
            assert part or start >= len(content)
        assert file.seek(-5, os.SEEK_END) == len(content) - 5
        assert file.seek(2, os.SEEK_CUR) == len(content) - 3
        assert file.read() == content[-3:]
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        buffer = bytearray(10)
        file.seek(0)
        assert io.BufferedReader(file).readinto(buffer) == 10  # type: ignore[type-var]
        assert buffer == content[:10]


def test_the_pieces_of_a_file_are_given_back_as_far_as_they_are_held(vault: Vault, tmp_path: Path) -> None:
    """What a large file was joined of can be joined again, up to a piece that nobody stored; of an unknown file, nothing."""
    path = tmp_path / "file"
    path.write_bytes(noise(5, 5 << 20) + bytes(2 << 20) + noise(6, 3 << 20))
    with vault.session() as session, session.writing() as writer, path.open("rb") as file:
        chunks = list(writer.cut(file.fileno(), path.stat().st_size))
        tokens = [
            b"" if chunk.is_hole else writer.put_chunk(os.pread(file.fileno(), chunk.length, chunk.offset)) for chunk in chunks
        ]
        joined = list(zip(chunks, tokens, strict=True))
        whole, beginning = writer.join(joined), writer.join(joined[:-2])
        broken = writer.join([*joined[:-2], (chunks[-2], bytes(48)), joined[-1]])
    with vault.session() as session, session.writing() as writer:
        assert writer.chunks_held(whole) == joined
        assert writer.chunks_held(beginning) == joined[:-2]
        assert writer.chunks_held(broken) == joined[:-2]
        assert writer.chunks_held(b"C" + bytes(48) + whole[49:]) == []


def test_small_files_are_read_together(vault: Vault) -> None:
    """Contents come in the order asked for, each as often as it is asked for; what is not small is left to `open_file`."""
    contents = [noise(number, size) for number, size in enumerate((56, 1, 9000, SMALL_SIZE_MAX, SMALL_SIZE_MAX + 1, 0, 300))]
    encoded = [encode_cap(stored(vault, io.BytesIO(content))) for content in contents]
    small = [content if len(content) <= SMALL_SIZE_MAX else None for content in contents]
    assert vault.read_small_files(encoded) == small
    assert vault.read_small_files(encoded[::-1] + encoded) == small[::-1] + small
    assert vault.read_small_files([]) == []


@pytest.mark.parametrize("place", [1, 16, 17, 32, 33, 48, 49])
def test_a_cap_that_is_not_right_spoils_nothing_beside_it(vault: Vault, place: int) -> None:
    """With another key, hash or size the content is not believed, and that of its neighbours is there."""
    contents = [noise(number, 5000 + number) for number in range(3)]
    encoded = [encode_cap(stored(vault, io.BytesIO(content))) for content in contents]
    bent = bytearray(encoded[1])
    bent[place] ^= 1
    assert vault.read_small_files([encoded[0], bytes(bent), encoded[2]]) == [contents[0], None, contents[2]]
    cap = decode_cap(bytes(bent))
    assert isinstance(cap, ImmutableFile)
    with pytest.raises(DamageError):
        vault.open_file(cap).read()


def test_a_cap_in_a_second_form_is_read_by_nobody(vault: Vault) -> None:
    """A size that begins with a zero byte is left to what says so."""
    encoded = encode_cap(stored(vault, io.BytesIO(noise(1, 300))))
    bent = encoded[:49] + b"\0" + encoded[49:]
    assert vault.read_small_files([bent, encoded[:49], b"C"]) == [None, None, None]
    with pytest.raises(MalformedObjectError):
        decode_cap(bent)


@pytest.mark.parametrize("is_folder", [False, True], ids=["store", "folder"])
@pytest.mark.parametrize("damage", ["lost", "cut", "changed"])
def test_damage_in_one_pack_costs_only_what_is_in_it(tmp_path: Path, damage: str, is_folder: bool) -> None:
    """Files of a pack that is lost, cut short or changed are left to `open_file`, which names the damage; others are there."""
    # In a folder each object is read by itself, elsewhere in windows.
    backend: Backend = MemoryBackend()
    if is_folder:
        backend = LocalBackend(tmp_path / "vault")
        backend.create()
    secret = create_vault(backend)
    with open_vault(backend, secret, state=tmp_path / "state") as vault:
        contents = [noise(number, 5000) for number in range(2)]
        caps = [stored(vault, io.BytesIO(contents[0]))]
        kept = {item.name for item in backend.list("packs/")}
        caps.append(stored(vault, io.BytesIO(contents[1])))
        encoded = [encode_cap(cap) for cap in caps]
        for item in list(backend.list("packs/")):
            if item.name not in kept:
                whole = backend.get(item.name)
                backend.delete(item.name)
                if damage != "lost":
                    backend.put(item.name, whole[:100] if damage == "cut" else bytes(byte ^ 1 for byte in whole))
        assert vault.read_small_files(encoded) == [contents[0], None]
        with pytest.raises(DamageError):
            vault.open_file(caps[1]).read()


def test_a_hole_needs_no_memory(vault: Vault, tmp_path: Path) -> None:
    """A file of a terabyte, nearly all of it a hole, is stored and read where one looks."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(1 << 39)
        file.write(b"x")
        file.truncate(1 << 40)
    with vault.session() as session, session.writing() as writer, path.open("rb") as file:
        chunks = list(writer.cut(file.fileno(), 1 << 40))
        cap = decode_cap(
            writer.join(
                (chunk, b"" if chunk.is_hole else writer.put_chunk(os.pread(file.fileno(), chunk.length, chunk.offset)))
                for chunk in chunks
            )
        )
    assert isinstance(cap, ImmutableFile)
    with vault.open_file(cap) as reader:
        reader.seek((1 << 39) - 1)
        assert reader.read(1) == b"\0"
        assert reader.read(2) == b"x\0"
        assert len(reader.read(1 << 30)) <= 1 << 22
        reader.seek(-1, os.SEEK_END)
        assert reader.read() == b"\0"
