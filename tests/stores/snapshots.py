"""What is asserted of the snapshots that commands have left in a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.command import Tallac


def assert_whole(tallac: Tallac, contents: Sequence[dict[str, bytes]], folder: Path) -> None:
    """Check the vault, and restore all snapshots below a folder: they have these files, from the oldest to the newest."""
    tallac("-q", "check", "--read-data", "tallac:")
    names = tallac("ls", "Archives").lines
    assert len(names) == len(contents)
    for name, content in zip(names, contents, strict=True):
        out = folder / name.decode()
        tallac("-q", "restore", f"tallac:Archives/{name.decode()}", out)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == content
