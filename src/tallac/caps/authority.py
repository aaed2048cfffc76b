"""The authority of a cap as its type: a function states in its signature how much authority it needs, and mypy checks it.

A write cap is not a read cap: code that reads asks for its `read_cap`, so that nothing holds more authority than it uses.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from hashlib import sha256

import msgspec

from tallac.caps import base32

_SHORT_FINGERPRINT_TAG = b"tallac cap short fingerprint v1:"
_SHORT_FINGERPRINT_SIZE = 5


def short_fingerprint_of(text: str) -> str:
    """Return the short fingerprint of a cap's whole text."""
    digest = sha256(_SHORT_FINGERPRINT_TAG + text.encode("utf-8", "surrogatepass")).digest()
    return base32.encode(digest[:_SHORT_FINGERPRINT_SIZE])


class _AbstractStruct(msgspec.StructMeta, ABCMeta):
    """The class of structs that may have abstract methods."""


class Cap(msgspec.Struct, frozen=True, metaclass=_AbstractStruct):
    """A capability string: the location and the key of a file or directory. Immutable, hashable; its `repr` is redacted."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The word after `URI:` in the cap's text, for example `DIR2-RO`."""

    @property
    @abstractmethod
    def verify_cap(self) -> VerifyCap | None:
        """The cap that suffices to check the object; None where nothing is stored, or the kind is unknown."""

    @abstractmethod
    def danger_whole_text(self) -> str:
        """Return the whole text, secrets included. Whoever sees it holds the cap: never log it."""

    def short_fingerprint(self) -> str:
        """Return a few characters that distinguish this cap from others and reveal nothing about it.

        Not collision-resistant: for display only.
        """
        return short_fingerprint_of(self.danger_whole_text())

    def __str__(self) -> str:
        return f"{self.kind} {self.short_fingerprint()}..."

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class VerifyCap(Cap, frozen=True):
    """Allows checking that an object is there and intact, not reading it."""

    @property
    def verify_cap(self) -> VerifyCap:
        """The cap itself."""
        return self


class ReadCap(Cap, frozen=True):
    """Allows reading one file, or one directory and everything below it."""


class FileReadCap(ReadCap, frozen=True):
    """Allows reading one file."""


class DirectoryReadCap(ReadCap, frozen=True):
    """Allows reading one directory and everything below it."""


class WriteCap(Cap, frozen=True):
    """Allows changing one mutable file or directory."""

    @property
    @abstractmethod
    def read_cap(self) -> ReadCap:
        """The cap that allows reading the same file or directory without changing it."""


class FileWriteCap(WriteCap, frozen=True):
    """Allows changing one mutable file."""

    @property
    @abstractmethod
    def read_cap(self) -> FileReadCap:
        """The cap that allows reading the same file without changing it."""


class DirectoryWriteCap(WriteCap, frozen=True):
    """Allows changing one mutable directory, and everything that its entries hold write caps of."""

    @property
    @abstractmethod
    def read_cap(self) -> DirectoryReadCap:
        """The cap that allows reading the same directory without changing it."""
