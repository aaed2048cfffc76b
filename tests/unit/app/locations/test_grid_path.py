from __future__ import annotations

import os

import pytest

from tallac.app.locations.grid_path import AliasName, CapSource, CapText, GridPath, check_alias_name, is_remote, parse_grid_path
from tallac.errors import AliasError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("home:", GridPath(AliasName("home"), ())),
        ("home:a/b", GridPath(AliasName("home"), (b"a", b"b"))),
        ("home:/a//b/", GridPath(AliasName("home"), (b"a", b"b"))),
        ("home:a:b", GridPath(AliasName("home"), (b"a:b",))),
        ("", GridPath(AliasName("tallac"), ())),
        ("a/b", GridPath(AliasName("tallac"), (b"a", b"b"))),
        ("a/b:c", GridPath(AliasName("tallac"), (b"a", b"b:c"))),
        ("URI:DIR2-CHK:k:h:1:1:9", GridPath(CapText("URI:DIR2-CHK:k:h:1:1:9"), ())),
        ("URI:DIR2-CHK:k:h:1:1:9/a/b", GridPath(CapText("URI:DIR2-CHK:k:h:1:1:9"), (b"a", b"b"))),
        ("URI:DIR2:k:h:./a/b", GridPath(CapText("URI:DIR2:k:h"), (b"a", b"b"))),
        ("ro.URI:X:y/a", GridPath(CapText("ro.URI:X:y"), (b"a",))),
        ("@cap.txt", GridPath(CapSource("cap.txt"), ())),
        ("@dir/cap.txt:a/b", GridPath(CapSource("dir/cap.txt"), (b"a", b"b"))),
        ("@-:a", GridPath(CapSource("-"), (b"a",))),
        (os.fsdecode(b"home:\xff/\n"), GridPath(AliasName("home"), (b"\xff", b"\n"))),
    ],
)
def test_forms_of_places(text: str, expected: GridPath) -> None:
    """Every form of a place is read as Tahoe-LAFS reads it, with names as bytes."""
    assert parse_grid_path(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("home:", True),
        ("home:a/b", True),
        ("URI:DIR2:k:h/a", True),
        ("@cap:a", True),
        ("a", False),
        ("./home:a", False),
        ("dir/a:b", False),
        ("/home:/a", False),
    ],
)
def test_what_is_on_a_grid(text: str, expected: bool) -> None:
    """A colon before the first slash says that a place is on a grid."""
    assert is_remote(text) is expected


def test_a_written_cap_is_no_repr() -> None:
    """A place with a cap in it does not show the cap."""
    assert "secret" not in repr(parse_grid_path("URI:DIR2:secret:secret/a"))


@pytest.mark.parametrize("name", ["home", "home:", "Üb-1", "a.b"])
def test_alias_names(name: str) -> None:
    """A name may end in the colon that it is used with."""
    assert check_alias_name(name) == name.removesuffix(":")


@pytest.mark.parametrize("name", ["", ":", "a:b", "a/b", "a b", "@a", "-a", "URI", "a\nb", "x" * 101])
def test_names_that_are_none(name: str) -> None:
    """What could not be written before a colon is refused."""
    with pytest.raises(AliasError):
        check_alias_name(name)
