"""The names that objects have in a backend: parts in `[a-z0-9._-]+` with `/` between them, none beginning with a dot.

Every backend checks them, so that a name can neither leave a folder nor hit a temporary file.
"""

from __future__ import annotations

import re

_PART = re.compile(r"[a-z0-9_-][a-z0-9._-]*")
_NAME = re.compile(rf"{_PART.pattern}(?:/{_PART.pattern})*")
_PREFIX = re.compile(rf"(?:{_PART.pattern}/)*(?:{_PART.pattern})?")


def is_part(part: str) -> bool:
    """Whether this may stand between two slashes of a name."""
    return _PART.fullmatch(part) is not None


def check_name(name: str) -> str:
    """Return the name if it is one.

    Raises:
        ValueError: It is none.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"not an object's name: {name!r}")
    return name


def check_prefix(prefix: str) -> str:
    """Return the prefix if a name can begin with it; the empty one is the prefix of all names.

    Raises:
        ValueError: No name can begin like this.
    """
    if _PREFIX.fullmatch(prefix) is None:
        raise ValueError(f"not the beginning of an object's name: {prefix!r}")
    return prefix
