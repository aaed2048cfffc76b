from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.on_disk import folder_on_disk


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Make a folder on a disk, where most users keep a vault in a folder."""
    with folder_on_disk() as folder:
        yield folder
