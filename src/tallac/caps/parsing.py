"""Text -> cap. `parse` refuses everything that is not exactly a cap; `parse_lenient` accepts what Tahoe-LAFS accepts."""

from __future__ import annotations

from collections.abc import Callable

from tallac.caps import base32
from tallac.caps.authority import Cap, WriteCap
from tallac.caps.values import (
    HASH_SIZE,
    KEY_SIZE,
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
)
from tallac.errors import MalformedCapError

TEXT_LENGTH_MAX = 8192
"""In characters. No cap of a known kind comes near it; it limits what a hostile text can cost."""

READ_ONLY_PREFIX = "ro."
IMMUTABLE_PREFIX = "imm."

_SCHEME = "URI:"
_NUMBER_LENGTH_MAX = 20
_HINT = "a character may be missing"

_LITERALS: dict[str, Callable[[bytes], Cap]] = {"LIT": LiteralFile, "DIR2-LIT": LiteralDirectory}

_IMMUTABLES: dict[str, tuple[str, Callable[[bytes, bytes, int, int, int], Cap]]] = {
    "CHK": ("key", ImmutableFile),
    "CHK-Verifier": ("storage index", ImmutableFileVerify),
    "DIR2-CHK": ("key", ImmutableDirectory),
    "DIR2-CHK-Verifier": ("storage index", ImmutableDirectoryVerify),
}

_MUTABLES: dict[str, tuple[str, Callable[[bytes, bytes, MutableFormat], Cap], MutableFormat]] = {
    "SSK": ("write key", MutableFileWrite, MutableFormat.SDMF),
    "SSK-RO": ("read key", MutableFileRead, MutableFormat.SDMF),
    "SSK-Verifier": ("storage index", MutableFileVerify, MutableFormat.SDMF),
    "MDMF": ("write key", MutableFileWrite, MutableFormat.MDMF),
    "MDMF-RO": ("read key", MutableFileRead, MutableFormat.MDMF),
    "MDMF-Verifier": ("storage index", MutableFileVerify, MutableFormat.MDMF),
    "DIR2": ("write key", MutableDirectoryWrite, MutableFormat.SDMF),
    "DIR2-RO": ("read key", MutableDirectoryRead, MutableFormat.SDMF),
    "DIR2-Verifier": ("storage index", MutableDirectoryVerify, MutableFormat.SDMF),
    "DIR2-MDMF": ("write key", MutableDirectoryWrite, MutableFormat.MDMF),
    "DIR2-MDMF-RO": ("read key", MutableDirectoryRead, MutableFormat.MDMF),
    "DIR2-MDMF-Verifier": ("storage index", MutableDirectoryVerify, MutableFormat.MDMF),
}


def parse(text: str | bytes) -> Cap:
    """Parse the whole text of a cap, with nothing before or after it.

    A prefix `ro.` or `imm.` is dropped from a known kind, as in Tahoe-LAFS; an unknown kind becomes an `UnknownCap` and keeps it.
    Text after a `:` behind the fingerprint of an MDMF cap is dropped, as in Tahoe-LAFS. Otherwise each cap has one text:
    numbers with leading zeros and text after the last field, which Tahoe-LAFS accepts in places, are refused, and so are
    numbers of shares and sizes that no file can have.

    Raises:
        MalformedCapError: The text is not a cap, or does not follow the grammar of its kind, or its prefix
            denies what the cap allows. The message says why, and contains no part of the text but the kind.
    """
    text = _to_str(text)
    if len(text) > TEXT_LENGTH_MAX:
        raise _malformed(f"it is longer than {TEXT_LENGTH_MAX} characters")
    if " " in text or not text.isprintable():
        raise _malformed("it contains a space, a line break or a control character; remove it")
    prefix, bare = _split_prefix(text)
    if not bare.startswith(_SCHEME):
        if prefix and bare:
            return UnknownCap(text)
        raise _malformed(f"it does not begin with {_SCHEME}")
    cap = _parse_known(bare)
    if cap is None:
        return UnknownCap(text)
    _refuse_contradiction(prefix, cap)
    return cap


def parse_lenient(text: str | bytes) -> Cap:
    """Parse a cap as parse() does, but return an `UnknownCap` with the unchanged text where that refuses, as Tahoe-LAFS does.

    For caps that are foreign data, such as those in a directory: they are listed and passed on, never used.

    Raises:
        MalformedCapError: The bytes are not UTF-8.
    """
    text = _to_str(text)
    try:
        return parse(text)
    except MalformedCapError:
        return UnknownCap(text)


def _malformed(reason: str) -> MalformedCapError:
    return MalformedCapError(f"not a cap: {reason}")


def _to_str(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        # The UnicodeDecodeError would carry the whole text.
        raise _malformed("it is not UTF-8") from None


def _split_prefix(text: str) -> tuple[str, str]:
    for prefix in (IMMUTABLE_PREFIX, READ_ONLY_PREFIX):
        if text.startswith(prefix):
            return prefix, text[len(prefix) :]
    return "", text


def _parse_known(bare: str) -> Cap | None:
    """Parse a cap of a known kind; return None if the kind is unknown."""
    _, kind, *fields = bare.split(":")
    try:
        if kind in _IMMUTABLES:
            return _parse_immutable(kind, fields)
        if kind in _MUTABLES:
            return _parse_mutable(kind, fields)
        if kind in _LITERALS:
            _require_fields(kind, fields, 1)
            return _LITERALS[kind](_parse_base32("content", fields[0]))
    except ValueError as error:
        raise _malformed(str(error)) from None
    if not kind:
        raise _malformed(f"no kind follows {_SCHEME}")
    return None


def _parse_immutable(kind: str, fields: list[str]) -> Cap:
    key_name, make = _IMMUTABLES[kind]
    _require_fields(kind, fields, 5)
    key = _parse_sized(key_name, fields[0], KEY_SIZE)
    hash_ = _parse_sized("hash", fields[1], HASH_SIZE)
    needed = _parse_number("number of needed shares", fields[2])
    total = _parse_number("total of shares", fields[3])
    size = _parse_number("size", fields[4])
    return make(key, hash_, needed, total, size)


def _parse_mutable(kind: str, fields: list[str]) -> Cap:
    key_name, make, mutable_format = _MUTABLES[kind]
    if mutable_format is MutableFormat.MDMF:
        # Old nodes wrote hints about the layout here, and later ones may again; they are not part of the cap's identity.
        fields = fields[:2]
    _require_fields(kind, fields, 2)
    key = _parse_sized(key_name, fields[0], KEY_SIZE)
    fingerprint = _parse_sized("fingerprint", fields[1], HASH_SIZE)
    return make(key, fingerprint, mutable_format)


def _require_fields(kind: str, fields: list[str], count: int) -> None:
    if len(fields) != count:
        raise ValueError(f"{count} parts are needed after {kind}, with ':' between them, and there are {len(fields)}")


def _parse_sized(name: str, text: str, size: int) -> bytes:
    length = -(-size * 8 // 5)
    if len(text) != length:
        hint = f"; {_HINT}" if len(text) < length else ""
        raise ValueError(f"the {name} has {len(text)} characters, {length} are needed{hint}")
    return _parse_base32(name, text)


def _parse_base32(name: str, text: str) -> bytes:
    try:
        return base32.decode(text)
    except ValueError as error:
        raise ValueError(f"the {name} {error}") from None


def _parse_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _NUMBER_LENGTH_MAX:
        raise ValueError(f"the {name} is no number")
    if text[0] == "0" and text != "0":
        raise ValueError(f"the {name} begins with 0")
    return int(text)


def _refuse_contradiction(prefix: str, cap: Cap) -> None:
    if prefix and isinstance(cap, WriteCap):
        raise _malformed(f"'{prefix}' stands before a write cap ({cap.kind})")
    if prefix == IMMUTABLE_PREFIX and isinstance(cap, MutableFileRead | MutableDirectoryRead):
        raise _malformed(f"'{prefix}' stands before the cap of something mutable ({cap.kind})")
