"""Check what hangs below a read cap by its contents, and name what is damaged by its path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

import msgspec

from tallac.caps import (
    Cap,
    ImmutableDirectory,
    ImmutableFile,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableDirectoryWrite,
    MutableFileRead,
    MutableFileWrite,
    storage_index_of,
)
from tallac.dag import Entry
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CheckProgress, CheckReport, Finding
from tallac.vault.format.keys import LocatorKey
from tallac.vault.format.links import SMALL_SIZE_MAX
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import HASH_SIZE, object_name_of
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.seen_objects import SeenObjects
from tallac.vault.mutable.slot_contents import content_of
from tallac.vault.mutable.slots import Slots
from tallac.vault.reading.object_reader import ObjectReader

FINDINGS_MAX = 10_000
"""So many findings are named; a vault that is worse than that is to be repaired, or restored, whatever else is wrong."""


class _Level(msgspec.Struct):
    """A part of a directory that is being checked.

    Attributes:
        path: The path of the directory.
        below: What it leads to and is still to be checked.
        known: The object that is known to be whole with all below it, once that is checked without a finding, by its name and its
            stored hash; None for a slot.
        found_before: How many findings there were before.
    """

    path: bytes
    below: Iterator[Entry | NodeRef]
    known: tuple[bytes, bytes] | None
    found_before: int


class CapCheck:
    """One check. What is shared is looked at once, unless something below it is damaged: then each path is named."""

    def __init__(
        self,
        reader: ObjectReader,
        slots: Slots,
        index: VaultIndex,
        locator: LocatorKey,
        *,
        read_data: bool,
        progress: CheckProgress | None,
        wrong: Mapping[bytes, Collection[int]] = MappingProxyType({}),
        foreign_packs: Collection[bytes] | None = None,
    ) -> None:
        """Prepare a check over a fresh index.

        `wrong` has for some packs the offsets of copies that are known to be damaged. Where data are read, they are only of what
        lies in `foreign_packs`, if these are given.
        """
        self._foreign_packs = foreign_packs
        self._reader = reader
        self._slots = slots
        self._index = index
        self._naming = locator.naming
        self._read_data = read_data
        self._wrong = wrong
        self._progress = progress
        self._seen = SeenObjects(index)
        self._slots_seen: set[bytes] = set()
        self.damaged: set[tuple[bytes, bytes]] = set()
        """Name and stored hash of each chunk that could not be opened to what its cap promises."""
        self.right: set[tuple[bytes, bytes]] = set()
        """Those of them that another cap opens to what it promises."""
        self.report = CheckReport()

    def check(self, cap: Cap) -> None:
        """Check everything below a read cap or write cap.

        Raises:
            AuthorityError: The cap was issued by another grid.
        """
        if isinstance(cap, MutableDirectoryWrite | MutableFileWrite):
            cap = cap.read_cap
        if isinstance(cap, MutableDirectoryRead | ImmutableDirectory | LiteralDirectory):
            self._walk(self._open_directory(b"", cap))
        elif isinstance(cap, ImmutableFile | LiteralFile):
            self._check_file(b"", cap)
        elif isinstance(cap, MutableFileRead):
            self._check_mutable_file(b"", cap)
        else:
            raise AuthorityError(f"{cap} can't be checked in a vault: it belongs to another grid")

    def _walk(self, top: _Level | None) -> None:
        """Check all that is in a directory, without recursion: one may lie deeper than Python's stack."""
        levels = [] if top is None else [top]
        # Each path is named, and there may be more of them than anybody can walk: two names for one directory on each of 60 levels.
        while levels and len(self.report.findings) <= FINDINGS_MAX:
            level = levels[-1]
            each = next(level.below, None)
            if each is None:
                levels.pop()
                if level.known is not None and len(self.report.findings) == level.found_before:
                    self._seen.add(*level.known)
                continue
            below = self._open_tables(level.path, each) if isinstance(each, NodeRef) else self._check_entry(level.path, each)
            if below is not None:
                levels.append(below)

    def _open_directory(self, path: bytes, cap: MutableDirectoryRead | ImmutableDirectory | LiteralDirectory) -> _Level | None:
        """Check a directory's own objects, and return what is in it; None where that is nothing, is known, or can't be read."""
        self.report.directories += 1
        if isinstance(cap, LiteralDirectory):
            return None
        if isinstance(cap, ImmutableDirectory):
            return self._open_tables(path, NodeRef.root(cap))
        if cap.verify_cap.storage_index in self._slots_seen:
            return None
        self._slots_seen.add(cap.verify_cap.storage_index)
        try:
            entries, _ = self._slots.entries(cap)
        except DamageError as error:
            self._find(path, error)
            return None
        return _Level(path, iter(entries), None, 0)

    def _open_tables(self, path: bytes, root: NodeRef) -> _Level | None:
        """Check a table of a directory, and return what it leads to; None as above."""
        name, stored_hash = self._name_of(root), root.hash[:HASH_SIZE]
        if self._seen.has(name, stored_hash):
            return None
        found_before = len(self.report.findings)
        try:
            below = self._reader.read_table(root)
        except DamageError as error:
            self._find(path, error, name)
            return None
        self._count_object()
        # What is in the directory comes before its further tables.
        return _Level(path, iter(sorted(below, key=_is_table)), (name, stored_hash), found_before)

    def _check_entry(self, path: bytes, entry: Entry) -> _Level | None:
        """Check an entry of the directory at a path; return what is in it, if it is a directory."""
        below = path + b"/" + entry.name if path else entry.name
        try:
            cap = entry.cap
        except DamageError as error:
            self._find(below, error)
            return None
        if isinstance(cap, MutableDirectoryRead | ImmutableDirectory | LiteralDirectory):
            return self._open_directory(below, cap)
        if isinstance(cap, ImmutableFile | LiteralFile):
            self._check_file(below, cap)
        elif isinstance(cap, MutableFileRead):
            self._check_mutable_file(below, cap)
        else:
            self.report.findings.append(Finding(below, f"{cap} belongs to another grid and was not checked", damaged=False))
        return None

    def _check_file(self, path: bytes, cap: ImmutableFile | LiteralFile) -> None:
        self.report.files += 1
        if self._progress is not None:
            self._progress(self.report)
        if isinstance(cap, LiteralFile) or cap.total != 1:
            return
        root = NodeRef.root(cap)
        if cap.size <= SMALL_SIZE_MAX:
            self._check_chunk(path, root)
            return
        # Nodes that are whole with all below them are remembered on the way up: one node may be a child many times over.
        waiting: list[tuple[NodeRef, int | None]] = [(root, None)]
        while waiting and len(self.report.findings) <= FINDINGS_MAX:
            node, found_before = waiting.pop()
            name, stored_hash = self._name_of(node), node.hash[:HASH_SIZE]
            if found_before is not None:
                if len(self.report.findings) == found_before:
                    self._seen.add(name, stored_hash)
                continue
            if self._seen.has(name, stored_hash):
                continue
            waiting.append((node, len(self.report.findings)))
            try:
                level, children = self._reader.read_list(node)
            except DamageError as error:
                self._find(path, error, name)
                continue
            self._count_object()
            if level > 1:
                waiting += [(child, None) for child in reversed(children)]
            else:
                for chunk in children:
                    if not chunk.is_hole:
                        self._check_chunk(path, chunk)

    def _check_mutable_file(self, path: bytes, cap: MutableFileRead) -> None:
        try:
            content = content_of(self._slots, cap)
        except DamageError as error:
            self._find(path, error)
        else:
            if isinstance(content, ImmutableFile | LiteralFile):
                self._check_file(path, content)

    def _check_chunk(self, path: bytes, chunk: NodeRef) -> None:
        """Check one chunk of a file; damage becomes a finding."""
        name, stored_hash = self._name_of(chunk), chunk.hash[:HASH_SIZE]
        if self._seen.has(name, stored_hash):
            return
        was_damaged = (name, stored_hash) in self.damaged
        try:
            if self._is_to_be_read(name, stored_hash) or not self._has_copy(name, stored_hash):
                self._reader.read_chunk(chunk.key, chunk.hash, chunk.size)
        except DamageError as error:
            self.damaged.add((name, stored_hash))
            self._find(path, error, name)
            return
        if was_damaged:
            self.right.add((name, stored_hash))
        self._count_object()
        self._seen.add(name, stored_hash)

    def _is_to_be_read(self, name: bytes, stored_hash: bytes) -> bool:
        if not self._read_data or self._foreign_packs is None:
            return self._read_data
        return self._reader.locate(name, stored_hash).pack in self._foreign_packs

    def _name_of(self, node: NodeRef) -> bytes:
        return object_name_of(self._naming, storage_index_of(node.key))

    def _has_copy(self, name: bytes, stored_hash: bytes) -> bool:
        """Whether an object has a copy of which nothing bad is known.

        Raises:
            MissingObjectError: It has none at all.
        """
        location = self._reader.locate(name, stored_hash)
        if location.offset not in self._wrong.get(location.pack, ()):
            return True
        return any(
            other.hash == stored_hash and other.offset not in self._wrong.get(other.pack, ()) for other in self._index.present(name)
        )

    def _count_object(self) -> None:
        self.report.objects += 1
        self.report.bytes_read = self._reader.bytes_read

    def _find(self, path: bytes | None, error: DamageError, name: bytes | None = None) -> None:
        stored = "" if name is None else name.hex()
        message = str(error)
        if path is not None and stored and stored[:12] not in message:
            message = f"object {stored[:12]}: {message}"
        self.report.findings.append(Finding(path, message, stored=stored))


def limit_findings(report: CheckReport) -> None:
    """Keep the first findings, and say that there are more."""
    if len(report.findings) > FINDINGS_MAX:
        del report.findings[FINDINGS_MAX:]
        report.findings.append(Finding(None, f"and more like these: only the first {FINDINGS_MAX:,} are named"))


def _is_table(below: Entry | NodeRef) -> bool:
    return isinstance(below, NodeRef)
