"""Base32: one text for each sequence of bytes."""

from __future__ import annotations

import pytest

from tallac.caps import base32


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"f", "my"),
        (b"fo", "mzxq"),
        (b"foo", "mzxw6"),
        (b"foob", "mzxw6yq"),
        (b"fooba", "mzxw6ytb"),
        (b"foobar", "mzxw6ytboi"),
        (b"\x00" * 5, "aaaaaaaa"),
        (b"\xff" * 5, "77777777"),
    ],
)
def test_known_pairs(content: bytes, text: str) -> None:
    """The examples of RFC 4648, in lower case and without padding, hold in both directions."""
    assert base32.encode(content) == text
    assert base32.decode(text) == content


@pytest.mark.parametrize(
    "text",
    ["MY", "my======", "m1", "m8", "m-", "m ", " my", "+my", "-my", "my\n", "m_my", "0x", "mü", "m\u0663", "\ud800a"],
)
def test_other_characters_are_refused(text: str) -> None:
    """Signs, underscores and blanks, which int() would accept, are not base32."""
    with pytest.raises(ValueError, match="other characters"):
        base32.decode(text)


@pytest.mark.parametrize("length", [1, 3, 6, 9, 11, 14])
def test_impossible_lengths_are_refused(length: int) -> None:
    """A length that no whole number of bytes encodes to is refused."""
    with pytest.raises(ValueError, match=f"can't have {length} characters"):
        base32.decode("a" * length)


@pytest.mark.parametrize(
    ("size", "endings"),
    [
        (1, "aeimquy4"),
        (2, "aq"),
        (3, "acegikmoqsuwy246"),
        (4, "aiqy"),
        (5, "abcdefghijklmnopqrstuvwxyz234567"),
        (16, "aeimquy4"),
        (32, "aq"),
    ],
)
def test_last_character_leaves_no_bit_over(size: int, endings: str) -> None:
    """Only those last characters are taken whose surplus bits are zero, as Tahoe-LAFS nodes do."""
    stem = base32.encode(bytes(size))[:-1]
    accepted = ""
    for character in base32.ALPHABET.decode("ascii"):
        try:
            base32.decode(stem + character)
        except ValueError:
            continue
        accepted += character
    assert accepted == endings


def test_refusal_does_not_show_the_text() -> None:
    """The text is a secret, so neither the message nor a chained error that is shown contains it."""
    for text in ("mzxw6ytb1", "mzxw6ytbü", "mzxw6ytba", "mzxw6ytbb"):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at below
            base32.decode(text)
        assert "mzxw" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__
