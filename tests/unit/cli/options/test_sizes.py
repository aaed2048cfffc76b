from __future__ import annotations

import pytest

from tallac.cli.options.sizes import parse_size_limit
from tallac.errors import UsageError


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        ("+10M", 10_000_000, 9_999_999),
        ("-1k", 1000, 1001),
        ("123", 123, 124),
        ("+1Ki", 1024, 1023),
        ("+1.5kB", 1500, 1499),
        ("0", 0, 1),
        ("-2GiB", 2 << 30, (2 << 30) + 1),
    ],
)
def test_sizes(text: str, holds: int, fails: int) -> None:
    """A sign says at least or at most; units are powers of 1000, with an i of 1024."""
    limit = parse_size_limit(text)
    assert limit.holds(holds)
    assert not limit.holds(fails)


@pytest.mark.parametrize("text", ["", "+", "10X", "1i", "ten", "--1", "1e3", "٣"])
def test_what_is_no_size(text: str) -> None:
    """What is no size is an error."""
    with pytest.raises(UsageError):
        parse_size_limit(text)
