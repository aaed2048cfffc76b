from __future__ import annotations

import os

import pytest

from tallac.app.locations.grid_path import AliasName, CapSource, CapText, WrittenPlace, check_alias_name, is_remote, parse_place
from tallac.errors import AliasError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("home:", WrittenPlace(AliasName("home"), ())),
        ("home:a/b", WrittenPlace(AliasName("home"), (b"a", b"b"))),
        ("home:/a//b/", WrittenPlace(AliasName("home"), (b"a", b"b"))),
        ("home:a:b", WrittenPlace(AliasName("home"), (b"a:b",))),
        ("", WrittenPlace(AliasName("tallac"), ())),
        ("a/b", WrittenPlace(AliasName("tallac"), (b"a", b"b"))),
        ("a/b:c", WrittenPlace(AliasName("tallac"), (b"a", b"b:c"))),
        ("URI:DIR2-CHK:k:h:1:1:9", WrittenPlace(CapText("URI:DIR2-CHK:k:h:1:1:9"), ())),
        ("URI:DIR2-CHK:k:h:1:1:9/a/b", WrittenPlace(CapText("URI:DIR2-CHK:k:h:1:1:9"), (b"a", b"b"))),
        ("URI:DIR2:k:h:./a/b", WrittenPlace(CapText("URI:DIR2:k:h"), (b"a", b"b"))),
        ("ro.URI:X:y/a", WrittenPlace(CapText("ro.URI:X:y"), (b"a",))),
        ("@cap.txt", WrittenPlace(CapSource("cap.txt"), ())),
        ("@dir/cap.txt:a/b", WrittenPlace(CapSource("dir/cap.txt"), (b"a", b"b"))),
        ("@-:a", WrittenPlace(CapSource("-"), (b"a",))),
        (os.fsdecode(b"home:\xff/\n"), WrittenPlace(AliasName("home"), (b"\xff", b"\n"))),
    ],
)
def test_forms_of_places(text: str, expected: WrittenPlace) -> None:
    """Every form of a place is read as Tahoe-LAFS reads it, with names as bytes."""
    assert parse_place(text) == expected


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
    assert "secret" not in repr(parse_place("URI:DIR2:secret:secret/a"))


@pytest.mark.parametrize("name", ["home", "home:", "Üb-1", "a.b"])
def test_alias_names(name: str) -> None:
    """A name may end in the colon that it is used with."""
    assert check_alias_name(name) == name.removesuffix(":")


@pytest.mark.parametrize("name", ["", ":", "a:b", "a/b", "a b", "@a", "-a", "URI", "a\nb", "x" * 101])
def test_names_that_are_none(name: str) -> None:
    """What could not be written before a colon is refused."""
    with pytest.raises(AliasError):
        check_alias_name(name)
