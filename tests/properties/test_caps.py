"""Caps: text and value mean each other, whatever they are, and the oracles agree."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypedDict

import pytest
from hypothesis import given, settings, strategies as st

from tallac.caps import (
    Cap,
    ImmutableDirectory,
    ImmutableDirectoryVerify,
    ImmutableFile,
    ImmutableFileVerify,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableDirectoryVerify,
    MutableDirectoryWrite,
    MutableFileRead,
    MutableFileVerify,
    MutableFileWrite,
    MutableFormat,
    UnknownCap,
    WriteCap,
    base32,
    parse,
    parse_lenient,
)
from tallac.errors import MalformedCapError

TESTS = Path(__file__).parents[1]
TAHOE_PYTHON = os.environ.get("TALLAC_TAHOE_PYTHON", str(TESTS.parent / ".tahoe-venv" / "bin" / "python"))

# Strategies

keys = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
totals = st.integers(1, 256)
sizes = st.integers(0, 2**64 - 1)
formats = st.sampled_from(MutableFormat)

literals: st.SearchStrategy[Cap] = st.sampled_from([LiteralFile, LiteralDirectory]).flatmap(
    lambda make: st.builds(make, st.binary(max_size=100))
)
immutables: st.SearchStrategy[Cap] = st.sampled_from(
    [ImmutableFile, ImmutableFileVerify, ImmutableDirectory, ImmutableDirectoryVerify]
).flatmap(lambda make: totals.flatmap(lambda total: st.builds(make, keys, hashes, st.integers(1, total), st.just(total), sizes)))
mutables: st.SearchStrategy[Cap] = st.sampled_from(
    [
        MutableFileWrite,
        MutableFileRead,
        MutableFileVerify,
        MutableDirectoryWrite,
        MutableDirectoryRead,
        MutableDirectoryVerify,
    ]
).flatmap(lambda make: st.builds(make, keys, hashes, formats))
write_caps: st.SearchStrategy[MutableFileWrite | MutableDirectoryWrite] = st.one_of(
    st.builds(MutableFileWrite, keys, hashes, formats), st.builds(MutableDirectoryWrite, keys, hashes, formats)
)
known_caps = st.one_of(literals, immutables, mutables)

CHARACTERS = "abcxyz234567ABC018:.-\n \u0663"


@st.composite
def damaged_texts(draw: st.DrawFn) -> str:
    """A cap's text with a few characters lost, added, changed or moved, or a prefix before it."""
    text = draw(st.sampled_from(["", "", "", "ro.", "imm.", "ro.imm."])) + draw(known_caps).danger_whole_text()
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(len(text), start + 2)))
        text = text[:start] + draw(st.text(CHARACTERS, max_size=2)) + text[stop:]
    return text


cap_like_texts = st.lists(
    st.sampled_from(
        ["URI:", "ro.", "imm.", "CHK", "SSK", "DIR2", "LIT", "MDMF", "-RO", "-Verifier", "-CHK", ":", "1", "a" * 26, "a" * 52]
    ),
    max_size=12,
).map("".join)


@given(known_caps)
def test_round_trip(cap: Cap) -> None:
    """Every cap that can be made is read back from its text, by both parsers, as str and as bytes."""
    text = cap.danger_whole_text()
    assert parse(text) == cap
    assert parse(text.encode("ascii")) == cap
    assert parse_lenient(text) == cap


@given(st.binary(max_size=100))
def test_base32_round_trip(content: bytes) -> None:
    """Base32 is read back."""
    assert base32.decode(base32.encode(content)) == content


@given(st.text(base32.ALPHABET.decode("ascii"), max_size=40))
def test_base32_has_one_text(text: str) -> None:
    """A text is either refused or exactly what its bytes encode to."""
    try:
        content = base32.decode(text)
    except ValueError:
        return
    assert base32.encode(content) == text


@pytest.mark.slow
@settings(max_examples=500)
@given(st.one_of(st.text(), st.binary(), damaged_texts(), cap_like_texts))
def test_only_one_error_escapes(text: str | bytes) -> None:
    """Whatever the text is, it is a cap or a MalformedCapError, and a cap that is taken has a stable text."""
    try:
        cap = parse(text)
    except MalformedCapError:
        return
    assert parse(cap.danger_whole_text()) == cap


@given(damaged_texts())
def test_errors_show_no_secret(text: str) -> None:
    """A refusal repeats nothing of the text that could be a key, a hash or content."""
    try:
        parse(text)
    except MalformedCapError as error:
        message = str(error)
    else:
        return
    parts = [part for part in text.split(":")[2:] if len(part) >= 20]
    assert not any(part[start : start + 6] in message for part in parts for start in range(len(part) - 5))


@given(st.one_of(immutables, mutables), st.data())
def test_a_lost_character_is_noticed(cap: Cap, data: st.DataObject) -> None:
    """A key, hash or fingerprint that lacks a character is refused, never taken for another one."""
    scheme, kind, *parts = cap.danger_whole_text().split(":")
    part = data.draw(st.integers(0, 1))
    at = data.draw(st.integers(0, len(parts[part]) - 1))
    parts[part] = parts[part][:at] + parts[part][at + 1 :]
    with pytest.raises(MalformedCapError, match="a character may be missing"):
        parse(":".join([scheme, kind, *parts]))


@given(write_caps)
def test_write_caps_attenuate_step_by_step(cap: MutableFileWrite | MutableDirectoryWrite) -> None:
    """Both ways down from a write cap end at the same verify cap, and each step down changes the key."""
    assert cap.read_cap.verify_cap == cap.verify_cap
    steps: list[Cap] = [cap, cap.read_cap, cap.verify_cap]
    assert len({step.danger_whole_text().split(":")[2] for step in steps}) == 3


# Against the oracles


class TahoeAnswer(TypedDict, total=False):
    """How Tahoe-LAFS parses a text; for an unknown cap it only returns the text."""

    unknown: bool
    text: str
    read: str | None
    verify: str | None
    storage_index: str | None


class Tahoe:
    """The process that answers, kept over all tests because it takes a second to start."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, text: str) -> TahoeAnswer:
        """Ask about one text."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        answer: TahoeAnswer = json.loads(self._process.stdout.readline())
        return answer


def _lack(oracle: str) -> NoReturn:
    """Skip the test that has no oracle, on a machine that may lack it."""
    if os.environ.get("CI"):
        pytest.fail(oracle)
    pytest.skip(oracle)


@pytest.fixture(scope="module")
def tahoe() -> Iterator[Tahoe]:
    """Start Tahoe-LAFS in its own environment."""
    if not Path(TAHOE_PYTHON).exists():
        _lack(f"there is no Tahoe-LAFS at {TAHOE_PYTHON}; `make oracle` installs it")
    command = [TAHOE_PYTHON, str(Path(__file__).with_name("tahoe_oracle.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Tahoe(process)


@pytest.fixture(scope="module")
def capabilities() -> ModuleType:
    """Import tahoe-capabilities."""
    try:
        return importlib.import_module("tahoe_capabilities")
    except ImportError:
        _lack("tahoe-capabilities is not installed; `make test` installs it")


@pytest.mark.slow
@given(cap=known_caps)
def test_tahoe_attenuates_alike(tahoe: Tahoe, cap: Cap) -> None:
    """Tahoe-LAFS reads every cap that can be made, writes it alike, and attenuates it to the same caps."""
    answer = tahoe.ask(cap.danger_whole_text())
    storage_index: bytes | None = getattr(cap, "storage_index", None)
    assert not answer["unknown"]
    assert answer["text"] == cap.danger_whole_text()
    assert answer["verify"] == (cap.verify_cap.danger_whole_text() if cap.verify_cap else None)
    assert answer["storage_index"] == (storage_index.hex() if storage_index else None)
    if isinstance(cap, WriteCap):
        assert answer["read"] == cap.read_cap.danger_whole_text()


@given(cap=known_caps)
def test_tahoe_capabilities_attenuates_alike(capabilities: ModuleType, cap: Cap) -> None:
    """The tahoe-capabilities library reads every cap that can be made, and attenuates it to the same caps."""
    other = capabilities.capability_from_string(cap.danger_whole_text())
    whole_text = capabilities.danger_real_capability_string
    assert whole_text(other) == cap.danger_whole_text()
    if isinstance(cap, WriteCap):
        other = other.reader
        assert whole_text(other) == cap.read_cap.danger_whole_text()
    if cap.verify_cap not in (cap, None):
        assert cap.verify_cap is not None
        assert whole_text(other.verifier) == cap.verify_cap.danger_whole_text()


@pytest.mark.slow
@settings(max_examples=300)
@given(text=st.one_of(damaged_texts(), cap_like_texts))
def test_tahoe_refuses_alike(tahoe: Tahoe, text: str) -> None:
    """Tahoe-LAFS parses every text that is accepted here as the same cap; a cap that is unknown there is unknown here."""
    answer = tahoe.ask(text)
    cap = parse_lenient(text)
    if answer["unknown"]:
        assert cap == UnknownCap(text)
        assert answer["text"] == text
    elif not isinstance(cap, UnknownCap):
        assert cap.danger_whole_text() == answer["text"]


def test_vectors_are_what_tahoe_says(tahoe: Tahoe) -> None:
    """The pinned vectors are right, also about what Tahoe-LAFS takes for unknown or accepts beyond this parser."""
    vectors = json.loads((TESTS / "vectors" / "caps.json").read_text(encoding="utf-8"))
    for vector in vectors["caps"]:
        answer = tahoe.ask(vector["text"])
        assert (answer["text"], answer["verify"]) == (vector["text"], vector["verify"])
        assert answer["storage_index"] == vector["storage_index"]
        assert vector["read"] in {None, answer["read"]}
    for vector in vectors["same"]:
        assert tahoe.ask(vector["text"])["text"] == vector["means"]
    for text in [*vectors["unknown"], *(vector["text"] for vector in vectors["malformed"])]:
        assert tahoe.ask(text) == {"unknown": True, "text": text}
    for vector in vectors["stricter"]:
        assert not tahoe.ask(vector["text"])["unknown"]
