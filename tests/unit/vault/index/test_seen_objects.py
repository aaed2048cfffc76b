"""Which objects a check has looked at already."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from tallac.backends.memory import MemoryBackend
from tallac.caps import ImmutableFile, storage_index_of
from tallac.vault.format.objects import HASH_SIZE, object_name_of
from tallac.vault.index.seen_objects import SeenObjects
from tallac.vault.vault import Vault, create_vault, open_vault


def _put(vault: Vault, content: bytes) -> tuple[bytes, bytes]:
    with vault.session() as session, session.writing() as writer:
        cap = writer.put_file(BytesIO(content))
    assert isinstance(cap, ImmutableFile)
    return object_name_of(vault.components.locator.naming, storage_index_of(cap.key)), cap.hash[:HASH_SIZE]


def test_nothing_counts_as_seen_that_another_writer_moved_in_the_index(tmp_path: Path) -> None:
    """Records get other numbers when the index grows; an object that was never looked at must not inherit a bit."""
    backend = MemoryBackend()
    key = create_vault(backend)
    vault = open_vault(backend, key, state=tmp_path / "state")
    names = [_put(vault, bytes([number]) * 100) for number in range(20)]
    index = vault.components.index
    seen = SeenObjects(index)
    for name in names:
        seen.add(*name)
    assert all(seen.has(*name) for name in names)
    assert not seen.has(names[0][0], names[1][1])
    other = open_vault(backend, key, state=tmp_path / "other")
    added = [_put(other, bytes([number]) * 100) for number in range(20, 60)]
    index.refresh()
    assert not any(seen.has(*name) for name in added)
