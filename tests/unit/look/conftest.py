from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_IFDIR, S_IFREG

import msgspec
import pytest

from tallac.dag import Entry, Metadata
from tallac.look.read_errors import ReadError
from tallac.testing.memory_grid import MemoryGrid

Tree = Mapping[str, "bytes | Entry | Tree"]
"""Names, each with a file's content, an entry whose name is of no account, or what is below a directory."""


@dataclass
class Shelf:
    """Directories on a grid in memory, and the trouble that a look has with them."""

    grid: MemoryGrid
    read_errors: list[ReadError] = field(default_factory=list)

    def file(self, content: bytes, **metadata: object) -> Entry:
        """Store a file and give its entry."""
        with self.grid.session() as session, session.writing() as writer:
            encoded = writer.put_small(content)
        known = Metadata(mode=S_IFREG | 0o644, uid=0, gid=0, mtime=(1_000, 0))
        return Entry(b"-", encoded, msgspec.structs.replace(known, **metadata))

    def directory(self, tree: Tree, name: bytes = b"-") -> Entry:
        """Store a directory and all below it, and give its entry."""
        entries = []
        for key, value in tree.items():
            child = key.encode("utf-8", "surrogateescape")
            if isinstance(value, Mapping):
                entries.append(self.directory(value, child))
            else:
                entry = value if isinstance(value, Entry) else self.file(value)
                entries.append(msgspec.structs.replace(entry, name=child))
        with self.grid.session() as session, session.writing() as writer:
            cap = writer.put_directory(sorted(entries, key=lambda entry: entry.name))
        return Entry.of(name, cap, Metadata(mode=S_IFDIR | 0o755, uid=0, gid=0, mtime=(2_000, 0)))

    def reads(self) -> int:
        """Count the directories that were read."""
        return self.grid.events.count("read_directory")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Give an empty one."""
    (tmp_path / "contents").mkdir()
    return Shelf(MemoryGrid(tmp_path / "contents"))
