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
    """Names that fall into the same bucket, or whose first half is zero, are kept apart; of too many the younger are known."""
    names = [low.to_bytes(8, "little") + high.to_bytes(8, "little") for low in (0, 2, 3) for high in range(module.BUCKET_SLOTS)]
    further = [bytes(8) + high.to_bytes(8, "little") for high in range(100, 120)]
    with Claims() as claims:
        assert all(claims.claim(name, name) for name in names)
        assert not any(claims.claim(name, name) for name in names)
        assert all(claims.claim(name, name) for name in further)
        assert claims.find(further[-1]) == further[-1]
        assert all(claims.find(name) in (None, name) for name in names + further)


def test_tables_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several processes fill both tables, most of what was claimed last is known, of what came long before most is not."""
    monkeypatch.setattr(module, "LEVELS", (1 << 6, 1 << 10))
    chance = random.Random(1)
    names = [chance.randbytes(16) for _ in range(6_000)]
    with Claims() as one, Claims(one.path) as other:
        assert all((one, other)[number % 2].claim(name, name) for number, name in enumerate(names))
        assert all(one.find(name) == other.find(name) and one.find(name) in (None, name) for name in names)
        known = [one.find(name) is not None for name in names]
        assert 700 < sum(known) <= sum(module.LEVELS)
        assert sum(known[-400:]) > 250
        assert sum(known[:2_000]) < 200
        forgotten = names[known.index(False)]
        assert one.claim(forgotten, forgotten[::-1])
        assert other.find(forgotten) == forgotten[::-1]


def words_of_second_table(claims: Claims) -> int:
    """Count the words of the second table that are in use."""
    with claims._slots[1 + module.LEVELS[0] * module.SLOT_WORDS :] as words:
        return sum(map(bool, words))


def test_a_small_batch_touches_the_first_table_alone() -> None:
    """What neither process has filled to an eighth lies before the second table, which stays empty."""
    chance = random.Random(1)
    with Claims() as one, Claims(one.path) as other:
        for _ in range(module.LEVELS[0] // 8 - 1):
            one.claim(chance.randbytes(16), bytes(16))
            other.claim(chance.randbytes(16), bytes(16))
        assert words_of_second_table(one) == 0
        one.claim(chance.randbytes(16), b"x" * 16)
        assert words_of_second_table(one) == 4


def test_a_slot_that_two_have_written_is_nobodys() -> None:
    """Whatever words of two claims stand in one slot, no object gets another's hash."""
    low = 5
    names = [low.to_bytes(8, "little") + bytes([number] * 8) for number in (1, 2)]
    hashes = [bytes([number] * 16) for number in (3, 4)]
    start = 1 + low * module.BUCKET_SLOTS * module.SLOT_WORDS
    slots = []
    for name, stored_hash in zip(names, hashes, strict=True):
        with Claims() as claims:
            assert claims.claim(name, stored_hash)
            slots.append(list(claims._slots[start : start + module.SLOT_WORDS]))
            assert all(slots[-1])
    for mixture in range(1 << module.SLOT_WORDS):
        with Claims() as claims:
            for word in range(module.SLOT_WORDS):
                claims._slots[start + word] = slots[mixture >> word & 1][word]
            assert all(claims.find(name) in (None, stored_hash) for name, stored_hash in zip(names, hashes, strict=True))
            assert all(
                claims.claim(name, stored_hash) or claims.find(name) for name, stored_hash in zip(names, hashes, strict=True)
            )
