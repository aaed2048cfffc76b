"""Paths of a snapshot: names, bytes without a slash, with slashes between them; and the directories on the way."""

from __future__ import annotations

from typing import TypeAlias

from tallac.caps import MutableDirectoryRead
from tallac.dag.encoded import EncodedCap, decode_cap

Components: TypeAlias = tuple[bytes, ...]
"""The names that lead from a root to a directory; none for the root itself."""


LEADS_BACK = "this directory leads back to one that it is in, and is not entered again"


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


class Ancestors:
    """A stack of directories, by their encoded caps, from the top of a walk to where it is."""

    __slots__ = ("_levels", "_within")

    def __init__(self) -> None:
        self._levels: list[bytes | None] = []
        self._within: set[bytes] = set()

    def __contains__(self, encoded: bytes) -> bool:
        """Return whether the walk is in this directory."""
        # Most walks are in no mutable directory, and then decode nothing.
        return bool(self._within) and mutable_identity(encoded) in self._within

    def enter(self, encoded: bytes | None) -> None:
        """Go down into a directory in which the walk is not; None for what is none, so that each level of a walk has its place."""
        identity = None if encoded is None else mutable_identity(encoded)
        self._levels.append(identity)
        if identity is not None:
            self._within.add(identity)

    def leave(self) -> None:
        """Go up again."""
        identity = self._levels.pop()
        if identity is not None:
            self._within.discard(identity)


def mutable_identity(encoded: bytes) -> bytes | None:
    """Return the storage index of a mutable directory; None for all else.

    Only mutable directories can lead back: what is immutable is made after what it contains. One has several caps, with either
    format in their spelling, and one storage index.
    """
    if not EncodedCap(encoded).is_text:
        return None
    cap = decode_cap(encoded)
    return cap.storage_index if isinstance(cap, MutableDirectoryRead) else None
