"""The proof that a name which a stored directory has not was gone when it was backed up: nothing else is deleted."""

from __future__ import annotations

from collections.abc import Collection

from tallac.caps import FileReadCap
from tallac.dag import Entry, Metadata, SnapshotRules
from tallac.errors import CapError, DamageError
from tallac.interfaces import Directory, FileReader
from tallac.source.entry import SourceEntry
from tallac.source.scope import Scope as SourceScope
from tallac.source.selection import DirectorySelection, Selection

_SOMEWHERE = 0


class Absence:
    """The knowledge of a snapshot about names that one of its directories has not.

    What could not be read, what the backup's rules leave out, and what lies beside the sources may have been there.

    Attributes:
        selection: The rules that hold in the directory, its own ignore file included once that was taken in.
        device: The file system that the directory is restored to; None where it is a source, and nobody has looked yet.
    """

    def __init__(self, rules: SnapshotRules, selection: DirectorySelection, metadata: Metadata, device: int | None) -> None:
        """Begin with the rules as they are kept, and as they hold in a directory with this metadata."""
        self._rules = rules
        self._missing: Collection[bytes] = frozenset(metadata.missing)
        self._is_known = not (metadata.partial or metadata.mounted or rules.is_cut)
        self._is_partial = metadata.partial
        self.selection = selection
        self.device = device

    @staticmethod
    def at_root(rules: SnapshotRules | None, metadata: Metadata) -> Absence:
        """Begin at the root of a snapshot, given its rules and its metadata."""
        rules = rules or SnapshotRules()
        scope = SourceScope() if metadata.partial else None
        return Absence(rules, Selection.of_rules(rules).at_root(b"", _SOMEWHERE, scope), metadata, None)

    def below(self, entry: Entry) -> Absence:
        """Go down into a stored directory."""
        metadata = entry.metadata
        selection = self.selection.below(entry.name, _SOMEWHERE, SourceScope() if metadata.partial else None)
        return Absence(self._rules, selection, metadata, None if self._is_partial else self.device)

    def entered(self, entry: Entry, grid: FileReader, stored: Directory) -> Absence:
        """Go down into a stored directory, and take in what its own files say."""
        there = self.below(entry)
        there.take_in(grid, stored)
        return there

    def take_in(self, grid: FileReader, stored: Directory) -> None:
        """Take in what the stored directory's own ignore file and markers say."""
        wanted = self.selection.root.names_wanted
        try:
            entries = {name: entry for name in wanted if (entry := stored.get(name)) is not None and not entry.is_directory}
            self.selection = self.selection.taking_in(
                entries, b"", lambda name, size: _read(grid, entries[name], size), lambda _name, _message: None
            )
        except (DamageError, CapError):
            self._is_known = False

    def is_on(self, device: int) -> bool:
        """Whether the directory, which is on this file system, is on the one that was backed up, where that makes a difference."""
        if self.device is None:
            self.device = device
        return not self._rules.one_file_system or device == self.device

    def proves_removed(self, found: SourceEntry) -> bool:
        """Return whether a local name that the stored directory has not was really gone: nothing would have left it out."""
        return self._is_known and found.name not in self._missing and not self.selection.excludes(found)


def _read(grid: FileReader, entry: Entry, size: int) -> bytes:
    (small,) = grid.read_small_files((entry.encoded,))
    if small is not None:
        return small[:size]
    cap = entry.cap
    if not isinstance(cap, FileReadCap):
        raise CapError("the cap leads to no file that can be read")
    with grid.open_file(cap) as reader:
        content = b""
        while len(content) < size and (more := reader.read(size - len(content))):
            content += more
        return content
