"""Paths of a snapshot: names, bytes without a slash, with slashes between them."""

from __future__ import annotations

from typing import TypeAlias

Components: TypeAlias = tuple[bytes, ...]
"""The names that lead from a root to a directory; none for the root itself."""


def join_path(directory: bytes, name: bytes) -> bytes:
    """Return the path of a name in a directory.

    The root of relative paths is b"", of absolute ones b"/".
    """
    if not directory or directory.endswith(b"/"):
        return directory + name
    return directory + b"/" + name


def join_components(components: Components, name: bytes | None = None) -> bytes:
    """Return the relative path that some names lead along; for messages and patterns, never for a system call."""
    return b"/".join(components if name is None else (*components, name))


def display_path(path: bytes) -> str:
    """Return a path, or a name, for a message of one line: what could confuse a terminal, or is no UTF-8, is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
