from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import MutableDirectoryWrite
from tallac.crypto.sealing import seal_checked
from tallac.dag import Entry
from tallac.vault.check.options import CheckOptions
from tallac.vault.check.vault_check import check_vault
from tallac.vault.mutable import slots
from tallac.vault.vault import Vault, create_vault, open_vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Make a vault."""
    backend = MemoryBackend()
    with open_vault(backend, create_vault(backend), state=tmp_path) as vault:
        yield vault


def _make(vault: Vault) -> MutableDirectoryWrite:
    cap = vault.create_directory()
    assert isinstance(cap, MutableDirectoryWrite)
    return cap


def _elsewhere(vault: Vault, cap: MutableDirectoryWrite) -> bytes:
    return _make(vault).danger_whole_text().encode()


def _as_file(vault: Vault, cap: MutableDirectoryWrite) -> bytes:
    return cap.danger_whole_text().replace("DIR2", "SSK").encode()


@pytest.mark.parametrize("crook", [_elsewhere, _as_file])
@pytest.mark.parametrize("depth", [0, 2])
def test_crooked_write_caps_are_found(vault: Vault, crook: Callable[[Vault, MutableDirectoryWrite], bytes], depth: int) -> None:
    """A check with a write cap names the entry, however deep, also in a circle; one by a read cap or a keeper can't know."""
    top = directory = _make(vault)
    for _ in range(depth):
        below = _make(vault)
        links = [Entry.of(b"above", directory), Entry.of(b"below", below)]
        vault.edit_directory(directory, lambda _, links=links: links)  # type: ignore[misc]
        directory = below
    assert vault.check(top, read_data=True).findings == []
    shown = _make(vault)
    crooked = msgspec.structs.replace(Entry.of(b"docs", shown), write=crook(vault, shown))
    vault.edit_directory(directory, lambda entries: [*entries, crooked, Entry.of(b"good", _make(vault))])
    path = b"below/" * depth + b"docs"
    for read_data in (False, True):
        (finding,) = vault.check(top, read_data=read_data).findings
        assert finding.path == path
        assert "write cap" in finding.message
        assert vault.check(top.read_cap, read_data=read_data).findings == []
    assert [each.path for each in check_vault(vault.components, top, CheckOptions()).findings if each.damaged] == [path]
    assert check_vault(vault.components, None, CheckOptions()).is_healthy


def test_a_write_cap_that_does_not_open_is_damage_of_its_entry(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sealed write cap of one entry is noise, a check names that entry; the directory goes on for its writers."""
    top = _make(vault)

    def seal_noise(key: bytes, salt: bytes, plain: bytes, context: bytes) -> bytes:
        return bytes(80) if plain.startswith(b"URI:") else seal_checked(key, salt, plain, context)

    monkeypatch.setattr(slots, "seal_checked", seal_noise)
    vault.edit_directory(top, lambda _: [Entry.of(b"docs", _make(vault))])
    monkeypatch.undo()
    vault.edit_directory(top, lambda entries: [*entries, Entry.of(b"good", _make(vault))])
    (finding,) = vault.check(top, read_data=False).findings
    assert finding.path == b"docs"
    assert [entry.name for entry in vault.read_directory(top.read_cap)] == [b"docs", b"good"]
