"""Check what hangs below a cap: with a read cap by its contents, with a verify cap by its links."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tallac.caps import (
    Cap,
    ImmutableDirectory,
    ImmutableFile,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableDirectoryVerify,
    MutableDirectoryWrite,
    MutableFileRead,
    MutableFileWrite,
    VerifyCap,
    storage_index_of,
)
from tallac.dag import Entry
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CheckProgress, CheckReport, Finding
from tallac.vault.format.keys import LocatorKey
from tallac.vault.format.links import SMALL_SIZE_MAX, Link, LinkKind, decode_links, link_of
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import object_name_of
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.seen_objects import SeenObjects
from tallac.vault.mutable.slot_contents import content_of
from tallac.vault.mutable.slots import Slots
from tallac.vault.reading.files import chunks_from
from tallac.vault.reading.object_reader import ObjectReader


class _Level(msgspec.Struct):
    """A part of a directory that is being checked.

    Attributes:
        path: The path of the directory.
        below: What it leads to and is still to be checked.
        name: The object that is known to be whole with all below it, once that is checked without a finding; None for a slot.
        found_before: How many findings there were before.
    """

    path: bytes
    below: Iterator[Entry | NodeRef]
    name: bytes | None
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
        damaged_packs: frozenset[bytes] = frozenset(),
    ) -> None:
        """Prepare a check over a fresh index. What lies in packs that are known to be damaged is read in any case."""
        self._reader = reader
        self._slots = slots
        self._naming = locator.naming
        self._read_data = read_data
        self._damaged_packs = damaged_packs
        self._progress = progress
        self._seen = SeenObjects(index)
        self._slots_seen: set[bytes] = set()
        self._found_damaged: set[bytes] = set()
        self.report = CheckReport()

    def check(self, cap: Cap) -> None:
        """Check everything below a cap of any kind.

        Raises:
            AuthorityError: The cap was issued by another grid.
        """
        if isinstance(cap, MutableDirectoryWrite | MutableFileWrite):
            cap = cap.read_cap
        if isinstance(cap, VerifyCap):
            self._check_link(link_of(cap))
        elif isinstance(cap, MutableDirectoryRead | ImmutableDirectory | LiteralDirectory):
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
        while levels:
            level = levels[-1]
            each = next(level.below, None)
            if each is None:
                levels.pop()
                if level.name is not None and len(self.report.findings) == level.found_before:
                    self._seen.add(level.name)
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
        name = object_name_of(self._naming, storage_index_of(root.key))
        if name in self._seen:
            return None
        found_before = len(self.report.findings)
        try:
            below = self._reader.read_table(root)
        except DamageError as error:
            self._find(path, error, name)
            return None
        self._count_object()
        # What is in the directory comes before its further tables.
        return _Level(path, iter(sorted(below, key=_is_table)), name, found_before)

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
        name = object_name_of(self._naming, storage_index_of(root.key))
        if name in self._seen:
            return
        is_whole = True
        try:
            for _, chunk in chunks_from(self._reader, root, 0):
                if not chunk.is_hole:
                    is_whole &= self._check_chunk(path, chunk)
        except DamageError as error:
            self._find(path, error, name)
            return
        if is_whole:
            if cap.size > SMALL_SIZE_MAX:
                self._count_object()
            self._seen.add(name)

    def _check_mutable_file(self, path: bytes, cap: MutableFileRead) -> None:
        try:
            content = content_of(self._slots, cap)
        except DamageError as error:
            self._find(path, error)
        else:
            if isinstance(content, ImmutableFile | LiteralFile):
                self._check_file(path, content)

    def _check_chunk(self, path: bytes, chunk: NodeRef) -> bool:
        """Check one chunk of a file, and return whether it is whole; damage becomes a finding."""
        name = object_name_of(self._naming, storage_index_of(chunk.key))
        if name in self._seen:
            return True
        try:
            if self._is_to_be_read(name):
                self._reader.read_chunk(chunk.key, chunk.hash, chunk.size)
        except DamageError as error:
            self._find(path, error, name)
            return False
        self._count_object()
        self._seen.add(name)
        return True

    def _check_link(self, top: Link) -> None:
        """Check what hangs below a verify cap, in no particular order; no path is known."""
        waiting = [top]
        while waiting:
            link = waiting.pop()
            if link.storage_index in self._found_damaged:
                continue
            try:
                waiting += self._links_below(link)
            except DamageError as error:
                self._found_damaged.add(link.storage_index)
                is_slot = link.kind is LinkKind.SLOT
                self._find(None, error, None if is_slot else object_name_of(self._naming, link.storage_index))

    def _links_below(self, link: Link) -> list[Link]:
        if link.kind is LinkKind.SLOT:
            if link.storage_index in self._slots_seen:
                return []
            self._slots_seen.add(link.storage_index)
            self.report.directories += 1
            cap = MutableDirectoryVerify(link.storage_index, link.hash)
            return list(decode_links(self._slots.links(cap, self._slots.read(cap))))
        name = object_name_of(self._naming, link.storage_index)
        if name in self._seen:
            return []
        below = self._reader.read_links(link)
        if self._is_to_be_read(name):
            self._reader.require_whole(name)
        self._seen.add(name)
        self.report.directories += link.kind is LinkKind.DIRECTORY
        self._count_object()
        return below

    def _is_to_be_read(self, name: bytes) -> bool:
        """Whether more is asked than that an object is there, which is looked up.

        Raises:
            MissingObjectError: It is not there.
        """
        return self._read_data or self._reader.locate(name).pack in self._damaged_packs

    def _count_object(self) -> None:
        self.report.objects += 1
        self.report.bytes_read = self._reader.bytes_read

    def _find(self, path: bytes | None, error: DamageError, name: bytes | None = None) -> None:
        stored = "" if name is None else name.hex()
        message = str(error)
        if path is not None and stored and stored[:12] not in message:
            message = f"object {stored[:12]}: {message}"
        self.report.findings.append(Finding(path, message, stored=stored))


def _is_table(below: Entry | NodeRef) -> bool:
    return isinstance(below, NodeRef)
