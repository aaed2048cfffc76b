"""Which objects a check has looked at already."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from tallac.backends.memory import MemoryBackend
from tallac.caps import ImmutableFile, storage_index_of
from tallac.vault.format.objects import object_name_of
from tallac.vault.index.seen_objects import SeenObjects
from tallac.vault.vault import Vault, create_vault, open_vault


def _put(vault: Vault, content: bytes) -> bytes:
    with vault.session() as session, session.writing() as writer:
        cap = writer.put_file(BytesIO(content))
    assert isinstance(cap, ImmutableFile)
    return cap.key


def test_nothing_counts_as_seen_that_another_writer_moved_in_the_index(tmp_path: Path) -> None:
    """Records get other numbers when the index grows; an object that was never looked at must not inherit a bit."""
    backend = MemoryBackend()
    key = create_vault(backend)
    vault = open_vault(backend, key, state=tmp_path / "state")
    naming = key.locator_key.naming
    names = [object_name_of(naming, storage_index_of(_put(vault, bytes([number]) * 100))) for number in range(20)]
    index = vault.components.index
    seen = SeenObjects(index)
    for name in names:
        seen.add(name)
    assert all(name in seen for name in names)
    other = open_vault(backend, key, state=tmp_path / "other")
    added = [object_name_of(naming, storage_index_of(_put(other, bytes([number]) * 100))) for number in range(20, 60)]
    index.refresh()
    assert not any(name in seen for name in added)
