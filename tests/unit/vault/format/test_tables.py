import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import ImmutableDirectory, LiteralDirectory
from tallac.dag import Entry, Metadata
from tallac.interfaces import CapWriter
from tallac.testing.sample_vault import noise
from tallac.vault.format.objects import Kind, Stored
from tallac.vault.format.tables import TABLE_SIZE_MAX, TABLE_SIZE_MIN, TableDirectoryBuilder
from tallac.vault.vault import Vault, create_vault, open_vault

CUT_KEY = bytes(range(32))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Give an empty vault."""
    backend = MemoryBackend()
    with open_vault(backend, create_vault(backend), state=tmp_path) as vault:
        yield vault


def entries(count: int) -> list[Entry]:
    """Make up small files."""
    return [Entry(b"%06d name" % number, b"L" + b"x" * (number % 50), Metadata(mode=0o100644)) for number in range(count)]


def stored(vault: Vault, listed: list[Entry]) -> tuple[ImmutableDirectory | LiteralDirectory, int]:
    """Store a directory in a session of its own; give its cap, and the bytes that this took."""
    with vault.session() as session, session.writing() as writer:
        cap = writer.put_directory(listed)
        taken = _taken(writer)
    assert isinstance(cap, ImmutableDirectory | LiteralDirectory)
    return cap, taken


def _taken(writer: CapWriter) -> int:
    return writer.bytes_stored


@pytest.mark.parametrize("count", [0, 1, 2, 1_000, 20_000])
def test_what_was_stored_is_read(vault: Vault, count: int) -> None:
    """Directories of any size come back in order, and each name is found."""
    listed = entries(count)
    cap, _ = stored(vault, listed)
    directory = vault.read_directory(cap)
    assert list(directory) == listed
    for number in {0, 1, count // 2, count - 1} & set(range(count)):
        assert directory.get(listed[number].name) == listed[number]
    for absent in (b"", b"\0", b"000000", b"000000 nam", b"010000 name!", b"\xff" * 300):
        assert directory.get(absent) is None
    assert (cap == LiteralDirectory(b"")) == (count == 0)


@pytest.mark.slow
def test_one_change_in_a_large_directory_costs_little(vault: Vault) -> None:
    """Of a directory with 100,000 names and one change, or one name more, a few tables are stored."""
    listed = entries(100_000)
    _, whole = stored(vault, listed)
    changed = [*listed[:50_000], Entry(listed[50_000].name, b"Lchanged"), *listed[50_001:]]
    cap, taken = stored(vault, changed)
    assert taken < whole // 10
    assert list(vault.read_directory(cap)) == changed
    _, taken = stored(vault, [*listed[:70_000], Entry(b"069999 name+", b"L"), *listed[70_000:]])
    assert taken < whole // 10
    _, taken = stored(vault, listed)
    assert taken == 0


def test_tables_are_bounded() -> None:
    """A table has between 32 and 512 KiB of entries, but for the last, and one entry more than that at most."""
    tables: list[bytes] = []

    def store(kind: Kind, content: bytes, links: bytes) -> Stored:
        assert kind is Kind.DIRECTORY
        tables.append(content)
        return Stored(noise(len(tables), 16), noise(-len(tables), 32))

    builder = TableDirectoryBuilder(CUT_KEY, store)
    for entry in entries(60_000):
        builder.add(entry)
    builder.finish()
    sizes = [len(table) for table in tables if table[:1] == b"\0"]
    assert all(TABLE_SIZE_MIN <= size <= TABLE_SIZE_MAX + 1000 for size in sizes[:-1])
    assert len(sizes) > 5


def test_names_come_in_order(vault: Vault) -> None:
    """A name twice, out of order, or empty is the caller's mistake."""
    for names in ([b"a", b"a"], [b"b", b"a"], [b""]):
        with vault.session() as session, session.writing() as writer, pytest.raises(ValueError, match="come after"):
            writer.put_directory([Entry(name, b"L") for name in names])


def test_a_directory_does_not_depend_on_how_it_was_built(vault: Vault) -> None:
    """The same entries give the same cap, from another session too."""
    listed = entries(3_000)
    assert stored(vault, listed)[0] == stored(vault, listed)[0]
    assert stored(vault, listed[:-1])[0] != stored(vault, listed)[0]
    assert all(one.name < other.name for one, other in pairwise(listed))


@pytest.mark.parametrize("seed", range(20))
def test_several_entries_at_once_are_those_one_by_one(seed: int) -> None:
    """However entries come, the objects are the same, with the same links: short tables, long ones, and large entries between."""
    chance = random.Random(seed)
    caps = [b"C" + noise(number, 48 + chance.randrange(1, 4)).replace(b"\0", b"\1") for number in range(40)]
    caps += [b"D" + noise(50, 48) + b"\1", b"Lx", b"M" + b"", b"L" + bytes(55)]
    listed = [
        Entry(b"%05d" % number, chance.choice(caps), Metadata(target=bytes(40_000) if chance.random() < 0.01 else None))
        for number in range(chance.choice([1, 15, 16, 150, 170, 1_000]))
    ]
    assert objects_of(listed, [1] * len(listed)) == objects_of(listed, [chance.choice([1, 5, 63, 64, 65, 300]) for _ in listed])


def objects_of(listed: list[Entry], groups: list[int]) -> list[tuple[bytes, bytes]]:
    """Build a directory of groups of entries, single ones with `add`; give the contents and links of its objects."""
    made: list[tuple[bytes, bytes]] = []

    def store(_kind: Kind, content: bytes, links: bytes) -> Stored:
        made.append((content, links))
        return Stored(noise(len(made), 16), noise(-len(made), 32))

    builder = TableDirectoryBuilder(CUT_KEY, store)
    start = 0
    for count in groups:
        group = listed[start : start + count]
        start += count
        if count == 1 and group:
            builder.add(group[0])
        else:
            builder.extend(group)
    builder.finish()
    return made


@pytest.mark.parametrize("names", [[b"a", b"a"], [b"b", b"a"], [b""], [b"a", b"c", b"b"]])
def test_several_names_come_in_order(names: list[bytes]) -> None:
    """The same holds of names that come together, and of the last one before them."""
    builder = TableDirectoryBuilder(CUT_KEY, lambda *_: pytest.fail("nothing is to be stored"))
    with pytest.raises(ValueError, match="come after"):
        builder.extend([Entry(name, b"L") for name in names])
    builder.extend([Entry(b"m", b"L")])
    with pytest.raises(ValueError, match="come after"):
        builder.extend([Entry(b"m", b"L"), Entry(b"n", b"L")])
