"""Folders in memory, for what has to last no longer than a test.

Tests of a vault in memory open it as thousands of clients, each with a state folder. A client makes its state durable, which on a
disk takes half of such a test's time and proves nothing: no power fails here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
# Containers are often given 64 MB, which is too little for some tests.
FREE_MIN = 1 << 30


def memory() -> Path | None:
    """Return a file system in memory that has room and from which programs can be started; None where there is none."""
    if not os.access(MEMORY, os.W_OK) or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC or shutil.disk_usage(MEMORY).free < FREE_MIN:
        return None
    return MEMORY


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Make an empty folder, in memory where there is enough, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="tallac-test-", dir=memory()) as folder:
        yield Path(folder)
