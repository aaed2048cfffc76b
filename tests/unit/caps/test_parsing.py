"""Text -> cap, against pinned vectors that need no oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest

from tallac import caps
from tallac.caps import TEXT_LENGTH_MAX, Cap, MutableFormat, UnknownCap, WriteCap, parse, parse_lenient
from tallac.errors import MalformedCapError

VECTORS = Path(__file__).parents[2] / "vectors" / "caps.json"


class CapVector(TypedDict):
    """One cap: its type and fields, its text, and what it attenuates to."""

    type: str
    kind: str
    fields: dict[str, str | int]
    text: str
    read: str | None
    verify: str | None
    storage_index: str | None


class SameVector(TypedDict):
    """A text that means the same cap as a simpler one."""

    text: str
    means: str


class RefusedVector(TypedDict):
    """A text that is refused, and a part of what is said about it."""

    text: str
    reason: str


class Vectors(TypedDict):
    """The whole file."""

    caps: list[CapVector]
    same: list[SameVector]
    unknown: list[str]
    malformed: list[RefusedVector]
    stricter: list[RefusedVector]


vectors: Vectors = json.loads(VECTORS.read_text(encoding="utf-8"))

every_cap = pytest.mark.parametrize("vector", vectors["caps"], ids=lambda vector: vector["kind"])
every_refused = pytest.mark.parametrize(
    "vector", [*vectors["malformed"], *vectors["stricter"]], ids=lambda vector: vector["reason"]
)

CHK = "URI:CHK:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1:1:56"


def _make(vector: CapVector) -> Cap:
    """Build the cap of a vector from its fields, without parsing."""
    fields: dict[str, bytes | int | MutableFormat] = {}
    for name, value in vector["fields"].items():
        if isinstance(value, int):
            fields[name] = value
        elif name == "format":
            fields[name] = MutableFormat[value]
        else:
            fields[name] = bytes.fromhex(value)
    cap: Cap = getattr(caps, vector["type"])(**fields)
    return cap


def test_vectors_cover_every_kind() -> None:
    """All eighteen kinds are pinned."""
    assert len({vector["kind"] for vector in vectors["caps"]}) == 18


@every_cap
def test_pinned_text_and_fields(vector: CapVector) -> None:
    """Text and fields mean each other, as str and as bytes."""
    cap = _make(vector)
    assert cap.danger_whole_text() == vector["text"]
    assert cap.kind == vector["kind"]
    assert parse(vector["text"]) == cap
    assert parse(vector["text"].encode("ascii")) == cap
    assert parse_lenient(vector["text"]) == cap


@every_cap
def test_pinned_attenuation(vector: CapVector) -> None:
    """A cap attenuates to what Tahoe-LAFS makes of it."""
    cap = parse(vector["text"])
    read = cap.read_cap.danger_whole_text() if isinstance(cap, WriteCap) else None
    verify = cap.verify_cap.danger_whole_text() if cap.verify_cap else None
    storage_index: bytes | None = getattr(cap, "storage_index", None)
    assert read == vector["read"]
    assert verify == vector["verify"]
    assert (storage_index.hex() if storage_index else None) == vector["storage_index"]


@pytest.mark.parametrize("vector", vectors["same"], ids=lambda vector: vector["text"][:12])
def test_known_caps_lose_prefix_and_extension(vector: SameVector) -> None:
    """A known cap is the same with an allowed prefix, and whatever follows an MDMF cap's fingerprint."""
    cap = parse(vector["text"])
    assert cap == parse(vector["means"])
    assert cap.danger_whole_text() == vector["means"]


@pytest.mark.parametrize("text", vectors["unknown"])
def test_unknown_caps_are_carried_untouched(text: str) -> None:
    """A cap of a kind to come keeps its text, prefix included, and attenuates to nothing."""
    cap = parse(text)
    assert cap == UnknownCap(text)
    assert cap.danger_whole_text() == text
    assert cap.verify_cap is None
    assert parse_lenient(text) == cap


@every_refused
def test_malformed_texts_are_refused(vector: RefusedVector) -> None:
    """A malformed text is refused with the reason, in one line that shows no secret."""
    with pytest.raises(MalformedCapError) as caught:
        parse(vector["text"])
    message = str(caught.value)
    assert message.startswith("not a cap: ")
    assert vector["reason"] in message
    assert "\n" not in message
    assert not any(part[:6] in message for part in vector["text"].split(":")[2:4] if len(part) > 20)


@every_refused
def test_malformed_texts_can_be_carried(vector: RefusedVector) -> None:
    """The lenient parser passes on untouched what the strict one refuses."""
    assert parse_lenient(vector["text"]) == UnknownCap(vector["text"])


@pytest.mark.parametrize("text", [b"\xff", b"URI:NEW:\xff\xfe", CHK.encode("utf-16")])
def test_bytes_that_are_no_text_are_refused(text: bytes) -> None:
    """Bytes that are not UTF-8 are no cap for either parser."""
    for parser in (parse, parse_lenient):
        with pytest.raises(MalformedCapError, match="not UTF-8"):
            parser(text)


@pytest.mark.parametrize("filling", ["a", ":", "7", "ü", "0:"])
def test_long_texts_are_refused(filling: str) -> None:
    """A text beyond the limit is refused at once, whatever it consists of."""
    for start in ("URI:LIT:", "URI:NEW:", CHK, "ro."):
        text = start + filling * (1 << 20)
        with pytest.raises(MalformedCapError, match=f"longer than {TEXT_LENGTH_MAX}"):
            parse(text)
        assert parse_lenient(text) == UnknownCap(text)


def test_the_longest_text_is_accepted() -> None:
    """The limit itself is still within it."""
    text = "URI:NEW:" + "x" * (TEXT_LENGTH_MAX - 8)
    assert parse(text) == UnknownCap(text)


@pytest.mark.parametrize("blank", [" ", "\n", "\t", "\0", "\x7f", "\u00a0", "\u2028", "\ud800"])
def test_blanks_and_control_characters_are_refused(blank: str) -> None:
    """A cap broken by a mail program is refused in every place, of an unknown kind too."""
    for text in (blank + CHK, CHK + blank, CHK[:20] + blank + CHK[20:], f"URI:NEW:{blank}"):
        with pytest.raises(MalformedCapError, match="space, a line break"):
            parse(text)
