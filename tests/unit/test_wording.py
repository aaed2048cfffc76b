import pytest

from tallac.wording import pluralize


@pytest.mark.parametrize(
    ("count", "noun", "expected"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (2, "file", "2 files"),
        (1, "directory", "1 directory"),
        (999, "file", "999 files"),
        (1000, "directory", "1,000 directories"),
        (1_234_567, "path", "1,234,567 paths"),
    ],
)
def test_numbers_of_things(count: int, noun: str, expected: str) -> None:
    """One of a thing is written without the plural's ending, any other number with it, and thousands are grouped."""
    assert pluralize(count, noun) == expected
