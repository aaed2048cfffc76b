"""The arguments of a request: those of its URL take precedence over those of its form."""

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
    """Which existing entries a new one may replace."""

    ALWAYS = "true"
    NEVER = "false"
    ONLY_FILES = "only-files"


def parse_query(query: bytes) -> dict[str, str]:
    """Parse a query string or an URL-encoded form; of several values of one name the first counts.

    Raises:
        RequestError: The text is malformed, is not UTF-8, or has more than `FIELDS_MAX` fields.
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
    """The arguments of one request, by name."""

    def __init__(self, query: Mapping[str, str], form: Mapping[str, str] | None = None) -> None:
        """Combine the arguments of the URL and of the form; those of the URL take precedence."""
        self._values = dict(form or {}) | dict(query)

    def get(self, name: str) -> str | None:
        """Return an argument; None if it is missing."""
        return self._values.get(name)

    @property
    def operation(self) -> str:
        """The value of `t=`; empty if it is missing."""
        return (self.get("t") or "").strip()

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Parse a boolean argument.

        Raises:
            RequestError: The value is not a boolean.
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
        """Parse `replace=`.

        Raises:
            RequestError: The value is neither a boolean nor `only-files`.
        """
        if (self.get("replace") or "").lower() == Replace.ONLY_FILES.value:
            return Replace.ONLY_FILES
        return Replace.ALWAYS if self.flag("replace", default=True) else Replace.NEVER

    def mutable_format(self) -> MutableFormat | None:
        """Parse `format=` and `mutable=`: return the format of a mutable file or directory, None for an immutable one.

        Raises:
            RequestError: The format is unknown, or a key is given, with which another grid's cap would come out than was meant.
        """
        if self.get("private-key"):
            raise RequestError("private-key= can't be used here: this gateway makes the keys of what can change; leave it out")
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
        """Parse the format of a mutable directory; SDMF if none is given.

        Raises:
            RequestError: The format is unknown, or that of immutable files.
        """
        text = self.get("format")
        if text and text.upper() == "CHK":
            raise RequestError("format=CHK is not a format of mutable directories; see t=mkdir-immutable")
        return self.mutable_format() or MutableFormat.SDMF

    def offset(self) -> int | None:
        """Parse `offset=`, in bytes; None if it is missing.

        Raises:
            RequestError: The value is not a decimal number of at most 19 digits.
        """
        text = self.get("offset")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 19:
            raise RequestError("PUT to a mutable file: Invalid offset")
        return int(text)

    def require(self, name: str) -> str:
        """Return an argument that must be present and not empty.

        Raises:
            RequestError: The argument is missing or empty.
        """
        value = self.get(name)
        if not value:
            raise RequestError(f"{name}= is required")
        return value
