from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tallac.caps import LiteralFile, UnknownCap
from tallac.dag.literal_table import decode_literal
from tallac.errors import CorruptObjectError, RequestError
from tallac.gateway.arguments import Arguments, Replace, parse_query
from tallac.gateway.children import parse_children
from tallac.gateway.file_requests import ByteRange, parse_range
from tallac.gateway.names import name_from_text, name_to_text, path_from_raw
from tallac.gateway.walking import bucket_of


@given(st.binary(min_size=1, max_size=50).filter(lambda name: b"\0" not in name))
def test_names_come_back(name: bytes) -> None:
    """Whatever bytes a name has, the text that stands for it leads back to it."""
    assert name_from_text(name_to_text(name)) == name


@given(st.text(min_size=1, max_size=50))
def test_every_text_is_one_name(text: str) -> None:
    """A text is refused or the name of one entry, which is shown as a text of that entry alone."""
    try:
        name = name_from_text(text)
    except RequestError:
        return
    assert name_from_text(name_to_text(name)) == name


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", []),
        (b"/uri", ["uri"]),
        (b"/uri/", ["uri"]),
        (b"/uri/a%2Fb/%C3%A4%0A", ["uri", "a/b", "ä\n"]),
        (b"/uri//a", None),
        (b"//", None),
        (b"/uri/%FF", None),
    ],
)
def test_paths(raw: bytes, path: list[str] | None) -> None:
    """A path is split before it is decoded; an empty part in it is refused."""
    if path is None:
        with pytest.raises(RequestError):
            path_from_raw(raw)
    else:
        assert path_from_raw(raw) == path


@pytest.mark.parametrize(
    ("text", "byte_range"),
    [
        (None, (0, 100, False)),
        ("bytes=0-0", (0, 1, True)),
        ("bytes=10-19", (10, 20, True)),
        ("bytes=10-19,30-", (10, 20, True)),
        ("bytes=90-1000", (90, 100, True)),
        ("bytes=-5", (95, 100, True)),
        ("bytes=-500", (0, 100, True)),
        ("bytes=-0", (0, 100, False)),
        ("bytes=100-", (0, 100, False)),
        ("bytes=5-1", (0, 100, False)),
        ("bytes=-", (0, 100, False)),
        ("bytes=1-2,x", (0, 100, False)),
        ("lines=1-2", (0, 100, False)),
        ("bytes=" + "9" * 30 + "-", (0, 100, False)),
    ],
)
def test_ranges(text: str | None, byte_range: tuple[int, int, bool]) -> None:
    """The first range is served; what makes no sense counts for nothing."""
    first, end, is_part = byte_range
    assert parse_range(text, 100) == ByteRange(first, end, is_part=is_part)


@pytest.mark.parametrize("text", ["bytes=100-110", "bytes=1000-1001"])
def test_ranges_behind_the_end(text: str) -> None:
    """A range that begins behind the end can't be served."""
    with pytest.raises(RequestError) as raised:
        parse_range(text, 100)
    assert raised.value.status == 416


def test_arguments() -> None:
    """The URL's arguments come before the form's, and the first of several counts."""
    arguments = Arguments(parse_query(b"t=json&t=uri&replace=Only-Files&a=%C3%A4+b&flag=off"), {"t": "form", "name": "n"})
    assert (arguments.operation, arguments.get("name"), arguments.get("a")) == ("json", "n", "ä b")
    assert arguments.replace() is Replace.ONLY_FILES
    assert not arguments.flag("flag", default=True)
    with pytest.raises(RequestError):
        arguments.flag("name")


@pytest.mark.parametrize(
    "body", [b"[]", b'{"a": 1}', b'{"a": ["filenode", {}]}', b'{"a": ["filenode", {"ro_uri": 1}]}', b"{", b"\xff"]
)
def test_children_that_are_none(body: bytes) -> None:
    """A body that is not the JSON of children is refused."""
    with pytest.raises(RequestError):
        parse_children(body)


def test_unknown_children_get_a_prefix() -> None:
    """An unknown read cap is kept as one that only reads; an unknown write cap needs a read cap beside it."""
    [child] = parse_children(b'{"a": ["unknown", {"ro_uri": "lafs://read", "rw_uri": "lafs://write"}]}')
    assert (child.read, child.write) == (UnknownCap("ro.lafs://read"), "lafs://write")
    with pytest.raises(RequestError, match="MustNotBeUnknownRWError"):
        parse_children(b'{"a": ["unknown", {"rw_uri": "lafs://write"}]}')


def test_literal_directories_are_read() -> None:
    """A directory that lies in its cap is read without a grid, and refused where it is malformed."""
    entry = b'1:a,12:URI:LIT:mfra,0:,14:{"mtime": 1.5},'
    table = b"%d:%s," % (len(entry), entry)
    [found] = decode_literal(table)
    assert (found.name, found.cap, found.metadata.mtime) == (b"a", LiteralFile(b"ab"), (1, 500_000_000))
    for damaged in (table[:-1], table + b"x", b"3:abc,", table.replace(b"1:a,", b"0:,"), b"9999999:"):
        with pytest.raises(CorruptObjectError):
            decode_literal(damaged)


@pytest.mark.parametrize(
    ("size", "bucket"),
    [
        (0, (0, 0)),
        (1, (1, 3)),
        (3, (1, 3)),
        (4, (4, 10)),
        (31, (11, 31)),
        (100, (32, 100)),
        (101, (101, 316)),
        (10**9, (316227767, 10**9)),
    ],
)
def test_buckets_of_the_histogram(size: int, bucket: tuple[int, int]) -> None:
    """Sizes are counted in two buckets for each power of ten."""
    assert bucket_of(size) == bucket
