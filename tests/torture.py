"""How long the long tests run: `make torture SCALE=10` makes them ten times as long."""

from __future__ import annotations

import os

SCALE = int(os.environ.get("TALLAC_TORTURE", "1"))


def scaled(count: int) -> int:
    """Give how often something is tried in a long run."""
    return count * SCALE
