"""Snapshots with more paths than anybody can walk (SECURITY 12): checks end, and name what is wrong a bounded number of times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hostile.crafting import DIRECTORY, FILE, Crafter, child_of

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, ReadCap
from tallac.dag import Entry, decode_cap
from tallac.testing.sample_vault import noise
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import Kind
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault
from tallac.vault.writing.batch import VaultWriter

LEVELS, CHILDREN, SIZE, FOUND_MAX = 4, 4096, 1_000, 200


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Give a vault in memory."""
    backend = MemoryBackend()
    with open_vault(backend, create_vault(backend), state=tmp_path / "state") as opened:
        yield opened


def craft(vault: Vault, *, is_list: bool, lost: bytes | None) -> ReadCap:
    """Store a list of one node many times over on each level, or directories with two names for one on each; keep the snapshot."""
    with vault.session() as session:
        with session.writing() as writer:
            assert isinstance(writer, VaultWriter)
            crafter = Crafter(vault, writer, b"/nowhere")
            made = crafter.file(noise(1, 600_000)) if lost is None else lost
            if is_list:
                node, level = NodeRef(b"", child_of(crafter.file(noise(2, SIZE))).key_and_hash, SIZE), 1
                if lost is not None:
                    node = NodeRef(b"", lost[1:49], SIZE)
                for level in range(1, LEVELS + 1):
                    made = crafter.node(level, [node] * CHILDREN, kind=Kind.LIST)
                    node = child_of(made)
                made = crafter.directory([Entry(b"file", made, FILE)])
            else:
                made = crafter.directory([Entry(b"file", made, FILE)])
                for _ in range(60):
                    made = crafter.directory([Entry(b"a", made, DIRECTORY), Entry(b"b", made, DIRECTORY)])
        cap = decode_cap(made)
        assert isinstance(cap, DirectoryReadCap)
        session.keep([cap])
    return cap


@pytest.mark.slow
@pytest.mark.parametrize("is_list", [True, False])
def test_what_is_shared_is_looked_at_once(vault: Vault, is_list: bool) -> None:
    """A few objects with more paths than atoms: with and without reading, with a read cap and a verify cap, and for a prune."""
    cap = craft(vault, is_list=is_list, lost=None)
    assert cap.verify_cap is not None
    for read_data in (False, True):
        for each in (cap, cap.verify_cap):
            report = vault.check(each, read_data=read_data)
            assert report.findings == []
            assert report.objects < 100
    assert Prune(vault.components, PruneOptions(unused_max=0)).run().missing_objects == 0


@pytest.mark.slow
@pytest.mark.parametrize("is_list", [True, False])
def test_what_is_lost_below_them_is_named_often_enough(vault: Vault, monkeypatch: pytest.MonkeyPatch, is_list: bool) -> None:
    """One object is missing below all these paths: it is named by paths as long as that says anything, and then no more."""
    monkeypatch.setattr("tallac.vault.check.reachable.FINDINGS_MAX", FOUND_MAX)
    lost = b"C" + noise(3, 48) + SIZE.to_bytes(2, "big")
    cap = craft(vault, is_list=is_list, lost=lost)
    assert cap.verify_cap is not None
    report = vault.check(cap, read_data=False)
    assert 0 < len(report.findings) <= FOUND_MAX + 1
    assert not report.is_healthy
    assert len(vault.check(cap.verify_cap, read_data=False).findings) == 1
    assert Prune(vault.components, PruneOptions(unused_max=0)).run().missing_objects == 1
