"""Damage to what passphrases open: it is found without a key, one whole copy suffices, and a wrong byte is never believed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.clock import SystemClock
from tallac.crypto.passphrases import PassphraseCost
from tallac.errors import TallacError
from tallac.testing.determinism import SeededRandomness
from tallac.vault.access.duplicates import add_check, check_duplicates, duplicate_paths, take_check
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.header import read_header, read_identity
from tallac.vault.format.keys import EnvelopeKey, make_writer_key
from tallac.vault.vault import create_vault

CHEAP = PassphraseCost(memory_kib=64, passes=1, lanes=1)
ENVELOPE = Envelope(make_writer_key(SeededRandomness(3)), frozenset({("home", "cap of home"), ("docs", "cap of docs")}))


@dataclass(frozen=True)
class Sample:
    """The stored objects, and the names of the first copies."""

    objects: dict[str, bytes]
    paths: tuple[str, str]

    def lead(self, changed: dict[str, bytes | None]) -> Envelope:
        """Go from the passphrase to the envelope, with some objects changed or (None) gone."""
        objects = {name: content for name, content in (self.objects | changed).items() if content is not None}
        backend = MemoryBackend(objects)
        signers, identity = read_header(backend).signers, read_identity(backend)
        passphrases = Passphrases(backend, signers, randomness=SeededRandomness(1), clock=SystemClock(), cost=CHEAP)
        return EnvelopeFile(backend, identity, passphrases.open("words"), SeededRandomness(2)).read()

    def findings(self, changed: dict[str, bytes | None]) -> list[str]:
        """Check without any key."""
        objects = {name: content for name, content in (self.objects | changed).items() if content is not None}
        return [finding.message for finding in check_duplicates(MemoryBackend(objects), self.paths)]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A vault with a passphrase."""
    backend = MemoryBackend()
    create_vault(backend, randomness=SeededRandomness(3))
    identity = read_identity(backend)
    key = EnvelopeKey(bytes(range(32)), bytes.fromhex(identity))
    file = EnvelopeFile(backend, identity, key, SeededRandomness(4))
    file.add(ENVELOPE)
    passphrases = Passphrases(
        backend, read_header(backend).signers, randomness=SeededRandomness(5), clock=SystemClock(), cost=CHEAP
    )
    path = passphrases.add("words", "label", key)
    return Sample(backend.snapshot(), (path, file.path))


def flips(content: bytes) -> Iterator[bytes]:
    """Flip each bit in turn."""
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit >> 3] ^= 1 << (bit & 7)
        yield bytes(changed)


def cuts(content: bytes) -> Iterator[bytes]:
    """Cut at each length, and add a byte."""
    yield from (content[:length] for length in range(len(content)))
    yield content + b"\0"


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flips, cuts])
def test_any_damage_to_one_copy(sample: Sample, damage: Callable[[bytes], Iterator[bytes]]) -> None:
    """Every flipped bit and every truncation of either copy is found, and the passphrase leads to the same all the while."""
    assert sample.findings({}) == []
    for path in sample.paths:
        for name in duplicate_paths(path):
            for changed in damage(sample.objects[name]):
                assert len(sample.findings({name: changed})) == 1
                assert sample.lead({name: changed}) == ENVELOPE


def test_a_lost_copy(sample: Sample) -> None:
    """Any one object may be gone."""
    for path in sample.paths:
        for name in duplicate_paths(path):
            assert len(sample.findings({name: None})) == 1
            assert sample.lead({name: None}) == ENVELOPE


def test_what_a_hostile_store_changes(sample: Sample, chance: random.Random) -> None:
    """Where both copies are changed and their check is made right, the answer is an error that is declared, or the right one."""
    refused = 0
    for path in sample.paths:
        body = take_check(sample.objects[path], path)
        for changed in chance.sample(list(flips(body)), 400):
            try:
                assert sample.lead(dict.fromkeys(duplicate_paths(path), add_check(changed))) == ENVELOPE
            except TallacError:
                refused += 1
    # The label's seal is opened by a listing alone, so not every bit matters here.
    assert refused > 400
