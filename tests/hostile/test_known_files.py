"""Who has a locator key and known files: what lengths and order tell of them (SECURITY 4)."""

from __future__ import annotations

import sysconfig
from itertools import pairwise
from pathlib import Path
from random import Random

import moto
import pytest

from tallac.backends.memory import MemoryBackend
from tallac.crypto.padding import rounded
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import decode_body
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import LocatorKey
from tallac.vault.format.links import SMALL_SIZE_MAX
from tallac.vault.format.structure import Structure
from tallac.vault.packs.pack import StoredPacks
from tallac.vault.vault import create_vault, open_vault

TELLING_SIZE_MIN = 4000
NOT_STORED = ("asyncio", "xml", "unittest")
STORED = ("email", "distutils", "json")


def _contents(folder: Path) -> list[bytes]:
    """Read the small files of a tree that are one chunk each."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    contents = [path.read_bytes() for path in paths]
    return [content for content in contents if 56 <= len(content) <= SMALL_SIZE_MAX]


def _expected(content: bytes, codec: Codec) -> int:
    """Compute how long a content is when it is stored, as anybody can."""
    compressed = codec.compress(content)
    return rounded(len(content if compressed is None else compressed) + 29)


def _lengths(backend: MemoryBackend, key: LocatorKey) -> list[list[int]]:
    """Read the lengths of all objects in the order of each pack, with the locator key alone."""
    packs = StoredPacks(backend, Structure(key, read_header(backend).signers))
    return [[entry.length for entry in decode_body(pack.body)] for pack in packs.footers(packs.sizes())]


def _store(backend: MemoryBackend, contents: list[bytes], state: Path) -> LocatorKey:
    key = create_vault(backend)
    with open_vault(backend, key, state=state) as vault, vault.session() as session, session.writing() as writer:
        for content in contents:
            writer.put_small(content)
    return LocatorKey(key.locator_key.secret, key.vault)


@pytest.mark.slow
def test_known_trees_are_not_recognised_by_sizes(tmp_path: Path) -> None:
    """Sizes of three trees that are stored are found, and so are those of three that are not: their absence would look the same."""
    library = Path(sysconfig.get_paths()["stdlib"])
    left_out = [library / name for name in NOT_STORED]
    # Some systems leave half of Python's library to other packages.
    more = sorted(Path(moto.__file__).parent.iterdir())
    contents = [
        content
        for path in [*sorted(library.iterdir()), *more]
        if path.is_dir() and path not in left_out and path.name not in ("site-packages", "dist-packages")
        for content in _contents(path)
    ]
    backend = MemoryBackend()
    seen = {length for lengths in _lengths(backend, _store(backend, contents, tmp_path)) for length in lengths}
    codec = Codec()

    def found(names: tuple[str, ...]) -> float:
        sizes = [_expected(content, codec) for name in names for content in _contents(library / name)]
        telling = [size for size in sizes if size > TELLING_SIZE_MIN]
        assert len(telling) >= 10
        return sum(size in seen for size in telling) / len(telling)

    assert found(STORED) == 1
    # Without padding it was 0.02, and 1 for what is stored.
    assert found(NOT_STORED) >= 0.95


def test_the_order_of_the_source_does_not_show(tmp_path: Path) -> None:
    """Files that lie beside each other in the source lie beside each other in a pack as often as any two."""
    chance = Random(1)
    sizes = sorted({rounded(chance.randrange(100, 100_000)) for _ in range(2000)})
    chance.shuffle(sizes)
    backend = MemoryBackend()
    # Each size is that of one file, so that the attacker knows which is which.
    contents = [noise(number, size - 29) for number, size in enumerate(sizes)]
    packs = _lengths(backend, _store(backend, contents, tmp_path))
    place = {size: number for number, size in enumerate(sizes)}
    steps = [abs(place[one] - place[next_one]) for pack in packs for one, next_one in pairwise(pack)]
    assert len(steps) > len(sizes) - 10
    # In the order of the source every step would be 1 or 2; of a random order, a third of all.
    assert sum(step <= 2 for step in steps) < len(steps) // 10
    assert sum(steps) / len(steps) > len(sizes) / 6
