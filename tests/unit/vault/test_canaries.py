import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard

from tallac.backends.local import LocalBackend
from tallac.caps import LiteralFile
from tallac.crypto.padding import padme
from tallac.dag import Entry, Metadata, encode_cap
from tallac.testing.determinism import FakeClock
from tallac.testing.sample_vault import Tree, back_up, create_target, noise
from tallac.vault.format.links import links_of_encoded
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.sessions import RegisteredSession
from tallac.vault.vault import create_vault, open_vault

CANARY = b"canary-in-the-mine"
SIZE = 123_457
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def searched(content: bytes) -> Iterator[bytes]:
    """Give a stored file's bytes, and whatever in it is a zstd frame, decompressed."""
    yield content
    place = content.find(ZSTD_MAGIC)
    while place >= 0:
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompress(content[place:], max_output_size=1 << 20)
        place = content.find(ZSTD_MAGIC, place + 1)


def forms(canary: bytes) -> Iterator[bytes]:
    """Give what a canary might look like in a careless format."""
    yield from (canary, canary[::-1], canary.hex().encode(), canary.decode().encode("utf-16-le"))


@pytest.fixture
def vault_folder(tmp_path: Path) -> Path:
    """Make a vault full of canaries, in a folder."""
    folder = tmp_path / "vault"
    folder.mkdir()
    backend = LocalBackend(folder)
    key = create_vault(backend)
    with open_vault(backend, key, state=tmp_path / "state") as vault:
        target = create_target(vault)
        tree: Tree = {
            CANARY: CANARY * 1000,
            CANARY + b" sized": noise(1, SIZE),
            CANARY + b" small": CANARY,
            CANARY + b" directory": {CANARY: CANARY + noise(2, 700_000), b"empty": {}},
        }
        cap = back_up(vault, target, CANARY + b" snapshot", tree)
        vault.edit_directory(
            target, lambda entries: [*entries, Entry.of(CANARY, LiteralFile(CANARY), Metadata(user=CANARY.decode()))]
        )
    # A killed run has left its session, with the links of what it was about to enter.
    session = RegisteredSession.register(backend, key.keeper_key.roots, Structure(key, Signers.of(key)), os.urandom, FakeClock())
    session.commit(links_of_encoded(encode_cap(cap)))
    return folder


def test_no_byte_of_the_source_is_seen(vault_folder: Path) -> None:
    """No content, name or metadata stands in any file of the vault, nor in any file's name, in no form."""
    files = [path for path in vault_folder.rglob("*") if path.is_file()]
    assert {path.relative_to(vault_folder).parts[0] for path in files} >= {
        "header",
        "packs",
        "index",
        "registers",
        "slots",
        "sessions",
    }
    for path in files:
        assert not any(form in bytes(path) for form in forms(CANARY))
        for content in searched(path.read_bytes()):
            assert not any(form in content for form in forms(CANARY)), path
            assert not any(word in content for word in (b"Archives", b"Latest", b"URI:", b"directory")), path


def test_no_size_is_seen(vault_folder: Path) -> None:
    """Sizes are padded, and no file's size or name's length stands anywhere as a number."""
    sizes = [SIZE.to_bytes(width, order) for width in (3, 4, 8) for order in ("big", "little")]
    for path in vault_folder.rglob("*"):
        if not path.is_file() or path.name.startswith("header"):
            continue
        content = path.read_bytes()
        assert len(content) == padme(len(content)), path
        assert not any(size in content for size in sizes[2:]), path
        assert str(SIZE).encode() not in content


def test_nothing_repeats(tmp_path: Path) -> None:
    """Two vaults with the same content have no stretch in common, and one pack no repeated stretch."""
    ranges: list[set[bytes]] = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        backend = LocalBackend(folder)
        with open_vault(backend, create_vault(backend), state=tmp_path / f"state {number}") as vault:
            back_up(vault, create_target(vault), b"1", {b"a": bytes(400_000), b"b": CANARY * 1000, b"c": noise(1, 50_000)})
        contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.startswith("header")]
        found = [content[start : start + 16] for content in contents for start in range(len(content) - 16)]
        assert len(set(found)) == len(found)
        ranges.append(set(found))
    assert not ranges[0] & ranges[1]


def test_what_is_written_is_private(vault_folder: Path) -> None:
    """All files of a vault in a folder are the owner's own."""
    for path in vault_folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_state_folder_tells_nothing(vault_folder: Path, tmp_path: Path) -> None:
    """The local copy of index and memory has no content and no name either, and is private."""
    for path in (tmp_path / "state").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file():
            assert not any(form in path.read_bytes() for form in forms(CANARY))
