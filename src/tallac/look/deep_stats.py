"""Counts and sizes of everything below a cap, each file and directory once, under the names that Tahoe-LAFS uses."""

from __future__ import annotations

from collections.abc import Iterable

from tallac.caps import (
    Cap,
    DirectoryReadCap,
    FileReadCap,
    ImmutableDirectory,
    ImmutableFile,
    LiteralDirectory,
    LiteralFile,
    MutableFileRead,
)

DEEP_STATS = (
    "count-immutable-files",
    "count-mutable-files",
    "count-literal-files",
    "count-files",
    "count-directories",
    "count-unknown",
    "size-immutable-files",
    "size-mutable-files",
    "size-literal-files",
    "size-directories",
    "largest-directory",
    "largest-immutable-file",
)
"""The keys in the order in which they are shown."""


def deep_stats(caps: Iterable[Cap]) -> dict[str, int]:
    """Return counts and sizes in bytes of read caps. Caps of mutable files hold no size, which counts as 0."""
    counts = dict.fromkeys(DEEP_STATS, 0)
    for cap in caps:
        if isinstance(cap, DirectoryReadCap):
            size = cap.size if isinstance(cap, ImmutableDirectory | LiteralDirectory) else 0
            counts["count-directories"] += 1
            counts["size-directories"] += size
            counts["largest-directory"] = max(counts["largest-directory"], size)
        elif isinstance(cap, FileReadCap):
            _add_file(counts, cap)
        else:
            counts["count-unknown"] += 1
    return counts


def _add_file(counts: dict[str, int], cap: FileReadCap) -> None:
    counts["count-files"] += 1
    if isinstance(cap, MutableFileRead):
        counts["count-mutable-files"] += 1
    elif isinstance(cap, LiteralFile):
        counts["count-literal-files"] += 1
        counts["size-literal-files"] += cap.size
    elif isinstance(cap, ImmutableFile):
        counts["count-immutable-files"] += 1
        counts["size-immutable-files"] += cap.size
        counts["largest-immutable-file"] = max(counts["largest-immutable-file"], cap.size)
