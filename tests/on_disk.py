"""Folders on a real disk, for tests of what a disk's file system does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def folder_on_disk() -> Iterator[Path]:
    """Make an empty folder where this machine has its temporary ones, and remove it at the end.

    Its name is none that the program gives its own: tests look for those.
    """
    with tempfile.TemporaryDirectory(prefix="on-disk-") as folder:
        yield Path(folder)
