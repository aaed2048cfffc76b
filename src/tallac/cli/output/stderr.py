"""Messages on standard error, one line each, and names that are safe to show."""

from __future__ import annotations

import os
import sys

# Each secret that is to be taken out has one of these in it, in capitals or small letters.
_SUSPICIOUS = ("uri:", "uri%", "tallac-", "://")


def show_name(name: bytes | str) -> str:
    """Write a name so that it can't act on a terminal: what is no printable character, or no UTF-8, becomes an escape."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    text = raw.decode("utf-8", "surrogateescape")
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def redact(text: str) -> str:
    """Return text as it may leave the program: without caps, keys and passwords, see `tallac.caps.redaction`."""
    lowered = text.lower()
    if not any(mark in lowered for mark in _SUSPICIOUS):
        return text
    # lazy import: hardly any text needs it
    from tallac.caps.redaction import redact as take_out

    return take_out(text)


def say(text: str) -> None:
    """Write one line to standard error, without secrets; nobody may be there to read it."""
    say_lines(show_name(redact(text)) + "\n")


def say_lines(text: str) -> None:
    """Write lines that may be shown as they are, but for secrets; nobody may be there to read them."""
    try:
        sys.stderr.write(redact(text))
        sys.stderr.flush()
    except OSError:
        return


def silence(descriptor: int) -> None:
    """Discard everything that is still written to a descriptor, so that the interpreter's own flush at its end can't fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
