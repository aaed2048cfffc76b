"""Texts that are compressed, and padded such that their length tells little: footers, index objects, registers, sessions, slots."""

from __future__ import annotations

import struct

from tallac.crypto.padding import padme
from tallac.errors import MalformedObjectError, StoreError
from tallac.vault.format.compression import Codec

FOOTER_BODY_SIZE_MAX = 64 << 20


def pad_plain(body: bytes, codec: Codec, beside: int) -> bytes:
    """Compress and pad a text such that it and `beside` further bytes have a padded size together.

    Layout: 1 byte whether it is compressed, 4 bytes length of the body, 4 bytes length as stored, body, zeros.

    Raises:
        StoreError: No reader would take a text of this length.
    """
    if len(body) > FOOTER_BODY_SIZE_MAX:
        raise StoreError(
            f"a mutable directory or part of the vault's structure would have {len(body)} bytes, larger than the format allows "
            f"({FOOTER_BODY_SIZE_MAX}): keep fewer entries in one mutable directory"
        )
    compressed = codec.compress(body)
    stored = body if compressed is None else compressed
    head = struct.pack(">BII", compressed is not None, len(body), len(stored))
    size = len(head) + len(stored)
    return b"".join((head, stored, bytes(padme(beside + size) - beside - size)))


def unpad_plain(plain: bytes, codec: Codec, beside: int) -> bytes:
    """Take out what `pad_plain` put in beside so many further bytes.

    Raises:
        MalformedObjectError: It is not of that form.
    """
    if len(plain) < 9:
        raise MalformedObjectError("a padded text is cut short")
    is_compressed, length, stored_length = struct.unpack_from(">BII", plain)
    stored = plain[9 : 9 + stored_length]
    if is_compressed > 1 or len(stored) != stored_length or length > FOOTER_BODY_SIZE_MAX:
        raise MalformedObjectError("a padded text has a wrong length")
    if any(plain[9 + stored_length :]) or len(plain) + beside != padme(9 + stored_length + beside):
        raise MalformedObjectError("padding is not zero, or not as long as it has to be")
    body = codec.decompress(stored, length) if is_compressed else stored
    if len(body) != length:
        raise MalformedObjectError("a padded text has a wrong length")
    return body
