"""Base32 as caps use it: lower case, without padding, exactly one text for each byte string."""

from __future__ import annotations

from base64 import b32encode

ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567"

# int() parses numbers in base 32, with 0-9 and a-v as digits, in linear time.
_DIGITS = b"0123456789abcdefghijklmnopqrstuv"
_NO_DIGIT = ord("!")
_TO_DIGITS = bytes(_DIGITS[ALPHABET.index(byte)] if byte in ALPHABET else _NO_DIGIT for byte in range(256))


def encode(content: bytes) -> str:
    """Encode bytes as base32."""
    return b32encode(content).decode("ascii").rstrip("=").lower()


def decode(text: str) -> bytes:
    """Decode base32; accept only what encode() writes.

    The bits of the last character beyond the last whole byte must be zero, as in Tahoe-LAFS: else two texts would mean the
    same bytes.

    Raises:
        ValueError: The text is not base32. The message continues "the key ..." and does not contain the text.
    """
    size, spare_bits = divmod(len(text) * 5, 8)
    if not text:
        return b""
    try:
        number = int(text.encode("ascii").translate(_TO_DIGITS), 32)
    except ValueError:
        raise ValueError("contains other characters than a-z and 2-7") from None
    if spare_bits >= 5:
        raise ValueError(f"can't have {len(text)} characters; one may be missing or too many")
    if number & ((1 << spare_bits) - 1):
        raise ValueError("ends in a character that can't be its last; one may be missing or mistyped")
    return (number >> spare_bits).to_bytes(size, "big")
