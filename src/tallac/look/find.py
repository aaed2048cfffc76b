"""Search for paths in many snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tallac.dag import Entry
from tallac.interfaces import CapReader
from tallac.look.criteria import Criteria
from tallac.look.read_errors import OnReadError
from tallac.look.versions import Version, Versions, walk_versions


class FoundPath(msgspec.Struct, frozen=True):
    """A path that matches.

    Attributes:
        path: The path below the snapshots.
        versions: Its matching versions, in order of the first snapshot that has them.
    """

    path: bytes
    versions: Sequence[Version]


def find_versions(
    reader: CapReader, snapshots: Sequence[Entry], criteria: Criteria, report: OnReadError, *, path: Sequence[bytes] = ()
) -> Iterator[FoundPath]:
    """Iterate over all paths in some snapshots that match the criteria, sorted by path component, with their versions.

    A directory that several snapshots share at one path is read once. With a path, only this path and what is below it is searched.
    """
    for versions in walk_versions(reader, snapshots, report, path=path):
        if criteria.matches_path(versions.path):
            kept = tuple(version for version in versions.all if criteria.matches_entry(version.entry))
            if kept:
                yield FoundPath(versions.path, Versions(versions.path, kept).alike())
