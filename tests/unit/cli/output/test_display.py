from __future__ import annotations

import pytest

from tallac.caps import ImmutableDirectory, LiteralFile
from tallac.cli.output.display import json_name, kind_of, show_duration, show_mode, show_size, show_time, table
from tallac.cli.output.stderr import show_name
from tallac.dag import Entry, Metadata


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain", "plain"),
        ("Grüße 中".encode(), "Grüße 中"),
        (b"a\nb\tc", r"a\nb\tc"),
        (b"\x1b[2J\x07\x7f", r"\x1b[2J\x07\x7f"),
        (b"\xff\xe9", r"\xff\xe9"),
        ("\x9b\u202e\u200b\ue000".encode(), r"\x9b\u202e\u200b\ue000"),
        ("a\udce9b", r"a\xe9b"),
    ],
)
def test_names_do_nothing_to_a_terminal(name: bytes | str, shown: str) -> None:
    """Control characters, invisible ones, those that turn text round, and bytes that are no text, are escaped."""
    assert show_name(name) == shown
    assert show_name(name).isprintable()


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (99_960, "100 kB"),
        (999_400, "999 kB"),
        (999_600, "1.00 MB"),
        (652_000_000, "652 MB"),
        (2 * 10**21, "2000 EB"),
    ],
)
def test_sizes(size: int, shown: str) -> None:
    """A size has about three digits, and never four before the point where there is a larger unit."""
    assert show_size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1:00 min"), (3599, "59:59 min"), (7261, "2:01:01")]
)
def test_durations(seconds: float, shown: str) -> None:
    """Long times are written in minutes and hours."""
    assert show_duration(seconds) == shown


def test_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time no calendar has is shown as a number, whatever its sign."""
    assert show_time(1_000_000_000)[:5] == "2001-"
    assert show_time(10**18) == f"@{10**18}"
    assert show_time(-(10**18)) == f"@{-(10**18)}"


def test_modes_and_kinds() -> None:
    """What is known of the mode is shown; without one, the cap tells files from directories."""
    directory = Entry.of(b"d", ImmutableDirectory(bytes(16), bytes(32), 1, 1, 9))
    assert (show_mode(directory), kind_of(directory)) == ("d?????????", "directory")
    plain = Entry.of(b"f", LiteralFile(b""))
    assert (show_mode(plain), kind_of(plain)) == ("-?????????", "regular")
    socket = Entry.of(b"s", LiteralFile(b""), Metadata(mode=0o140755))
    assert (show_mode(socket), kind_of(socket)) == ("srwxr-xr-x", "socket")


def test_json_names() -> None:
    """A name that is no text keeps its bytes beside what can be shown of it."""
    assert json_name("ü".encode()) == {"name": "ü"}
    assert json_name(b"a\xff", "path") == {"path": "a\ufffd", "path_hex": "61ff"}


def test_tables() -> None:
    """Columns are aligned, and lines end where their text ends."""
    assert table([("a", "1", ""), ("bbb", "22", "x")], right=(1,)) == ["a     1", "bbb  22  x"]
    assert table([]) == []
