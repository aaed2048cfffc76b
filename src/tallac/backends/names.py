"""The names that objects have in a backend: parts in `[a-z0-9._-]+` with `/` between them, none beginning with a dot.

Every backend checks them, so that a name can neither leave a folder nor hit a temporary file.
"""

from __future__ import annotations

import os
import re
import time

PROBE_FOLDER = "probe"
"""The objects that try out a store are below this name, and are removed at its end, as far as that is allowed."""

PROBE_AGE_SECONDS = 24 * 3600
"""From this age on nobody is trying out anything any more."""

_PROBE = re.compile(rf"{PROBE_FOLDER}/([0-9a-f]{{8}})[0-9a-f]{{8}}(?:/.*)?")
_PART = re.compile(r"[a-z0-9_-][a-z0-9._-]*")
_NAME = re.compile(rf"{_PART.pattern}(?:/{_PART.pattern})*")
_PREFIX = re.compile(rf"(?:{_PART.pattern}/)*(?:{_PART.pattern})?")


def new_probe_name() -> str:
    """Return a name below which something is tried out, by nobody else; it tells since when."""
    return f"{PROBE_FOLDER}/{int(time.time()):08x}{os.urandom(4).hex()}"


def is_of_probe(name: str) -> bool:
    """Whether an object was stored to try out a store, and is nobody's data."""
    return _PROBE.fullmatch(name) is not None


def is_left_by_probe(name: str) -> bool:
    """Whether an object was stored to try out a store by somebody who must have been killed since."""
    found = _PROBE.fullmatch(name)
    return found is not None and time.time() - int(found[1], 16) > PROBE_AGE_SECONDS


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
