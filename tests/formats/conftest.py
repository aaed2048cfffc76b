from __future__ import annotations

import pytest
from tests.formats.second_sample import Made, make_sample


@pytest.fixture(scope="module")
def original() -> Made:
    """Make a vault with one object of each kind and all that a vault may hold."""
    return make_sample()


@pytest.fixture
def made(original: Made) -> Made:
    """Give that vault to a test that may change it."""
    return original.copied()
