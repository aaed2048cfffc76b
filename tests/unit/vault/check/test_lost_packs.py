from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.interfaces import Grid
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.check import structure
from tallac.vault.format.keys import WriterKey
from tallac.vault.vault import create_vault, open_vault

TREE: Tree = {b"a": noise(1, 300_000), b"d": {b"b": noise(2, 100_000)}, b"lit": b"x"}


@pytest.fixture
def backend() -> MemoryBackend:
    """Give an empty backend."""
    return MemoryBackend()


@pytest.fixture
def key(backend: MemoryBackend) -> WriterKey:
    """Make a vault and give its key."""
    return create_vault(backend)


def fresh(backend: MemoryBackend, key: WriterKey, folder: Path) -> Grid:
    """Open as a client that has never seen the vault."""
    return open_vault(backend, key, state=folder)


def packs(backend: MemoryBackend) -> list[str]:
    """List the packs."""
    return sorted(item.name for item in backend.list("packs/"))


def test_what_is_stored_anew_is_read(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """What was stored again after packs were lost is found, though the index still names the old packs."""
    vault = fresh(backend, key, tmp_path / "one")
    target = create_target(vault)
    back_up(vault, target, b"1", TREE)
    lost = packs(backend)
    for name in lost:
        backend.delete(name)
    vault = fresh(backend, key, tmp_path / "two")
    cap = back_up(vault, target, b"2", TREE)
    reader = fresh(backend, key, tmp_path / "three")
    assert dict(read_tree(reader, cap)) == dict(flatten(TREE))
    assert reader.check(cap, read_data=True).findings == []
    assert reader.check_structure(read_data=True).is_healthy


def test_a_rolled_back_index_hides_nothing(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Where the index register is an older one, what it does not name is found in the packs."""
    vault = fresh(backend, key, tmp_path / "one")
    target = create_target(vault)
    before = backend.get("registers/index")
    cap = back_up(vault, target, b"1", TREE)
    backend.put("registers/index", before)
    reader = fresh(backend, key, tmp_path / "two")
    assert dict(read_tree(reader, cap)) == dict(flatten(TREE))


def test_any_copy_serves(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Of an object that lies in two packs one copy may be cut off, changed or gone: the other is read."""
    vault = fresh(backend, key, tmp_path / "one")
    target = create_target(vault)
    back_up(vault, target, b"1", TREE)
    first = {name: backend.get(name) for name in packs(backend)}
    for name in first:
        backend.delete(name)
    cap = back_up(fresh(backend, key, tmp_path / "two"), target, b"2", TREE)
    for number in range(3):
        for name, content in first.items():
            backend.put(name, (content[:1000], bytes(len(content)), content[::-1] + b"x")[number])
        reader = fresh(backend, key, tmp_path / f"reader {number}")
        assert dict(read_tree(reader, cap)) == dict(flatten(TREE))
        assert not reader.check_structure(read_data=True).is_healthy


def test_a_pack_that_is_cut_short_gives_what_is_left(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Objects before the cut are read, also by a client that has noticed the cut."""
    vault = fresh(backend, key, tmp_path / "one")
    target = create_target(vault)
    cap = back_up(vault, target, b"1", TREE)
    for name in packs(backend):
        backend.put(name, backend.get(name)[:-1])
    reader = fresh(backend, key, tmp_path / "two")
    assert not reader.check_structure(read_data=False).is_healthy
    # What a backup may rely on is judged more strictly than what may be read.
    assert not reader.check(cap, read_data=True).is_healthy
    assert dict(read_tree(reader, cap)) == dict(flatten(TREE))


def test_lost_packs_are_looked_at_in_groups(
    backend: MemoryBackend, key: WriterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few objects a check looks for at a time, each lost pack is named, with what is known of it."""
    vault = fresh(backend, key, tmp_path / "one")
    target = create_target(vault)
    for number in range(4):
        back_up(vault, target, b"%d" % number, {b"a": noise(number, 90_000)})
    lost = packs(backend)
    for name in lost:
        backend.delete(name)
    # What the last of these had is stored anew.
    back_up(fresh(backend, key, tmp_path / "two"), target, b"9", {b"a": noise(3, 90_000)})
    found = {}
    for part_size in (1, 1 << 18):
        monkeypatch.setattr(structure, "PART_SIZE", part_size)
        report = fresh(backend, key, tmp_path / f"check {part_size}").check_structure(read_data=False)
        found[part_size] = [each.message for each in report.findings if "is missing" in each.message]
        assert len(found[part_size]) == len(lost)
    assert found[1] == found[1 << 18]
    assert any("stored elsewhere" in each for each in found[1])
    assert any("next backup" in each for each in found[1])
