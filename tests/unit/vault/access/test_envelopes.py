from __future__ import annotations

from collections.abc import Callable

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import CorruptObjectError, MalformedCapError, MissingObjectError, StoreError
from tallac.interfaces import Buffer, Expect, Version
from tallac.testing.determinism import SeededRandomness
from tallac.testing.faulty_backend import Fault, FaultAt, FaultyBackend
from tallac.vault.access.duplicates import check_duplicates, duplicate_paths
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.format.keys import EnvelopeKey, WriterKey, parse_envelope_key, parse_vault_key

WRITER = WriterKey(bytes(32))
IDENTITY = WRITER.vault.hex()
KEY = EnvelopeKey(bytes(range(32)), WRITER.vault)


def envelope(*names: str) -> Envelope:
    """Give an envelope with an alias for each name."""
    return Envelope(WRITER, frozenset((name, f"cap of {name}") for name in names))


@pytest.fixture
def backend() -> MemoryBackend:
    """Give an empty backend."""
    return MemoryBackend()


@pytest.fixture
def file(backend: MemoryBackend) -> EnvelopeFile:
    """Give an envelope that is not there yet."""
    return EnvelopeFile(backend, IDENTITY, KEY, SeededRandomness(1))


class RacingBackend(MemoryBackend):
    """A backend in which somebody else writes before each of the first few puts."""

    def __init__(self, times: int, race: Callable[[MemoryBackend], None]) -> None:
        super().__init__()
        self._times = times
        self._race = race

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        if self._times:
            self._times -= 1
            other = MemoryBackend()
            for path, content in self.snapshot().items():
                other.put(path, content)
            self._race(other)
            for path, content in other.snapshot().items():
                super().put(path, content)
        return super().put(name, data, expect=expect)


def test_what_is_added_is_there(file: EnvelopeFile) -> None:
    """An envelope holds all that was ever added."""
    file.add(envelope("home"))
    file.add(envelope("docs"))
    assert file.read() == envelope("home", "docs")


def test_the_strongest_key_stays(file: EnvelopeFile) -> None:
    """Whichever order keys come in, the one with the most authority is kept."""
    file.add(Envelope(WRITER.keeper_key, frozenset()))
    assert file.read().key == WRITER.keeper_key
    file.add(Envelope(WRITER, frozenset()))
    file.add(Envelope(WRITER.locator_key, frozenset()))
    assert file.read().key == WRITER


def test_one_name_for_two_caps(file: EnvelopeFile) -> None:
    """Where two machines gave one name to two directories, both are kept."""
    both = frozenset({("home", "one"), ("home", "two")})
    file.add(Envelope(WRITER, frozenset({("home", "one")})))
    file.add(Envelope(WRITER, frozenset({("home", "two")})))
    assert file.read().aliases == both


def test_nothing_new_writes_nothing(file: EnvelopeFile, backend: MemoryBackend) -> None:
    """Adding what is there leaves the stored bytes as they are."""
    file.add(envelope("home", "docs"))
    before = backend.snapshot()
    file.add(envelope("home"))
    assert backend.snapshot() == before


@pytest.mark.parametrize("times", [1, 2, 3])
def test_two_machines_at_once(times: int) -> None:
    """However often another machine comes first, nothing of either is lost."""
    numbers = iter(range(100))

    def race(inner: MemoryBackend) -> None:
        EnvelopeFile(inner, IDENTITY, KEY, SeededRandomness(9)).add(envelope(f"theirs{next(numbers)}"))

    backend = RacingBackend(times, race)
    file = EnvelopeFile(backend, IDENTITY, KEY, SeededRandomness(1))
    file.add(envelope("ours"))
    assert file.read() == envelope("ours", *(f"theirs{number}" for number in range(times)))
    assert len({backend.get(name) for name in duplicate_paths(file.path)}) == 1


@pytest.mark.parametrize("lost", [0, 1])
def test_one_copy_suffices_and_the_other_comes_back(file: EnvelopeFile, backend: MemoryBackend, lost: int) -> None:
    """Either copy may be missing or damaged; the next addition writes it anew, even of nothing new."""
    file.add(envelope("home"))
    name = duplicate_paths(file.path)[lost]
    for damage in (lambda: backend.delete(name), lambda: backend.put(name, b"x" * 40)):
        damage()
        assert len(list(check_duplicates(backend, [file.path]))) == 1
        assert file.read() == envelope("home")
        file.add(envelope("home"))
        assert list(check_duplicates(backend, [file.path])) == []


def test_a_lost_envelope_is_told_and_made_anew(file: EnvelopeFile, backend: MemoryBackend) -> None:
    """Missing and damaged are told apart; a machine that has the aliases can store them again."""
    with pytest.raises(MissingObjectError):
        file.read()
    file.add(envelope("home"))
    for name in duplicate_paths(file.path):
        backend.put(name, b"\0" + backend.get(name)[1:])
    with pytest.raises(CorruptObjectError):
        file.read()
    assert len(list(check_duplicates(backend, [file.path]))) == 1
    file.add(envelope("docs"))
    assert file.read() == envelope("docs")


def test_another_vaults_envelope_does_not_open(file: EnvelopeFile, backend: MemoryBackend) -> None:
    """The vault's identity and the key are part of the seal."""
    file.add(envelope("home"))
    with pytest.raises(CorruptObjectError):
        EnvelopeFile(backend, "f" * 32, KEY, SeededRandomness(1)).read()
    other = EnvelopeFile(backend, IDENTITY, EnvelopeKey(bytes(32), WRITER.vault), SeededRandomness(1))
    for name, copy in zip(duplicate_paths(other.path), duplicate_paths(file.path), strict=True):
        backend.put(name, backend.get(copy))
    with pytest.raises(CorruptObjectError):
        other.read()


def test_the_key_in_an_envelope_is_its_vaults(backend: MemoryBackend, file: EnvelopeFile) -> None:
    """An envelope with another vault's key in it is damaged, whoever has sealed it."""
    file.add(Envelope(WriterKey(bytes(range(32))), frozenset()))
    with pytest.raises(CorruptObjectError):
        file.read()
    file.add(envelope("home"))
    assert file.read() == envelope("home")


def test_a_failure_at_any_call_loses_nothing(backend: MemoryBackend, file: EnvelopeFile) -> None:
    """Whichever call fails, or loses its answer, what was there is there, and the next attempt succeeds."""
    file.add(envelope("old"))
    for fault in (Fault.ERROR, Fault.LOST_ANSWER, Fault.TIMEOUT, Fault.DUPLICATE):
        for index in range(6):
            faulty = FaultyBackend(backend, FaultAt(index, fault))
            more = envelope(f"new-{fault.name}-{index}")
            try:
                EnvelopeFile(faulty, IDENTITY, KEY, SeededRandomness(index)).add(more)
            except StoreError:
                assert ("old", "cap of old") in file.read().aliases
            file.add(more)
            assert more.aliases <= file.read().aliases
            assert ("old", "cap of old") in file.read().aliases


def test_the_keys_text() -> None:
    """An envelope key is read back from its text, and is no vault key."""
    text = KEY.danger_whole_text()
    assert parse_envelope_key(text) == KEY
    with pytest.raises(MalformedCapError):
        parse_vault_key(text)
    with pytest.raises(MalformedCapError):
        parse_envelope_key(WRITER.danger_whole_text())
    with pytest.raises(MalformedCapError):
        parse_envelope_key(text[:-1] + ("a" if text[-1] != "a" else "b"))


def test_no_repr_shows_a_secret() -> None:
    """Neither caps nor keys are in what a traceback or a log would show."""
    shown = repr(envelope("home")) + repr(KEY)
    assert "cap of" not in shown
    assert "\\x01" not in shown
