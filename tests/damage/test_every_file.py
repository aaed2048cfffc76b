import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import MutableDirectoryWrite
from tallac.errors import DamageError, RollbackDetectedError, StoreError, VaultNotFoundError
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.keys import WriterKey
from tallac.vault.vault import Vault, create_vault, open_vault

FIRST: Tree = {
    b"empty": {},
    b"large": noise(1, 700_000) + bytes(1 << 21) + noise(2, 600_000),
    b"text": b"line\n" * 200,
    b"deep": {b"deeper": {b"small": noise(3, 60), b"literal": b"foo"}},
}
SECOND: Tree = {**FIRST, b"text": b"changed\n" * 100, b"new": noise(4, 5_000)}
FLIPS_A_PACK = 75
FLIPS_A_FILE = 75


@dataclass(frozen=True)
class Sample:
    """A whole vault, byte by byte."""

    objects: dict[str, bytes]
    key: WriterKey
    target: MutableDirectoryWrite
    expected: dict[bytes, bytes]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Make a vault with two snapshots."""
    backend = MemoryBackend()
    key = create_vault(backend, randomness=SeededRandomness(1))
    with open_vault(backend, key, state=tmp_path_factory.mktemp("state"), randomness=SeededRandomness(2)) as vault:
        target = create_target(vault)
        assert isinstance(target, MutableDirectoryWrite)
        back_up(vault, target, b"1", FIRST)
        back_up(vault, target, b"2", SECOND)
    expected = {b"Archives/1/" + path: content for path, content in flatten(FIRST)}
    expected |= {b"Archives/2/" + path: content for path, content in flatten(SECOND)}
    expected |= {b"Latest/" + path: content for path, content in flatten(SECOND)}
    return Sample(backend.snapshot(), key, target, expected)


@pytest.fixture
def state(tmp_path: Path) -> Callable[[], Path]:
    """Return an empty state folder that replaces the one before."""

    def make() -> Path:
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        return tmp_path / "state"

    return make


def flipped(content: bytes, bit: int) -> bytes:
    """Change one bit."""
    changed = bytearray(content)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)


def damages(name: str, content: bytes) -> Iterator[bytes | None]:
    """Iterate over the possible damages of one file; None is its removal."""
    chance = random.Random(name)
    size = len(content)
    yield None
    for length in sorted({0, 1, size // 2, size - 1}):
        yield content[:length]
    yield content + b"\0"
    count = FLIPS_A_PACK if name.startswith("packs/") else FLIPS_A_FILE
    for bit in [0, 8 * size - 1, *(chance.randrange(8 * size) for _ in range(count))]:
        yield flipped(content, bit)


def is_found(sample: Sample, vault: Vault) -> bool:
    """Check everything; say whether damage was found."""
    try:
        below = vault.check(sample.target.read_cap, read_data=True)
        structure = vault.check_structure(read_data=True)
    except (DamageError, RollbackDetectedError):
        return True
    return not (below.is_healthy and structure.is_healthy)


def read_all(sample: Sample, vault: Vault) -> dict[bytes, bytes | DamageError]:
    """Read everything below the target."""
    return dict(read_tree(vault, sample.target.read_cap))


def is_lost_with(path: bytes, found: dict[bytes, bytes | DamageError]) -> bool:
    """Whether this path, or a directory above it, is reported as damaged."""
    return any(isinstance(error, DamageError) and (path == at or path.startswith(at)) for at, error in found.items())


def test_nothing_is_wrong_with_a_whole_vault(sample: Sample, state: Callable[[], Path]) -> None:
    """The sample is healthy, and has the files that the format names."""
    vault = open_vault(MemoryBackend(sample.objects), sample.key, state=state())
    assert not is_found(sample, vault)
    assert read_all(sample, vault) == sample.expected
    kinds = {name.partition("/")[0] for name in sample.objects}
    assert kinds == {"header", "header.copy", "index", "packs", "registers", "slots"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["header", "index/", "packs/", "registers/", "slots/"])
def test_damage_is_found_and_never_believed(sample: Sample, state: Callable[[], Path], kind: str) -> None:
    """Whatever happens to any one file: a check finds it, reading gives right bytes or names the path, and the rest is read."""
    for name, content in sample.objects.items():
        if not name.startswith(kind):
            continue
        for number, damaged in enumerate(damages(name, content)):
            objects = {other: whole for other, whole in sample.objects.items() if other != name}
            if damaged is not None:
                objects[name] = damaged
            message = f"{name}, damage {number}"
            vault = open_vault(MemoryBackend(objects), sample.key, state=state())
            found = read_all(sample, vault)
            for path, expected in sample.expected.items():
                assert found.get(path, expected) == expected or isinstance(found[path], DamageError), message
                assert path in found or is_lost_with(path, found), message
            if not name.startswith(("packs/", "slots/")):
                assert found == sample.expected, message
            assert is_found(sample, vault), message
            vault.close()


def test_a_lost_pack_costs_what_was_in_it(sample: Sample, state: Callable[[], Path]) -> None:
    """The packs hold different things: without any one of them something is still read."""
    for lost in (name for name in sample.objects if name.startswith("packs/")):
        objects = {name: content for name, content in sample.objects.items() if name != lost}
        found = read_all(sample, open_vault(MemoryBackend(objects), sample.key, state=state()))
        assert any(isinstance(content, DamageError) for content in found.values())
        if len([content for content in found.values() if isinstance(content, bytes)]) == 0:
            assert set(found) <= {b"Archives/1/", b"Archives/2/", b"Latest/"}


def test_a_slot_that_is_another_ones(sample: Sample, state: Callable[[], Path]) -> None:
    """Swapping two slots, or two packs, is found, and gives nobody the other's content."""
    for kind in ("slots/", "packs/", "registers/"):
        one, other = [name for name in sample.objects if name.startswith(kind)][:2]
        objects = {**sample.objects, one: sample.objects[other], other: sample.objects[one]}
        vault = open_vault(MemoryBackend(objects), sample.key, state=state())
        found = read_all(sample, vault)
        assert all(isinstance(content, DamageError) or content == sample.expected[path] for path, content in found.items())
        assert is_found(sample, vault)


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_a_damaged_index_is_healed_by_the_next_session(sample: Sample, state: Callable[[], Path], damage: str) -> None:
    """Index and register are read from the packs where they are damaged, and the next session writes them anew."""
    for name, content in sample.objects.items():
        if not name.startswith("index/") and name != "registers/index":
            continue
        objects = dict(sample.objects)
        if damage == "gone":
            del objects[name]
        else:
            objects[name] = content[:-1] if damage == "cut" else flipped(content, 8 * 40)
        backend = MemoryBackend(objects)
        with open_vault(backend, sample.key, state=state()) as vault:
            assert is_found(sample, vault)
            back_up(vault, sample.target, b"3", SECOND)
        with open_vault(backend, sample.key, state=state()) as vault:
            assert not is_found(sample, vault)
            found = read_all(sample, vault)
        assert {path: found[path] for path in sample.expected} == sample.expected
        # Nothing but slots, sessions and the index was written: the packs' objects were all found.
        assert [item.name for item in backend.list("packs/")] == [item for item in objects if item.startswith("packs/")]


def test_a_lost_pack_is_healed_by_the_next_session(sample: Sample, state: Callable[[], Path]) -> None:
    """Where a pack is gone or cut, what the source still has is stored anew, and the new snapshot is whole (row 21)."""
    for name in (name for name in sample.objects if name.startswith("packs/")):
        for damaged in (None, sample.objects[name][:-1]):
            objects = {other: content for other, content in sample.objects.items() if other != name}
            if damaged is not None:
                objects[name] = damaged
            backend = MemoryBackend(objects)
            with open_vault(backend, sample.key, state=state()) as vault:
                cap = back_up(vault, sample.target, b"3", SECOND)
            with open_vault(backend, sample.key, state=state()) as vault:
                assert vault.check(cap, read_data=True).findings == []
                assert dict(read_tree(vault, cap)) == dict(flatten(SECOND))


def test_without_a_header_it_is_no_vault(sample: Sample, state: Callable[[], Path]) -> None:
    """With both headers gone, nothing is guessed; with both damaged, it says so."""
    objects = {name: content for name, content in sample.objects.items() if not name.startswith("header")}
    with pytest.raises(VaultNotFoundError):
        open_vault(MemoryBackend(objects), sample.key, state=state())
    objects |= {"header": sample.objects["header"][:-5], "header.copy": b""}
    with pytest.raises(StoreError):
        open_vault(MemoryBackend(objects), sample.key, state=state())


def test_an_older_state_is_refused(sample: Sample, state: Callable[[], Path], tmp_path: Path) -> None:
    """A client that has seen a slot or the roots refuses to go back, also where all of the vault is an older copy."""
    backend = MemoryBackend(sample.objects)
    seen = tmp_path / "seen"
    with open_vault(backend, sample.key, state=seen) as vault:
        back_up(vault, sample.target, b"3", FIRST)
    backend.restore(sample.objects)
    with open_vault(backend, sample.key, state=seen) as vault:
        with pytest.raises(RollbackDetectedError, match="rolled back"):
            read_all(sample, vault)
        assert is_found(sample, vault)
    assert read_all(sample, open_vault(backend, sample.key, state=state())) == sample.expected


def test_any_part_of_an_older_state_is_refused(sample: Sample, state: Callable[[], Path], tmp_path: Path) -> None:
    """Whichever files are rolled back, together or alone: a client that has seen newer ones is shown no old state."""
    backend, seen = MemoryBackend(sample.objects), tmp_path / "seen"
    with open_vault(backend, sample.key, state=seen, randomness=SeededRandomness(3)) as vault:
        back_up(vault, sample.target, b"3", {**FIRST, b"newer": noise(5, 5_000)})
        newer, expected = backend.snapshot(), read_all(sample, vault)
    changed = sorted(name for name, content in sample.objects.items() if newer[name] != content)
    assert {name.partition("/")[0] for name in changed} == {"registers", "slots"}
    for count in range(1, len(changed) + 1):
        for names in itertools.combinations(changed, count):
            older = {name: sample.objects[name] for name in names}
            folder = state()
            shutil.copytree(seen, folder)
            with open_vault(MemoryBackend(newer | older), sample.key, state=folder) as vault:
                # An index is only a way to find packs, and what it lacks is looked for.
                if all(name.startswith("registers/") for name in names):
                    assert read_all(sample, vault) == expected
                else:
                    with pytest.raises(RollbackDetectedError):
                        read_all(sample, vault)
                    assert is_found(sample, vault)
