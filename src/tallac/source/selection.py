"""The choice of what is backed up of a source, and what is left out.

A directory's signature tells whether it has changed; what is left out of it may change although the directory has not. So each
directory has a digest of all that its choice depends on beside its own listing: the user's rules, and the ignore files above it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
from blake3 import blake3
from msgspec.structs import replace

from tallac.dag import SnapshotRules
from tallac.errors import PatternError
from tallac.source.descriptors import open_regular
from tallac.source.entry import SourceEntry, unseen_entry
from tallac.source.filesystem import REAL, FileSystem, MountPoint
from tallac.source.listing import Scan
from tallac.source.patterns import Patterns
from tallac.source.scan import scan, scan_names
from tallac.source.scope import Scope

IGNORE_FILE = b".tallacignore"
IGNORE_FILE_SIZE_MAX = 1 << 20

VERSION_CONTROL_NAMES = (
    *("CVS", "RCS", "SCCS", ".git", ".gitignore", ".cvsignore", ".svn", ".arch-ids", "{arch}", "=RELEASE-ID", "=meta-update"),
    *("=update", ".bzr", ".bzrignore", ".bzrtags", ".hg", ".hgignore", "_darcs"),
)
"""Names that `tahoe backup --exclude-vcs` leaves out."""

# To be raised when the same patterns come to mean something else: a directory recorded under another tag is gone through again.
_TAG = b"tallac source selection 3\n"
_DIGEST_SIZE = 32

RULES_SIZE_MAX = 4096
"""A snapshot keeps the patterns that it was made with up to so many bytes: all snapshots of a target lie in one object."""

ReadBeginning = Callable[[bytes, int], bytes]
"""Reads so many bytes at the beginning of a file of the present directory; raises OSError."""


class MarkerFile(NamedTuple):
    """A file that says of its directory: leave out all but me.

    Attributes:
        name: The file's.
        header: What it has to begin with.
    """

    name: bytes
    header: bytes = b""


CACHE_MARKER = MarkerFile(b"CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55")
"""The Cache Directory Tagging Specification (https://bford.info/cachedir/)."""


class Selection(msgspec.Struct, frozen=True):
    """The user's rules. By default all is backed up that no `.tallacignore` leaves out.

    Attributes:
        patterns: Come before those of ignore files; a leading slash means the snapshot's root.
        ignore_file: The name of files whose patterns hold for their directory and what is below it; None for no such files.
        markers: Files that have their directory left out.
        size_max: Larger regular files are left out, in bytes.
        one_file_system: Whether what is mounted below a source is left out; its mount point stays as an empty directory.
    """

    patterns: Patterns = Patterns()
    ignore_file: bytes | None = IGNORE_FILE
    markers: tuple[MarkerFile, ...] = ()
    size_max: int | None = None
    one_file_system: bool = False

    @property
    def names_wanted(self) -> frozenset[bytes]:
        """The files that have a say in what is left out."""
        names = {marker.name for marker in self.markers}
        return frozenset(names if self.ignore_file is None else {*names, self.ignore_file})

    @property
    def rules(self) -> SnapshotRules | None:
        """The rules as a snapshot keeps them; None where they are those that any backup has."""
        patterns: list[tuple[bytes, bool]] = []
        size, is_cut = 0, False
        for line, ignores_case in self.patterns.wording:
            pattern = line.encode("utf-8", "surrogateescape")
            size += len(pattern)
            if size > RULES_SIZE_MAX:
                is_cut = True
                break
            patterns.append((pattern, ignores_case))
        rules = SnapshotRules(
            patterns=() if is_cut else tuple(patterns),
            ignore_file=self.ignore_file,
            markers=self.markers,
            size_max=self.size_max,
            one_file_system=self.one_file_system,
            is_cut=is_cut,
        )
        return None if rules == SnapshotRules() else rules

    @staticmethod
    def of_rules(rules: SnapshotRules) -> Selection:
        """Return the selection that a snapshot was made with. A line that nothing can match is passed over."""
        patterns = Patterns()
        for pattern, ignores_case in rules.patterns:
            line = pattern.decode("utf-8", "surrogateescape")
            patterns += Patterns.of((line,), ignores_case=ignores_case, on_bad=lambda _number, _error: None)
        return Selection(
            patterns=patterns,
            ignore_file=rules.ignore_file,
            markers=tuple(MarkerFile(*marker) for marker in rules.markers),
            size_max=rules.size_max,
            one_file_system=rules.one_file_system,
        )

    def at_root(self, path: bytes, device: int, scope: Scope | None = None, marks: tuple[int, ...] = ()) -> DirectorySelection:
        """Begin at what becomes the snapshot's root.

        Args:
            path: Its absolute path.
            device: The file system that it lies on.
            scope: Leads to the sources, where the root is none itself.
            marks: What else the choice depends on: inodes of files that are left out for another reason.
        """
        rules: tuple[object, ...] = (self.patterns.wording, self.markers, self.size_max, self.one_file_system)
        rules += (marks,) if marks else ()
        digest = _digest(b"", path, repr(rules).encode()) if any(rules) or self.size_max == 0 else b""
        hits: set[int] = set()
        levels = (_Level(self.patterns.at_source((), (), hits), ""),) if self.patterns else ()
        root = DirectorySelection(_Root(self, self.names_wanted, path, hits), digest, levels, scope=scope)
        return root if scope is not None else root.begun(device, "")


class _Root(NamedTuple):
    """The settings that all directories of one walk share."""

    selection: Selection
    names_wanted: frozenset[bytes]
    path: bytes
    hits: set[int]


class _Level(NamedTuple):
    """Patterns that hold in a directory, and how it is reached from the one that they belong to: "" or with a slash at the end."""

    patterns: Patterns
    prefix: str


class DirectorySelection(msgspec.Struct, frozen=True):
    """The rules that hold in one directory.

    Attributes:
        digest: Of what the choice depends on beside the directory's listing; b"" where nothing but that counts.
        levels: Patterns that hold here, those that decide first at the beginning.
        marker: The name of a file that has all others left out.
        device: What is elsewhere than here is on another file system; None where that makes no difference.
        is_hollow: Whether it is the mount point of another file system, and nothing in it is looked at.
        scope: Where the directory only leads to sources: which names do.
    """

    root: _Root
    digest: bytes
    levels: tuple[_Level, ...] = ()
    marker: bytes | None = None
    device: int | None = None
    is_hollow: bool = False
    scope: Scope | None = None

    @property
    def has_rules(self) -> bool:
        """Whether anything could be left out at all."""
        return bool(self.levels) or self.marker is not None or self.root.selection.size_max is not None

    def beneath(self, found: SourceEntry) -> DirectorySelection:
        """Go down into a subdirectory."""
        return self.below(found.name, found.device, None if self.scope is None else self.scope.below.get(found.name))

    def below(self, name: bytes, device: int, scope: Scope | None) -> DirectorySelection:
        """Go down into a subdirectory on a file system; `scope` leads on to sources, where the subdirectory is above them."""
        is_hollow = self.device is not None and device != self.device
        if not (self.levels or self.marker or is_hollow or self.scope):
            return self
        prefix_below = f"{_text(name)}/"
        levels = tuple(_Level(patterns, prefix + prefix_below) for patterns, prefix in self.levels)
        there = replace(self, levels=levels, marker=None, is_hollow=is_hollow, scope=scope)
        if self.scope is None or scope is not None:
            return there
        return there.begun(device, levels[0].prefix.rstrip("/") if levels else "")

    def scan(self, descriptor: int, filesystem: FileSystem = REAL, mounted: Collection[bytes] = ()) -> Scan:
        """List the directory as far as it is looked at; the names that something is mounted on wait. Raises as `scan` does."""
        if self.scope is not None:
            return scan_names(descriptor, self.scope.below, filesystem=filesystem)
        return scan(descriptor, filesystem=filesystem, later=mounted)

    def reading(
        self,
        listing: Scan,
        descriptor: int,
        path: bytes,
        notice: Callable[[bytes, str], None],
        filesystem: FileSystem = REAL,
        mounted: Mapping[bytes, MountPoint] | None = None,
    ) -> DirectorySelection:
        """Take in what the directory's own files say; then look at those names that wait and are wanted.

        Args:
            listing: The directory's.
            descriptor: The directory.
            path: Its absolute path.
            notice: Called with the name of a file that can't be used, and what follows from that.
            filesystem: The calls to use.
            mounted: What is mounted on names in it.
        """
        selection = self._reading(listing, descriptor, path, notice, filesystem)
        for name in tuple(listing.waiting):
            mount_point = None if mounted is None else mounted.get(name)
            if not (selection.excludes(unseen_entry(name)) or (mount_point is not None and selection.passes_by(mount_point))):
                listing.look_at(name, descriptor, filesystem)
        return selection

    def passes_by(self, mount_point: MountPoint) -> bool:
        """Whether nothing is asked about a mount point: it is another file system's, and its server might not answer."""
        return self.device is not None and mount_point.device != self.device and mount_point.is_served

    def _reading(
        self, listing: Scan, descriptor: int, path: bytes, notice: Callable[[bytes, str], None], filesystem: FileSystem
    ) -> DirectorySelection:
        found = {name for name, entry in listing.find(self.root.names_wanted).items() if entry.is_regular}
        if not found:
            return self
        return self.taking_in(found, path, lambda name, size: _read_beginning(descriptor, name, size, filesystem), notice)

    def taking_in(
        self, found: Collection[bytes], path: bytes, read: ReadBeginning, notice: Callable[[bytes, str], None]
    ) -> DirectorySelection:
        """Take in what a directory's own files say; of those with a say, it has the regular files `found`."""
        selection = self.root.selection
        for marker in selection.markers:
            if marker.name in found and _begins_with(marker, read, notice):
                return replace(self, digest=_digest(self.digest, b"marker", marker.name), levels=(), marker=marker.name)
        if selection.ignore_file is None or selection.ignore_file not in found:
            return self
        content = _read_ignore_file(selection.ignore_file, read, notice)

        def on_bad(number: int, error: PatternError) -> None:
            notice(IGNORE_FILE, f"line {number}: {error}; ignored")

        patterns = Patterns.of_file(content, on_bad=on_bad)
        # The user's own patterns stay in front; among ignore files the nearest comes first.
        own = 1 if selection.patterns else 0
        levels = (*self.levels[:own], _Level(patterns, ""), *self.levels[own:])
        return replace(self, digest=_digest(self.digest, b"ignore", path, content), levels=levels)

    @property
    def unmatched(self) -> list[str]:
        """The user's own patterns that have matched nothing so far, in any directory of the walk."""
        return [line for line in self.root.selection.patterns.unmatched(self.root.hits) if line not in VERSION_CONTROL_NAMES]

    def begun(self, device: int, path: str) -> DirectorySelection:
        """Return the rules for a source that begins here, on this file system, at a path below the snapshot's root.

        Anchored patterns are about the source, as if it were the only one; or about its absolute path.
        """
        levels = self.levels
        if levels:
            beneath = path.encode("utf-8", "surrogateescape")
            place = os.path.join(self.root.path, beneath) if beneath else self.root.path
            places, roots = {place: None, os.path.realpath(place): None}, ([b"/" + beneath] if beneath else [])
            own = self.root.selection.patterns.at_source(places, roots, self.root.hits)
            levels = (_Level(own, ""), *levels[1:])
        if not self.root.selection.one_file_system:
            return replace(self, levels=levels)
        return replace(self, digest=_digest(self.digest, b"device"), levels=levels, device=device)

    def sign(self, signature: bytes, unseen: Sequence[bytes] = ()) -> bytes:
        """Make a listing's signature one of the listing, of what is left out of it, and of names that were not looked at."""
        return _digest(self.digest, signature, *unseen) if self.digest or unseen else signature

    def excludes(self, found: SourceEntry) -> bool:
        """Whether an entry of the directory is left out."""
        if self.marker is not None:
            return found.name != self.marker
        size_max = self.root.selection.size_max
        if size_max is not None and found.is_regular and found.size > size_max:
            return True
        if not self.levels:
            return False
        name = _text(found.name)
        is_directory = found.is_directory
        for patterns, prefix in self.levels:
            decided = patterns.decide(prefix + name if patterns.wants_path else name, name, is_directory)
            if decided is not None:
                return decided
        return False


def _begins_with(marker: MarkerFile, read: ReadBeginning, notice: Callable[[bytes, str], None]) -> bool:
    if not marker.header:
        return True
    try:
        return read(marker.name, len(marker.header)) == marker.header
    except OSError as error:
        notice(marker.name, f"it can't be read ({error.strerror}); its directory is backed up")
        return False


def _read_ignore_file(name: bytes, read: ReadBeginning, notice: Callable[[bytes, str], None]) -> bytes:
    try:
        content = read(name, IGNORE_FILE_SIZE_MAX + 1)
    except OSError as error:
        notice(name, f"it can't be read ({error.strerror}); nothing is left out on its behalf")
        return b""
    if len(content) > IGNORE_FILE_SIZE_MAX:
        notice(name, "it is larger than 1 MiB; nothing is left out on its behalf")
        return b""
    return content


def _read_beginning(directory: int, name: bytes, size: int, filesystem: FileSystem) -> bytes:
    descriptor, _ = open_regular(directory, name, filesystem=filesystem)
    try:
        content = b""
        while len(content) < size and (more := os.pread(descriptor, size - len(content), len(content))):
            content += more
        return content
    finally:
        filesystem.close(descriptor)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _digest(above: bytes, *parts: bytes) -> bytes:
    return blake3(_TAG + msgspec.msgpack.encode((above, *parts))).digest(_DIGEST_SIZE)
