import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallac import buckets
from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, ImmutableFile, LiteralDirectory, LiteralFile, ReadCap
from tallac.dag import EncodedCap, encode_cap
from tallac.errors import AuthorityError, MalformedObjectError, MissingObjectError
from tallac.interfaces import StoredObject, StoredSizes
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import Tree, noise, put_tree
from tallac.vault.index.sorted_runs import SortedRun
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


def all_objects(vault: Vault, cap: ReadCap) -> Iterator[StoredObject]:
    """Return the objects of everything below a cap."""
    yield from vault.objects_of(encode_cap(cap))
    if isinstance(cap, DirectoryReadCap):
        for entry in vault.read_directory(cap):
            below = entry.cap
            assert isinstance(below, ReadCap)
            yield from all_objects(vault, below)


def test_the_objects_are_what_is_stored(vault: Vault) -> None:
    """The objects of a tree with large files and a large directory are all that the vault has, each with its sizes."""
    assert isinstance(vault, StoredSizes)
    many: Tree = {b"%05d" % number: noise(number, 60) for number in range(6000)}
    cap = store(vault, {b"large": noise(1, 5 * MIB), b"zeros": bytes(3 * MIB), b"small": b"a" * 5000, b"tiny": b"a", b"many": many})
    names = {each.name for each in all_objects(vault, cap)}
    records = {location.hash: location.length + location.links_length for _, location in vault.components.index.records()}
    assert dict(vault.stored_sizes(names)) == records
    assert dict(vault.stored_sizes({*list(names)[:5], b"unknown"})).keys() == {*list(names)[:5]}
    directory = vault.read_directory(cap).get(b"many")
    assert directory is not None
    tables = vault.objects_of(directory.encoded)
    assert len(tables) > 3
    assert sum(each.size for each in tables) == directory.size


@pytest.mark.parametrize("full_size", [48, 1 << 14])
def test_an_index_is_passed_over_twice(vault: Vault, monkeypatch: pytest.MonkeyPatch, full_size: int) -> None:
    """Whoever asks for many sizes part by part gets all of them, and the index is passed over twice."""
    monkeypatch.setattr(buckets, "FULL_SIZE", full_size)
    store(vault, {b"%05d" % number: noise(number, 60) for number in range(3000)})
    index = vault.components.index
    index.refresh()
    records = {location.hash: location.size for _, location in index.records()}
    passes: list[int] = []
    runs = index.runs

    def counted() -> list[SortedRun]:
        passes.append(1)
        return runs()

    monkeypatch.setattr(index, "runs", counted)
    names, found = sorted(records), dict[bytes, int]()
    for start in range(0, len(names), 100):
        part = {*names[start : start + 100]}
        for name, size in vault.stored_sizes(part):
            found[name] = size
            part.discard(name)
    assert found == records
    assert len(passes) == 2
    # What is stored meanwhile is seen.
    store(vault, {b"new": noise(9, 70_000)})
    index.refresh()
    [new] = [location for _, location in index.records() if location.hash not in records and location.size > 60_000]
    assert dict(vault.stored_sizes({new.hash, names[0]})) == {new.hash: new.size, names[0]: records[names[0]]}


def test_sizes_of_files(vault: Vault) -> None:
    """A file's objects hold its bytes, each once; a hole and what is in the cap have none; compression shows."""
    with vault.session() as session:
        with session.writing() as writer:
            caps = [writer.put_file(io.BytesIO(content)) for content in (noise(1, 5 * MIB), b"a" * 5000, b"tiny")]
        session.keep(caps)
    large, small, tiny = (vault.objects_of(encode_cap(cap)) for cap in caps)
    assert sum(each.size for each in large) == 5 * MIB
    assert len(large) > 3
    assert [each.size for each in small] == [5000]
    assert dict(vault.stored_sizes({small[0].name}))[small[0].name] < 200
    assert list(tiny) == []
    nothing = (LiteralDirectory(b""), LiteralFile(b"x"), vault.create_directory().read_cap)
    assert [list(vault.objects_of(encode_cap(cap))) for cap in nothing] == [[], [], []]


def test_what_is_not_there(vault: Vault) -> None:
    """What the vault lost has no size, and where it would list others it is an error, as is what it never had."""
    cap = ImmutableFile(bytes(16), bytes(32), 1, 1, 1000)
    assert list(vault.stored_sizes({each.name for each in vault.objects_of(encode_cap(cap))})) == []
    with pytest.raises(MissingObjectError):
        vault.objects_of(encode_cap(ImmutableFile(bytes(16), bytes(32), 1, 1, 5 * MIB)))
    with pytest.raises(AuthorityError):
        vault.objects_of(encode_cap(ImmutableFile(bytes(16), bytes(32), 3, 10, 1000)))


def test_an_entry_that_is_stored_twice(vault: Vault) -> None:
    """The same content has the same objects."""
    first = store(vault, {b"a": b"x" * 1000, b"b": b"x" * 1000})
    one, other = (vault.objects_of(entry.encoded) for entry in vault.read_directory(first))
    assert one == other


def test_what_shows_its_object(vault: Vault) -> None:
    """A file of one chunk shows the object that it has; what has several or none, and what is malformed, is looked at."""
    with vault.session() as session:
        with session.writing() as writer:
            kept = [writer.put_file(io.BytesIO(noise(1, size))) for size in (5000, 5 * MIB, 10)]
        session.keep(kept)
    small, large, tiny = map(encode_cap, kept)
    malformed = small[:49] + b"\0" + small[49:]
    directory = encode_cap(store(vault, {b"a": b"b" * 100}))
    caps = [small, large, tiny, malformed, directory, encode_cap(vault.create_directory().read_cap), b"C", b""]
    names, others = vault.sole_objects({encoded: EncodedCap(encoded).size for encoded in caps})
    assert list(names.items()) == [tuple(each) for each in vault.objects_of(small)]
    assert others == caps[1:]
    with pytest.raises(MalformedObjectError):
        vault.objects_of(malformed)
