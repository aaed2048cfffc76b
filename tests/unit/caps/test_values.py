"""Cap values: what they allow, what they show, what they refuse to be."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from tallac.caps import (
    LITERAL_SIZE_MAX,
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    FileWriteCap,
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
    ReadCap,
    UnknownCap,
    VerifyCap,
    WriteCap,
    base32,
)

KEY = b"K" * 16
HASH = b"H" * 32

ALL_CAPS: list[Cap] = [
    LiteralFile(b"some content"),
    ImmutableFile(KEY, HASH, 3, 10, 1000),
    ImmutableFileVerify(KEY, HASH, 3, 10, 1000),
    LiteralDirectory(b"some table"),
    ImmutableDirectory(KEY, HASH, 3, 10, 1000),
    ImmutableDirectoryVerify(KEY, HASH, 3, 10, 1000),
    UnknownCap("URI:NEW:mnopqrst"),
    *(
        make(KEY, HASH, mutable_format)
        for mutable_format in MutableFormat
        for make in (
            MutableFileWrite,
            MutableFileRead,
            MutableFileVerify,
            MutableDirectoryWrite,
            MutableDirectoryRead,
            MutableDirectoryVerify,
        )
    ),
]


def _field_names(cap: Cap) -> list[str]:
    return list(cap.__struct_fields__)


every_cap = pytest.mark.parametrize("cap", ALL_CAPS, ids=lambda cap: cap.kind)


@pytest.mark.parametrize(
    ("cap_type", "authority"),
    [
        (LiteralFile, FileReadCap),
        (ImmutableFile, FileReadCap),
        (MutableFileRead, FileReadCap),
        (MutableFileWrite, FileWriteCap),
        (LiteralDirectory, DirectoryReadCap),
        (ImmutableDirectory, DirectoryReadCap),
        (MutableDirectoryRead, DirectoryReadCap),
        (MutableDirectoryWrite, DirectoryWriteCap),
        (ImmutableFileVerify, VerifyCap),
        (MutableFileVerify, VerifyCap),
        (ImmutableDirectoryVerify, VerifyCap),
        (MutableDirectoryVerify, VerifyCap),
    ],
)
def test_each_type_has_exactly_one_authority(cap_type: type[Cap], authority: type[Cap]) -> None:
    """Reading, changing and checking a file or a directory are five authorities, and a cap has one of them."""
    authorities = (FileReadCap, DirectoryReadCap, FileWriteCap, DirectoryWriteCap, VerifyCap)
    assert [one for one in authorities if issubclass(cap_type, one)] == [authority]


def test_a_write_cap_is_no_read_cap() -> None:
    """Who may write has to say that he reads."""
    assert not issubclass(WriteCap, ReadCap)
    assert not issubclass(ReadCap, WriteCap)


@every_cap
def test_nothing_secret_is_shown(cap: Cap) -> None:
    """Neither str nor repr nor a format contains any part of the cap's text but its kind."""
    secrets = [part for part in cap.danger_whole_text().split(":")[2:] if len(part) > 4]
    values = [value for value in (getattr(cap, name) for name in _field_names(cap)) if isinstance(value, bytes)]
    for shown in (str(cap), repr(cap), f"{cap}", f"{cap!r}"):
        assert cap.kind in shown
        assert len(shown) < 80
        assert not any(secret[:5] in shown for secret in secrets)
        assert not any(repr(value)[2:6] in shown or value.hex()[:6] in shown for value in values)


def test_fingerprints_tell_caps_apart() -> None:
    """Caps of different kinds, of the same keys too, show different fingerprints, and the same cap the same one."""
    fingerprints = {cap.short_fingerprint() for cap in ALL_CAPS}
    assert len(fingerprints) == len(ALL_CAPS)
    same, other = ImmutableFile(KEY, HASH, 3, 10, 1000), ImmutableFile(HASH[:16], HASH, 3, 10, 1000)
    assert ALL_CAPS[1].short_fingerprint() == same.short_fingerprint() != other.short_fingerprint()


def test_a_literal_shows_no_fingerprint_of_its_content() -> None:
    """Content may be guessable, so two literals of one size look alike."""
    assert repr(LiteralFile(b"yes")) == repr(LiteralFile(b"nah")) == "<LiteralFile LIT of 3 bytes>"


@every_cap
def test_caps_are_values(cap: Cap) -> None:
    """A cap survives pickling, to reach worker processes, and equals its copy, which hashes alike."""
    copy = pickle.loads(pickle.dumps(cap))  # noqa: S301 - its own pickle
    assert copy == cap
    assert hash(copy) == hash(cap)
    assert type(copy) is type(cap)


def test_different_caps_differ() -> None:
    """No two caps of different type, format or fields are equal."""
    assert len(set(ALL_CAPS)) == len(ALL_CAPS)
    assert ImmutableFile(KEY, HASH, 3, 10, 1000) != ImmutableFile(KEY, HASH, 3, 10, 1001)


@every_cap
def test_caps_can_not_be_changed(cap: Cap) -> None:
    """No field can be set, and there is no place for another attribute."""
    with pytest.raises(AttributeError, match="immutable"):
        setattr(cap, _field_names(cap)[0], b"")
    assert not hasattr(cap, "__dict__")


def test_authorities_have_no_instances() -> None:
    """An authority by itself is no cap."""
    for abstract in (Cap, ReadCap, FileReadCap, DirectoryReadCap, WriteCap, VerifyCap):
        with pytest.raises(TypeError, match="abstract"):
            abstract()  # type: ignore[abstract]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: ImmutableFile(KEY[1:], HASH, 1, 1, 1), "key has 15 bytes"),
        (lambda: ImmutableDirectory(KEY, HASH + b"x", 1, 1, 1), "hash has 33 bytes"),
        (lambda: ImmutableFile(KEY, HASH, 0, 1, 1), "numbers of shares are impossible"),
        (lambda: ImmutableFile(KEY, HASH, 2, 1, 1), "numbers of shares are impossible"),
        (lambda: ImmutableFile(KEY, HASH, 1, 257, 1), "numbers of shares are impossible"),
        (lambda: ImmutableFile(KEY, HASH, 1, 1, -1), "size is impossible"),
        (lambda: ImmutableFile(KEY, HASH, 1, 1, 2**64), "size is impossible"),
        (lambda: ImmutableFileVerify(KEY[1:], HASH, 1, 1, 1), "storage index has 15 bytes"),
        (lambda: ImmutableDirectoryVerify(KEY, HASH, 2, 1, 1), "numbers of shares are impossible"),
        (lambda: MutableFileWrite(b"", HASH), "write key has 0 bytes"),
        (lambda: MutableDirectoryRead(KEY, b""), "fingerprint has 0 bytes"),
        (lambda: MutableDirectoryRead(b"", HASH), "read key has 0 bytes"),
        (lambda: MutableFileVerify(b"", HASH), "storage index has 0 bytes"),
        (lambda: LiteralFile(bytes(LITERAL_SIZE_MAX + 1)), "at most 4096 bytes"),
    ],
)
def test_impossible_caps_can_not_be_made(make: Callable[[], Cap], reason: str) -> None:
    """A cap whose text would be no cap is refused where it is made, without showing its fields."""
    with pytest.raises(ValueError, match=reason) as caught:
        make()
    assert "KKKK" not in str(caught.value)
    assert base32.encode(KEY)[:6] not in str(caught.value)


def test_a_literal_knows_its_size() -> None:
    """The size of a literal is that of its content."""
    assert LiteralFile(b"abc").size == 3


def test_verify_caps_attenuate_to_themselves() -> None:
    """There is nothing below a verify cap."""
    for cap in ALL_CAPS:
        if isinstance(cap, VerifyCap):
            assert cap.verify_cap is cap
