from __future__ import annotations

import pytest

from tallac.dag import display_path, join_components, join_path


@pytest.mark.parametrize(
    ("directory", "name", "path"), [(b"", b"a", b"a"), (b"/", b"a", b"/a"), (b"a", b"b", b"a/b"), (b"/a", b"b", b"/a/b")]
)
def test_a_name_in_a_directory(directory: bytes, name: bytes, path: bytes) -> None:
    """Neither the root of relative paths nor that of absolute ones gets a slash too many."""
    assert join_path(directory, name) == path


def test_components_become_a_path() -> None:
    """With a name behind them or without."""
    assert join_components(()) == b""
    assert join_components((), b"a") == b"a"
    assert join_components((b"a", b"b"), b"c") == b"a/b/c"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"a b", "a b"),
        ("gr\u00fcn".encode(), "gr\u00fcn"),
        (b"a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        (b"\xff/\xc3", "\\xff/\\xc3"),
        ("\u2028\u202e".encode(), "\\u2028\\u202e"),
    ],
)
def test_a_path_is_shown_on_one_line(path: bytes, text: str) -> None:
    """What acts on a terminal, or is no UTF-8, is escaped."""
    assert display_path(path) == text
