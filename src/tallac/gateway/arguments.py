"""A request's arguments: those of its URL first, then those of its form."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from urllib.parse import parse_qsl

from tallac.caps import MutableFormat
from tallac.errors import RequestError

_TRUE = ("true", "t", "1", "on")
_FALSE = ("false", "f", "0", "off")
FIELDS_MAX = 1000


class Replace(Enum):
    """Whether an entry may take another's place."""

    ALWAYS = "true"
    NEVER = "false"
    ONLY_FILES = "only-files"


def parse_query(query: bytes) -> dict[str, str]:
    """Read a query string or a form in its form; of several values the first counts.

    Raises:
        RequestError: It is not UTF-8, or too long.
    """
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise RequestError("the query is malformed, or not UTF-8") from None
    arguments: dict[str, str] = {}
    for name, value in pairs:
        arguments.setdefault(name, value)
    return arguments


class Arguments:
    """What a request asks for."""

    def __init__(self, query: Mapping[str, str], form: Mapping[str, str] | None = None) -> None:
        """Take the URL's arguments and the form's; the URL's come first."""
        self._values = dict(form or {}) | dict(query)

    def get(self, name: str) -> str | None:
        """Give an argument; None where it is missing."""
        return self._values.get(name)

    @property
    def operation(self) -> str:
        """What `t=` says; empty where it says nothing."""
        return (self.get("t") or "").strip()

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read a yes or no.

        Raises:
            RequestError: It is neither.
        """
        value = self.get(name)
        if value is None:
            return default
        if value.lower() in _TRUE:
            return True
        if value.lower() in _FALSE:
            return False
        raise RequestError(f"invalid boolean argument: {name}={value[:40]!r}")

    def replace(self) -> Replace:
        """Read `replace=`.

        Raises:
            RequestError: It is none of the three.
        """
        if (self.get("replace") or "").lower() == Replace.ONLY_FILES.value:
            return Replace.ONLY_FILES
        return Replace.ALWAYS if self.flag("replace", default=True) else Replace.NEVER

    def mutable_format(self) -> MutableFormat | None:
        """Read `format=` and `mutable=`: the format of a mutable file or directory, None for an immutable one.

        Raises:
            RequestError: The format is not known.
        """
        text = self.get("format")
        if not text:
            return MutableFormat.SDMF if self.flag("mutable") else None
        if text.upper() == "CHK":
            return None
        try:
            return MutableFormat(text.lower())
        except ValueError:
            raise RequestError(f"Unknown format: {text[:40]!r}; there are CHK, SDMF and MDMF") from None

    def directory_format(self) -> MutableFormat:
        """Read the format of a mutable directory.

        Raises:
            RequestError: It is one of immutable things.
        """
        text = self.get("format")
        if text and text.upper() == "CHK":
            raise RequestError("format=CHK is no format of a directory that can be changed; see t=mkdir-immutable")
        return self.mutable_format() or MutableFormat.SDMF

    def offset(self) -> int | None:
        """Read `offset=`.

        Raises:
            RequestError: It is no count of bytes.
        """
        text = self.get("offset")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 19:
            raise RequestError("PUT to a mutable file: Invalid offset")
        return int(text)

    def require(self, name: str) -> str:
        """Give an argument that has to be there.

        Raises:
            RequestError: It is missing.
        """
        value = self.get(name)
        if not value:
            raise RequestError(f"{name}= is required")
        return value
