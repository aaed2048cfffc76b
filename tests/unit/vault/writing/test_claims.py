import random

import pytest

from tallac.vault.writing import claims as module
from tallac.vault.writing.claims import Claims


def test_tables_are_shared() -> None:
    """What one process claims, the other that opened the table does not claim again."""
    chance = random.Random(1)
    names = [chance.randbytes(16) for _ in range(2_000)]
    with Claims() as one, Claims(one.path) as other:
        assert all(one.claim(name, name[::-1]) for name in names[::2])
        assert [other.claim(name, name[::-1]) for name in names] == [bool(number % 2) for number in range(len(names))]
        assert not any(one.claim(name, name[::-1]) for name in names)
        assert all(one.find(name) == other.find(name) == name[::-1] for name in names)
        assert other.find(chance.randbytes(16)) is None


def test_other_bytes_are_stored() -> None:
    """An object of which another process has stored other bytes is stored; what is claimed stays as it was."""
    with Claims() as claims:
        assert claims.claim(bytes(16), b"a" * 16)
        assert claims.claim(bytes(16), b"b" * 16)
        assert claims.find(bytes(16)) == b"a" * 16


def test_names_that_begin_alike() -> None:
    """Names that fall into the same place, or whose first half is zero, are kept apart."""
    names = [low.to_bytes(8, "little") + high.to_bytes(8, "little") for low in (0, 2, 3) for high in range(20)]
    with Claims() as claims:
        assert all(claims.claim(name, name) for name in names)
        assert not any(claims.claim(name, name) for name in names)


def test_full_tables_claim_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """One table after the other is used; where several processes fill all, every further object is new, and no search hangs."""
    monkeypatch.setattr(module, "LEVELS", (1 << 6, 1 << 8, 1 << 10))
    chance = random.Random(1)
    names = [chance.randbytes(16) for _ in range(3_000)]
    with Claims() as one, Claims(one.path) as other:
        assert all((one, other)[number % 2].claim(name, name) for number, name in enumerate(names))
        claimed = sum(not one.claim(name, name) for name in names)
        assert claimed > 1_000
        assert all(one.find(name) in (None, name) for name in names)
        assert one.find(chance.randbytes(16)) is None


def test_a_slot_that_two_have_written_is_nobodys() -> None:
    """Whatever words of two claims stand in one slot, no object gets another's hash."""
    low = 5
    names = [low.to_bytes(8, "little") + bytes([number] * 8) for number in (1, 2)]
    hashes = [bytes([number] * 16) for number in (3, 4)]
    slots = []
    for name, stored_hash in zip(names, hashes, strict=True):
        with Claims() as claims:
            assert claims.claim(name, stored_hash)
            start = len(module.LEVELS) + low * module.SLOT_WORDS
            slots.append(list(claims._slots[start : start + module.SLOT_WORDS]))
    for mixture in range(1 << module.SLOT_WORDS):
        with Claims() as claims:
            for word in range(module.SLOT_WORDS):
                claims._slots[len(module.LEVELS) + low * module.SLOT_WORDS + word] = slots[mixture >> word & 1][word]
            assert all(claims.find(name) in (None, stored_hash) for name, stored_hash in zip(names, hashes, strict=True))
            assert all(
                claims.claim(name, stored_hash) or claims.find(name) for name, stored_hash in zip(names, hashes, strict=True)
            )
