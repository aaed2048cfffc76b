"""The walk over every node below a cap, once each, for manifests, statistics and deep checks. It blocks; run it in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

import msgspec

from tallac.caps import (
    ImmutableDirectory,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryVerify,
    MutableFileRead,
    MutableFileVerify,
    VerifyCap,
)
from tallac.errors import TallacError
from tallac.gateway.described import file_size_of
from tallac.gateway.edge_metadata import Json
from tallac.gateway.names import name_to_text
from tallac.gateway.nodes import Node, entries_of, node_of_entry
from tallac.interfaces import Grid
from tallac.look.digest_set import DigestSet, digest_of


class Visited(msgspec.Struct, frozen=True):
    """A node that a walk visited, and the names that lead to it; for a directory, also the number of its entries."""

    node: Node
    path: tuple[str, ...]
    entries: int | None = None


def walk_below(grid: Grid, root: Node) -> Iterator[Visited]:
    """Iterate over a directory and everything below it: in each, what is of an unknown kind, then files, then directories, by name.

    A node that is linked twice is visited once; literal files, which cost nothing, as often as they are linked. Raises as
    `tallac.interfaces.CapReader` does; the directory that can't be read is the last that was visited.
    """
    seen = DigestSet()
    if root.cap.verify_cap is not None:
        seen.add(_identity(root.cap.verify_cap))
    waiting: list[Visited] = [Visited(root, ())]
    while waiting:
        directory = waiting.pop()
        try:
            entries = entries_of(grid, directory.node.cap)
        except TallacError:
            yield Visited(directory.node, directory.path, 0)
            raise
        yield Visited(directory.node, directory.path, len(entries))
        files: list[Visited] = []
        below: list[Visited] = []
        for name, entry in sorted((name_to_text(entry.name), entry) for entry in entries):
            child = node_of_entry(entry, directory.node.cap)
            verify = child.cap.verify_cap
            if verify is not None and not seen.add(_identity(verify)):
                continue
            found = Visited(child, (*directory.path, name))
            if child.is_directory:
                below.append(found)
            elif child.is_file:
                files.append(found)
            else:
                yield found
        yield from files
        waiting += reversed(below)


def _identity(cap: VerifyCap) -> bytes:
    """Return a digest that tells a node from all others: a mutable one has a verify cap for each format of its caps."""
    text = cap.storage_index if isinstance(cap, MutableDirectoryVerify | MutableFileVerify) else cap.danger_whole_text().encode()
    return digest_of(text)


# What a node counts (`dirnode.DeepStats` of Tahoe-LAFS). `tallac.look.deep_stats` follows `tahoe stats`, whose list differs: it has
# the size of mutable files, which no node computes, and not the number of entries of the largest directory.
_COUNTS = (
    "count-immutable-files",
    "count-mutable-files",
    "count-literal-files",
    "count-files",
    "count-directories",
    "count-unknown",
    "size-immutable-files",
    "size-literal-files",
    "size-directories",
    "largest-directory",
    "largest-directory-children",
    "largest-immutable-file",
)


class DeepStats(msgspec.Struct):
    """Counts and sizes, in bytes, of the nodes that a walk visits."""

    counts: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    histogram: dict[tuple[int, int], int] = msgspec.field(default_factory=dict)

    def add(self, visited: Visited) -> None:
        """Count one node."""
        node = visited.node
        if node.is_directory:
            self._add_directory(node, visited.entries or 0)
        elif node.is_file:
            self._add_file(node)
        else:
            self.counts["count-unknown"] += 1

    def result(self) -> Json:
        """Return the counts as the JSON object that clients read."""
        rows = [[low, high, count] for (low, high), count in sorted(self.histogram.items())]
        return {"api-version": 1} | self.counts | {"size-files-histogram": rows}

    def _add_directory(self, node: Node, entries: int) -> None:
        self.counts["count-directories"] += 1
        size = node.cap.size if isinstance(node.cap, ImmutableDirectory | LiteralDirectory) else 0
        self.counts["size-directories"] += size
        self._raise("largest-directory", size)
        self._raise("largest-directory-children", entries)

    def _add_file(self, node: Node) -> None:
        self.counts["count-files"] += 1
        if isinstance(node.read_cap, MutableFileRead):
            self.counts["count-mutable-files"] += 1
            return
        size = file_size_of(node.cap) or 0
        bucket = bucket_of(size)
        self.histogram[bucket] = self.histogram.get(bucket, 0) + 1
        kind = "literal" if isinstance(node.cap, LiteralFile) else "immutable"
        self.counts[f"count-{kind}-files"] += 1
        self.counts[f"size-{kind}-files"] += size
        if kind == "immutable":
            self._raise("largest-immutable-file", size)

    def _raise(self, key: str, value: int) -> None:
        self.counts[key] = max(self.counts[key], value)


def bucket_of(size: int) -> tuple[int, int]:
    """Return the histogram bucket of a size in bytes: 0, 1 to 3, 4 to 10, 11 to 31 and so on, two to a power of ten."""
    if size == 0:
        return (0, 0)
    low, step = 1, 1
    while True:
        # The square root of ten to the step, rounded down: exact, whatever the size.
        high = isqrt(10**step)
        if size <= high:
            return (low, high)
        low, step = high + 1, step + 1
