"""One name twice in a large directory: of two readers one would see the one file, the other the other (SECURITY 11)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hostile.crafting import FILE, Crafter, child_of

from tallac.backends.memory import MemoryBackend
from tallac.caps import ImmutableDirectory
from tallac.dag import EncodedCap, Entry, decode_cap
from tallac.errors import DamageError
from tallac.restore import restore
from tallac.vault.format.nodes import NodeRef
from tallac.vault.vault import create_vault, open_vault
from tallac.vault.writing.batch import VaultWriter

OWE_LITTLE, OWE_MUCH = b"I owe you 100", b"I owe you 999"


def _table(crafter: Crafter, *names: bytes, content: bytes = OWE_LITTLE) -> NodeRef:
    entries = [Entry(name, crafter.file(content + b" " * 100), FILE) for name in names]
    return child_of(crafter.directory(entries), names[0])


def _in_two_tables(crafter: Crafter) -> bytes:
    return crafter.node(1, [_table(crafter, b"a", b"contract.txt"), _table(crafter, b"contract.txt", b"z", content=OWE_MUCH)])


def _behind_the_next_table(crafter: Crafter) -> bytes:
    return crafter.node(1, [_table(crafter, b"a", b"x"), _table(crafter, b"contract.txt", b"z", content=OWE_MUCH)])


def _under_another_first_name(crafter: Crafter) -> bytes:
    second = _table(crafter, b"contract.txt", b"z", content=OWE_MUCH)
    return crafter.node(1, [_table(crafter, b"a", b"contract.txt"), second._replace(first=b"d")])


def _before_its_first_name(crafter: Crafter) -> bytes:
    return crafter.node(1, [_table(crafter, b"a"), _table(crafter, b"contract.txt", b"z")._replace(first=b"b")])


def _deep(crafter: Crafter) -> bytes:
    left = child_of(crafter.node(1, [_table(crafter, b"a"), _table(crafter, b"contract.txt", b"n")]), b"a")
    right = child_of(crafter.node(1, [_table(crafter, b"m", b"o"), _table(crafter, b"z")]), b"m")
    return crafter.node(2, [left, right])


def _nodes_under_another_first_name(crafter: Crafter) -> bytes:
    left = child_of(crafter.node(1, [_table(crafter, b"a"), _table(crafter, b"contract.txt")]), b"a")
    right = child_of(crafter.node(1, [_table(crafter, b"b", content=OWE_MUCH), _table(crafter, b"z")]), b"m")
    return crafter.node(2, [left, right])


def _not_ascending_at_all(crafter: Crafter) -> bytes:
    return crafter.node(1, [_table(crafter, b"m"), _table(crafter, b"a")])


CASES: list[Callable[[Crafter], bytes]] = [
    _in_two_tables,
    _behind_the_next_table,
    _under_another_first_name,
    _before_its_first_name,
    _deep,
    _nodes_under_another_first_name,
    _not_ascending_at_all,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_no_reader_believes_it(case: Callable[[Crafter], bytes], tmp_path: Path) -> None:
    """Listing and restore refuse it, a check names it, and looking a name up gives what listing gives, or refuses."""
    backend = MemoryBackend()
    with open_vault(backend, create_vault(backend), state=tmp_path / "state") as vault:
        with vault.session() as session, session.writing() as writer:
            assert isinstance(writer, VaultWriter)
            encoded = case(Crafter(vault, writer, b"/"))
        cap = decode_cap(encoded)
        assert isinstance(cap, ImmutableDirectory)
        with pytest.raises(DamageError):
            list(vault.read_directory(cap))
        assert not vault.check(cap, read_data=True).is_healthy
        assert restore(vault, cap, tmp_path / "out", workers=0).damaged
        seen = set()
        for name in (b"a", b"contract.txt", b"m", b"n", b"o", b"x", b"z", b"b"):
            try:
                entry = vault.read_directory(cap).get(name)
            except DamageError:
                continue
            if entry is not None:
                seen.add((name, EncodedCap(entry.encoded).key))
        # Where something is given at all, it is what stands in the one place where that name may stand.
        assert len({name for name, _ in seen}) == len(seen)
