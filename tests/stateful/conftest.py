from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.in_memory import folder_in_memory


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Make a folder in memory: what these tests store has to outlast no process."""
    with folder_in_memory() as folder:
        yield folder
