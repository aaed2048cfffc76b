import errno
import tempfile
from pathlib import Path
from typing import IO

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import LocalStateError, RollbackDetectedError, StorePermissionError
from tallac.testing.readonly_backend import ReadOnlyBackend
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.local_state import open_state_folder
from tallac.vault.mutable.rollback import LOCK_FILE, SEEN_FILE, SeenStates
from tallac.vault.vault import create_vault, open_vault

TREE: Tree = {b"a": noise(1, 1000)}


def test_a_folder_that_can_be_written(tmp_path: Path) -> None:
    """The folder is made, is the user's own, and keeps what was seen."""
    state = open_state_folder(tmp_path / "a" / "b")
    assert state.folder == tmp_path / "a" / "b"
    assert state.folder.stat().st_mode & 0o777 == 0o700
    assert not state.is_temporary
    memory = SeenStates(state.folder, "somewhere")
    memory.check("slots/a", 3, b"three")
    state.save(memory)
    assert (state.folder / SEEN_FILE).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in state.folder.iterdir()) == [SEEN_FILE, LOCK_FILE]


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """Where a file is in the way, or the disk is full or read-only, a temporary folder serves, and goes afterwards."""
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/tallac")):
        state = open_state_folder(folder)
        assert state.is_temporary
        assert state.folder.stat().st_mode & 0o777 == 0o700
        state.save(SeenStates(state.folder, "somewhere"))
        assert not state.folder.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_full_folder_still_protects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a full state folder a temporary one serves, with what was seen before."""
    memory = SeenStates(tmp_path, "somewhere")
    memory.check("slots/a", 3, b"three")
    memory.save()
    real = tempfile.TemporaryFile

    def full(dir: Path) -> IO[bytes]:  # noqa: A002 - as the standard library calls it
        return Path("/dev/full").open("wb") if dir == tmp_path else real(dir=dir)

    monkeypatch.setattr("tallac.vault.local_state.tempfile.TemporaryFile", full)
    state = open_state_folder(tmp_path)
    assert state.is_temporary
    with pytest.raises(RollbackDetectedError):
        SeenStates(state.folder, "somewhere").check("slots/a", 2, b"two")
    state.save(SeenStates(state.folder, "somewhere"))


def test_nowhere_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary folder can be written either, an error names the folder."""

    def full(dir: Path) -> IO[bytes]:  # noqa: A002 - as the standard library calls it
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tallac.vault.local_state.tempfile.TemporaryFile", full)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(LocalStateError, match="can't write local state in"):
        open_state_folder(tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tallac-")] == []


def test_reading_needs_no_writes(tmp_path: Path) -> None:
    """A read-only vault with a state folder that can't be written is listed, read and checked (rule 5)."""
    backend = MemoryBackend()
    key = create_vault(backend)
    with open_vault(backend, key, state=tmp_path / "writer") as vault:
        target = create_target(vault)
        cap = back_up(vault, target, b"1", TREE)
    (tmp_path / "file").write_bytes(b"")
    with open_vault(ReadOnlyBackend(backend), key, state=tmp_path / "file") as vault:
        assert dict(read_tree(vault, cap)) == dict(flatten(TREE))
        assert vault.check(cap, read_data=True).findings == []
        assert vault.check_structure(read_data=True).findings == []
        with pytest.raises(StorePermissionError):
            vault.create_directory()
        with pytest.raises(StorePermissionError):
            back_up(vault, target, b"2", TREE)
        folder = vault.components.state.folder
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"slots/a":[1]}', b'{"slots/a":["x","y"]}', b"\xff"])
def test_a_damaged_memory_is_named(tmp_path: Path, content: bytes) -> None:
    """A memory that can't be read is said to be so, with what to do about it; it is never taken for an empty one."""
    (tmp_path / SEEN_FILE).write_bytes(content)
    with pytest.raises(LocalStateError, match="delete it"):
        SeenStates(tmp_path, "somewhere")


def test_damaged_local_copies_are_made_again(tmp_path: Path) -> None:
    """Whatever becomes of the local copy of the index, it is made again from the vault."""
    backend = MemoryBackend()
    key = create_vault(backend)
    state = tmp_path / "state"
    with open_vault(backend, key, state=state) as vault:
        cap = back_up(vault, create_target(vault), b"1", TREE)
    for content in (b"", b"x" * 100, bytes(1000)):
        runs = list(state.rglob("*.run"))
        assert runs
        for run in runs:
            run.write_bytes(content)
        with open_vault(backend, key, state=state) as vault:
            assert dict(read_tree(vault, cap)) == dict(flatten(TREE))
