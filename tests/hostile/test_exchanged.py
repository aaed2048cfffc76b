"""Somebody who may add files, and has no key, puts right objects where they do not belong: of this vault, and of another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.hostile.test_prune_and_copies import CHANGED, Place, assert_prune_harms_nothing

from tallac.backends.memory import MemoryBackend
from tallac.caps import MutableDirectoryWrite
from tallac.clock import SystemClock
from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.passphrases import PassphraseCost
from tallac.testing.sample_vault import create_target, flatten, read_tree
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import EnvelopeKey

CHEAP = PassphraseCost(memory_kib=64, passes=1, lanes=1)
DIGITS = {
    "packs/": 64,
    "index/": 64,
    "slots/": 32,
    "sessions/": 32,
    "passphrases/": 32,
    "envelopes/": 32,
    "damaged/": 64,
    "reserve/": 64,
}
NOBODY_KNOWS = ("no copy of envelopes/", "no copy of passphrases/")
ENDS = {"passphrases/": ("", ".copy"), "envelopes/": ("", ".copy"), "damaged/": ("", ".index")}
NAMED_BY_HASH = ("packs/", "index/", "damaged/", "reserve/")


def _complete(place: Place) -> EnvelopeKey:
    """See that a vault has objects of every kind: a kept session, a passphrase, an envelope, a register of pending deletions."""
    signers = read_header(place.backend).signers
    key = EnvelopeKey(os.urandom(32), signers.vault)
    EnvelopeFile(place.backend, signers.vault.hex(), key, os.urandom).add(Envelope(place.key, frozenset()))
    _passphrases(place).add("words", "label", key)
    place.decide([])
    with place.open() as vault, vault.session() as session:
        assert isinstance(create_target(vault), MutableDirectoryWrite)
        with session.writing() as writer:
            cap = writer.put_directory([])
        session.keep([cap])
    return key


def _passphrases(place: Place) -> Passphrases:
    signers = read_header(place.backend).signers
    return Passphrases(place.backend, signers, key=place.key, randomness=os.urandom, clock=SystemClock(), cost=CHEAP)


def _variants(content: bytes) -> list[bytes]:
    """Give an object as it is, cut, extended, twice in a row, and with its halves exchanged."""
    half = len(content) // 2
    return [content, content[:half], content[:-1], content + b"\0", content * 2, content[half:] + content[:half]]


@pytest.mark.parametrize("is_of_another", [False, True])
def test_right_objects_in_wrong_places_stop_nothing(tmp_path: Path, is_of_another: bool) -> None:
    """Each object, whole and spoilt, lies under new names of every kind: nothing is lost, believed or stopped."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    place, other = Place(tmp_path / "one"), Place(tmp_path / "two")
    key = _complete(place)
    _complete(other)
    contents = (other if is_of_another else place).backend.snapshot().values()
    for content in contents:
        for variant in _variants(content):
            for prefix, digits in DIGITS.items():
                name = prefix + (hash_file_bytes(variant).hex() if prefix in NAMED_BY_HASH else os.urandom(digits // 2).hex())
                for end in ENDS.get(prefix, ("",)):
                    if name + end not in place.backend.snapshot():
                        place.backend.put(name + end, variant)
    assert_prune_harms_nothing(place)
    second = place.back_up(b"2", CHANGED)
    assert_prune_harms_nothing(place)
    # Two wrong copies of what may have been an envelope can't be told from an envelope that is lost.
    for as_keeper in (True, False):
        assert [each for each in place.check(as_keeper=as_keeper) if not each.startswith(NOBODY_KNOWS)] == []
    mirror = MemoryBackend()
    assert place.mirror(mirror).problems == []
    assert _passphrases(place).open("words") == key
    repaired = place.repair()
    assert repaired.missing_objects == 0
    assert [each for each in repaired.left if not each.startswith(NOBODY_KNOWS)] == []
    assert place.restored() == []
    for backend in (place.backend, mirror):
        with place.open(backend) as vault:
            assert dict(read_tree(vault, second)) == dict(flatten(CHANGED))
