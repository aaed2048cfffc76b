import random

import pytest

from tallac.vault.writing import claims as module
from tallac.vault.writing.claims import Claims


def test_tables_are_shared() -> None:
    """What one process claims, the other that opened the table does not claim again."""
    chance = random.Random(1)
    names = [chance.randbytes(16) for _ in range(2_000)]
    with Claims() as one, Claims(one.path) as other:
        assert all(one.claim(name) for name in names[::2])
        assert [other.claim(name) for name in names] == [bool(number % 2) for number in range(len(names))]
        assert not any(one.claim(name) for name in names)
        assert all(name in one and name in other for name in names)
        assert chance.randbytes(16) not in other


def test_names_that_begin_alike() -> None:
    """Names that fall into the same place, or whose first half is zero, are kept apart."""
    names = [low.to_bytes(8, "little") + high.to_bytes(8, "little") for low in (0, 2, 3) for high in range(20)]
    with Claims() as claims:
        assert all(claims.claim(name) for name in names)
        assert not any(claims.claim(name) for name in names)


def test_a_full_table_claims_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several processes fill the table, every further object counts as new, and nobody searches for ever."""
    monkeypatch.setattr(module, "SLOTS", 1 << 10)
    monkeypatch.setattr(module, "FILL_MAX", 768)
    chance = random.Random(1)
    names = [chance.randbytes(16) for _ in range(3_000)]
    with Claims() as one, Claims(one.path) as other:
        assert all((one, other)[number % 2].claim(name) for number, name in enumerate(names))
        assert sum(not one.claim(name) for name in names) > 500
        assert chance.randbytes(16) not in one
