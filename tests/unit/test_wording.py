import pytest

from tallac.wording import pluralize


@pytest.mark.parametrize(
    ("count", "noun", "expected"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (2, "file", "2 files"),
        (1, "directory", "1 directory"),
        (1000, "directory", "1000 directories"),
    ],
)
def test_numbers_of_things(count: int, noun: str, expected: str) -> None:
    """One of a thing is written without the plural's ending, any other number with it."""
    assert pluralize(count, noun) == expected


def test_large_numbers() -> None:
    """Thousands are divided where that is asked for."""
    assert pluralize(1_234_567, "path", with_commas=True) == "1,234,567 paths"
