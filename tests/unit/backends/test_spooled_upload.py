"""What waits on this machine to be uploaded comes back whole, in steps, and as often as it is asked for."""

from __future__ import annotations

import io

import pytest

from tallac.backends.spooled_upload import spooled_parts
from tallac.errors import StoreError


def test_parts_come_again_from_the_beginning() -> None:
    """A second try reads the file from its beginning as the first one did, in steps of the size that was asked for."""
    file = io.BytesIO(b"0123456789")
    for _ in range(2):
        assert list(spooled_parts(file, 10, 4)) == [b"0123", b"4567", b"89"]


def test_lost_bytes_are_an_error() -> None:
    """A file that has become shorter is not taken for the whole."""
    with pytest.raises(StoreError, match="lost bytes"):
        list(spooled_parts(io.BytesIO(b"012345678"), 10))
