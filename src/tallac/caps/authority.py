"""What a cap allows, as types. A function says in its signature how much authority it needs, and mypy holds it to that.

A write cap is no read cap: who needs to read asks for its `read_cap`, so nobody carries more authority than he uses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import sha256

from tallac.caps import base32

_SHORT_FINGERPRINT_TAG = b"tallac cap short fingerprint v1:"
_SHORT_FINGERPRINT_SIZE = 5


class Cap(ABC):
    """A capability string: the address and the key of one thing at once. Immutable, hashable; shown only redacted."""

    __slots__ = ()

    @property
    @abstractmethod
    def kind(self) -> str:
        """The word after `URI:` in the cap's text, for example `DIR2-RO`."""

    @property
    @abstractmethod
    def verify_cap(self) -> VerifyCap | None:
        """The cap that suffices to check this one's object; None where there is nothing to check, or no way to know."""

    @abstractmethod
    def danger_whole_text(self) -> str:
        """Write the whole cap, secrets included. Whoever sees the result holds the cap: never log it."""

    def short_fingerprint(self) -> str:
        """Give a few characters that tell this cap from others, and tell nothing about it.

        Not collision-resistant: for the eyes only.
        """
        digest = sha256(_SHORT_FINGERPRINT_TAG + self.danger_whole_text().encode("utf-8", "surrogatepass")).digest()
        return base32.encode(digest[:_SHORT_FINGERPRINT_SIZE])

    def __str__(self) -> str:
        return f"{self.kind} {self.short_fingerprint()}..."

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class VerifyCap(Cap):
    """Allows to check that an object is there and intact, not to read it."""

    __slots__ = ()

    @property
    def verify_cap(self) -> VerifyCap:
        """The cap itself."""
        return self


class ReadCap(Cap):
    """Allows to read one file or directory and what is below it."""

    __slots__ = ()


class FileReadCap(ReadCap):
    """Allows to read one file."""

    __slots__ = ()


class DirectoryReadCap(ReadCap):
    """Allows to read one directory and what is below it."""

    __slots__ = ()


class WriteCap(Cap):
    """Allows to change one mutable file or directory."""

    __slots__ = ()

    @property
    @abstractmethod
    def read_cap(self) -> ReadCap:
        """The cap that allows to read the same thing, and not to change it."""


class FileWriteCap(WriteCap):
    """Allows to change one mutable file."""

    __slots__ = ()

    @property
    @abstractmethod
    def read_cap(self) -> FileReadCap:
        """The cap that allows to read the same file, and not to change it."""


class DirectoryWriteCap(WriteCap):
    """Allows to change one mutable directory and whatever its entries hold write caps of."""

    __slots__ = ()

    @property
    @abstractmethod
    def read_cap(self) -> DirectoryReadCap:
        """The cap that allows to read the same directory, and not to change it."""
