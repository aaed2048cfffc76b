"""What tests of the compiled functions share."""

from __future__ import annotations

import os

import pytest

from tallac.native import LIBRARY, VERSION, Library


@pytest.fixture
def compiled() -> Library:
    """Return the compiled functions."""
    loaded = Library.load(LIBRARY, VERSION)
    if loaded is None:
        if os.environ.get("CI"):
            pytest.fail("nothing is compiled: scripts/compile.sh does it, with a C compiler")
        pytest.skip("nothing is compiled here: there is no C compiler, or it is left out")
    return loaded
