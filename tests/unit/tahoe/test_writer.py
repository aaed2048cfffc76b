from __future__ import annotations

from typing import cast

import pytest

from tallac.caps import ImmutableFile
from tallac.tahoe import writer as writing
from tallac.tahoe.holding import Holding
from tallac.tahoe.reading import TahoeReader
from tallac.tahoe.writer import TahoeWriter
from tallac.webapi import WebClient


class _Node:
    """Takes files, and tells how many it was given."""

    def __init__(self) -> None:
        self.uploads = 0

    def put_file(self, content: bytes) -> str:
        self.uploads += 1
        return ImmutableFile(content[:16].rjust(16), bytes(32), 1, 1, len(content)).danger_whole_text()


class _Health:
    def saw(self, packed: bytes) -> None:
        """Take no notice."""


class _Holding:
    health = _Health()


def _writer(node: _Node) -> TahoeWriter:
    # Storing small files asks neither of these for more.
    return TahoeWriter(cast("WebClient", node), cast("TahoeReader", None), cast("Holding", _Holding()))


def test_a_copy_is_not_uploaded_again() -> None:
    """The second of two equal files has the cap of the first, and a file that differs has its own."""
    node = _Node()
    writer = _writer(node)
    one, two = b"1" * 100, b"2" * 100
    assert writer.put_small(one) == writer.put_small(bytearray(one)) != writer.put_small(two)
    assert (node.uploads, writer.bytes_stored) == (2, 200)


def test_a_writer_remembers_so_many_files_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored first is forgotten first; then its copy is uploaded once more, and comes out the same."""
    monkeypatch.setattr(writing, "REMEMBERED_MAX", 2)
    node = _Node()
    writer = _writer(node)
    first = [writer.put_small(digit * 100) for digit in (b"1", b"2", b"3")]
    assert writer.put_small(b"3" * 100) == first[2]
    assert node.uploads == 3
    assert writer.put_small(b"1" * 100) == first[0]
    assert node.uploads == 4
