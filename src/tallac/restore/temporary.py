"""Names for what is not whole yet. A killed restore leaves them behind; the next one in the same place removes them."""

from __future__ import annotations

import re
import secrets

_TEMPORARY = re.compile(rb"\.tallac-restore-[0-9a-f]{32}\.part\Z")


def temporary_name() -> bytes:
    """Make a name that nothing has."""
    return b".tallac-restore-%b.part" % secrets.token_hex(16).encode("ascii")


def is_temporary(name: bytes) -> bool:
    """Whether a name is such a one."""
    return _TEMPORARY.match(name) is not None
