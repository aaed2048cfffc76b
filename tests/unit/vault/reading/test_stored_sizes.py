import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, ImmutableFile, LiteralDirectory, LiteralFile, ReadCap
from tallac.dag import Entry
from tallac.errors import AuthorityError, MissingObjectError
from tallac.interfaces import StoredPart, StoredSizes
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import Tree, noise, put_tree
from tallac.vault.vault import Vault, create_vault, open_vault

MIB = 1 << 20


@pytest.fixture
def backend() -> MemoryBackend:
    """Give an empty store."""
    return MemoryBackend()


@pytest.fixture
def vault(backend: MemoryBackend, tmp_path: Path) -> Iterator[Vault]:
    """Give an empty vault."""
    with open_vault(backend, create_vault(backend, randomness=SeededRandomness(1)), state=tmp_path / "state") as vault:
        yield vault


def store(vault: Vault, tree: Tree) -> DirectoryReadCap:
    """Store a tree that nothing links."""
    with vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, tree)
        session.keep([cap])
    return cap


def all_parts(vault: Vault, cap: ReadCap) -> Iterator[StoredPart]:
    """Give the parts of everything below a cap."""
    yield from vault.stored_parts(cap)
    if isinstance(cap, DirectoryReadCap):
        for entry in vault.read_directory(cap):
            below = entry.cap
            assert isinstance(below, ReadCap)
            yield from all_parts(vault, below)


def test_the_parts_are_what_is_stored(vault: Vault) -> None:
    """The parts of a tree with large files and a large directory are all objects of the vault, each with its sizes."""
    assert isinstance(vault, StoredSizes)
    many: Tree = {b"%05d" % number: noise(number, 60) for number in range(6000)}
    cap = store(vault, {b"large": noise(1, 5 * MIB), b"zeros": bytes(3 * MIB), b"small": b"a" * 5000, b"tiny": b"a", b"many": many})
    parts = {part.name: part for part in all_parts(vault, cap)}
    records = {name: location.length + location.links_length for name, location in vault.components.index.records()}
    assert {name: part.stored_size for name, part in parts.items()} == records
    directory = vault.read_directory(cap).get(b"many")
    assert directory is not None
    assert isinstance(directory.cap, DirectoryReadCap)
    tables = list(vault.stored_parts(directory.cap))
    assert len(tables) > 3
    assert sum(part.size for part in tables) == directory.size


def test_sizes_of_files(vault: Vault) -> None:
    """A file's parts hold its bytes, each once; a hole and what is in the cap have none; compression shows."""
    with vault.session() as session:
        with session.writing() as writer:
            caps = [writer.put_file(io.BytesIO(content)) for content in (noise(1, 5 * MIB), b"a" * 5000, b"tiny")]
        session.keep(caps)
    large, small, tiny = (list(vault.stored_parts(cap)) for cap in caps)
    assert sum(part.size for part in large) == 5 * MIB
    assert len(large) > 3
    assert [part.size for part in small] == [5000]
    assert small[0].stored_size < 200
    assert tiny == []
    assert list(vault.stored_parts(LiteralDirectory(b""))) == list(vault.stored_parts(LiteralFile(b"x"))) == []
    assert list(vault.stored_parts(vault.create_directory().read_cap)) == []


def test_what_is_not_there(vault: Vault) -> None:
    """What the vault lost, or never had, is an error."""
    with pytest.raises(MissingObjectError):
        list(vault.stored_parts(ImmutableFile(bytes(16), bytes(32), 1, 1, 1000)))
    with pytest.raises(AuthorityError):
        list(vault.stored_parts(ImmutableFile(bytes(16), bytes(32), 3, 10, 1000)))


def test_an_entry_that_is_stored_twice(vault: Vault) -> None:
    """The same content has the same parts."""
    first = store(vault, {b"a": b"x" * 1000, b"b": b"x" * 1000})
    entries: list[Entry] = list(vault.read_directory(first))
    one, other = (list(vault.stored_parts(cap)) for entry in entries if isinstance(cap := entry.cap, ReadCap))
    assert one == other
