from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.caps import ImmutableFile
from tallac.errors import StoreError
from tallac.tahoe import copies
from tallac.tahoe.holding import Holding
from tallac.tahoe.reading import TahoeReader
from tallac.tahoe.writer import TahoeWriter
from tallac.webapi import WebClient


class _Node:
    """Takes files, and tells how many it was given."""

    def __init__(self) -> None:
        self.uploads = 0
        self.error: Exception | None = None
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def put_file(self, content: bytes) -> str:
        self.uploads += 1
        self.entered.set()
        assert self.gate.wait(PATIENCE_SECONDS)
        if self.error is not None:
            raise self.error
        return ImmutableFile(content[:16].rjust(16), bytes(32), 1, 1, len(content)).danger_whole_text()


class _Health:
    def saw(self, encoded: bytes) -> None:
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
    """The oldest content is forgotten first; its copy is then uploaded again, and gets the same cap."""
    monkeypatch.setattr(copies, "REMEMBERED_MAX", 2)
    node = _Node()
    writer = _writer(node)
    first = [writer.put_small(digit * 100) for digit in (b"1", b"2", b"3")]
    assert writer.put_small(b"3" * 100) == first[2]
    assert node.uploads == 3
    assert writer.put_small(b"1" * 100) == first[0]
    assert node.uploads == 4


def test_a_copy_waits_for_the_first_and_fails_with_it() -> None:
    """While a content is being stored, another thread that brings it waits; after a failure it can be tried again."""
    node = _Node()
    writer = _writer(node)
    node.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        caps = [pool.submit(writer.put_small, b"1" * 100) for _ in range(4)]
        assert node.entered.wait(PATIENCE_SECONDS)
        node.gate.set()
        assert len({cap.result() for cap in caps}) == 1
    assert node.uploads == 1

    node.error = StoreError("lost")
    node.gate.clear()
    node.entered.clear()
    with ThreadPoolExecutor(2) as pool:
        failing = [pool.submit(writer.put_small, b"2" * 100) for _ in range(2)]
        assert node.entered.wait(PATIENCE_SECONDS)
        node.gate.set()
        for each in failing:
            with pytest.raises(StoreError, match="lost"):
                each.result()
    node.error = None
    assert writer.put_small(b"2" * 100)
