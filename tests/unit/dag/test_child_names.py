from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from tallac.dag.child_names import STAND_IN_PREFIX, grid_name, local_name

names = st.one_of(
    st.binary(min_size=1, max_size=255),
    st.text(min_size=1, max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(min_size=1, max_size=30).map(lambda rest: STAND_IN_PREFIX.encode() + rest),
)


@given(name=names)
def test_every_name_comes_back(name: bytes) -> None:
    """Whatever bytes a name has, its name on a grid leads back to it, and is composed Unicode."""
    text = grid_name(name)
    assert local_name(text) == name
    assert unicodedata.normalize("NFC", text) == text
    text.encode()


@given(one=names, other=names)
def test_no_two_names_meet(one: bytes, other: bytes) -> None:
    """Two names are two names on the grid as well."""
    assert (grid_name(one) == grid_name(other)) == (one == other)


@given(text=st.text(min_size=1, max_size=60).map(lambda text: unicodedata.normalize("NFC", text)))
def test_names_of_others_are_taken_as_they_are(text: str) -> None:
    """A child's name that is no stand-in of Tallac's is its name."""
    if grid_name(local_name(text)) != text:
        assert text.startswith(STAND_IN_PREFIX)
        assert local_name(text) == text.encode()


@pytest.mark.parametrize("name", [b"plain", "\u00fc".encode(), b"with space", b"new\nline", b".hidden", b"%41"])
def test_names_that_a_grid_can_hold_stay(name: bytes) -> None:
    """Nothing is replaced that need not be."""
    assert grid_name(name) == name.decode()
