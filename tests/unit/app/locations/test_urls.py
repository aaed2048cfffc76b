from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tallac.app.locations.urls import folder_of_url, parse_location, show_location, url_of_folder
from tallac.errors import UsageError


def test_a_folder_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative folder means the one that it is now."""
    monkeypatch.chdir(tmp_path)
    assert parse_location("a/../b") == f"file://{tmp_path}/b"


@pytest.mark.parametrize("name", [b"plain", b"with space", b"100%", b"a#b?c", b"\xff\xfe", "ü".encode()])
def test_folders_survive_the_url(name: bytes) -> None:
    """Any folder's name comes back from its URL, byte for byte."""
    folder = Path(os.fsdecode(b"/media/" + name))
    url = url_of_folder(folder)
    assert url.isascii()
    assert folder_of_url(url) == folder
    assert folder_of_url(parse_location(url)) == folder
    assert show_location(url) == str(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://bucket", "ftp:// is not a supported location"),
        ("http://127.0.0.1:3456", "http:// is not a supported location"),
        ("file://host/x", "three slashes"),
        ("", "needs a folder"),
    ],
)
def test_what_is_no_location(text: str, words: str) -> None:
    """Other kinds of grid are refused, and the message names what works."""
    with pytest.raises(UsageError, match=words):
        parse_location(text)


@pytest.mark.parametrize(
    "place",
    [
        "nas:/v",
        "ann@nas:/v",
        "nas:v",
        "rclone:drive:x",
        "b2:bucket/x",
        "s3:eu.example.org/b",
        "sftp:ann@nas:/v",
        "D:\\v",
        r"\\nas\v",
    ],
)
def test_a_place_on_another_machine_is_no_folder(place: str) -> None:
    """What other programs take for a remote place is refused, unless it is written as a path of this machine."""
    with pytest.raises(UsageError, match=re.escape(f"./{place}")):
        parse_location(place)
    assert folder_of_url(parse_location(f"./{place}")) == Path.cwd() / place


@pytest.mark.parametrize(
    ("place", "url"), [("s3:bucket/b", "s3://"), ("azure:c/p", "az://"), ("sftp:ann@nas:/v", "sftp://"), ("ann@nas:/v", "sftp://")]
)
def test_what_is_written_with_a_colon_elsewhere_is_a_url_here(place: str, url: str) -> None:
    """Where Tallac can store in such a place, the message says how it is written."""
    with pytest.raises(UsageError, match=f"write it as a URL, as in {url}"):
        parse_location(place)
