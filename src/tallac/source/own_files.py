"""Which local files and folders are Tallac's own: its keys, configuration, state, and vaults.

A backup leaves them out, and a restore neither writes nor deletes in them. They are recognised wherever they are seen: by device
and inode, and where these don't tell, as through a FUSE mount, by what is in them. Numbers alone prove nothing either: one device
number may stand for several disks.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

import msgspec

from tallac.source.descriptors import DIRECTORY_FLAGS, open_regular
from tallac.source.entry import SourceEntry
from tallac.source.filesystem import REAL, FileSystem

_HEADER = b"header"
_CONFIGURATION = b"tallac.json"
_BESIDE = frozenset({b"lock", b"jobs.toml"})
_SOURCE_DATABASE = b"source.db"
OWN_MARKS = frozenset({_HEADER, _CONFIGURATION, _SOURCE_DATABASE})
"""A directory that has none of these names is nothing that `recognise` could tell."""

_HEADER_BEGINNING = b"tallac vault\n"
_HEADER_SIZE_MAX = 1 << 10
_CONFIGURATION_SIZE_MAX = 16 << 20
_PAGE_SIZE = 4096
_ATTEMPTS = 5


class OwnKind(Enum):
    """The kinds of things that are Tallac's own; the value says it to the user."""

    CONFIGURATION = "Tallac's configuration, which holds keys"
    STATE = "Tallac's state"
    KEY = "a key of a vault"
    VAULT = "a vault"


class OwnPlace(msgspec.Struct, frozen=True):
    """A file or folder that is Tallac's own.

    Attributes:
        path: Where the configuration says that it is.
        kind: What it is.
        vault: The identity of a vault; "" for anything else.
        is_target: Whether it is the vault that a backup goes into.
    """

    path: bytes
    kind: OwnKind
    vault: str = ""
    is_target: bool = False


class _Identity(NamedTuple):
    device: int
    inode: int


class OwnFiles:
    """A register of local files and folders that are Tallac's own.

    Attributes:
        places: What the configuration knows of.
        recognises: Whether keys, configuration and state are looked for at all.
        inodes: Their inodes. What has another one, and is no configuration by its name, is nothing that `find` could find.
        file_inodes: The inodes of single files among them. What is recorded of an unchanged directory depends on them.
    """

    def __init__(self, places: Iterable[OwnPlace] = (), *, includes_own: bool = False) -> None:
        """Look up where these places are now; one that is not there is nowhere.

        Args:
            places: What the configuration knows of.
            includes_own: The user wants Tallac's own backed up: only the vault that a backup goes into is left out.
        """
        self.places = tuple(place for place in places if place.is_target or not includes_own)
        self.recognises = not includes_own
        self._by_identity: dict[_Identity, OwnPlace] = {}
        self._ways: dict[_Identity, OwnPlace] = {}
        self._vaults = {place.vault: place for place in self.places if place.vault}
        files: set[int] = set()
        for place in self.places:
            try:
                status = os.stat(place.path)
            except OSError:
                continue
            self._by_identity.setdefault(_Identity(status.st_dev, status.st_ino), place)
            if stat.S_ISREG(status.st_mode):
                files.add(status.st_ino)
            for way in _links_on_the_way(place.path):
                self._ways.setdefault(way, place)
        self.file_inodes = tuple(sorted(files))
        self.inodes = frozenset(identity.inode for identity in self._by_identity)

    def seen_at(self, place: Callable[[bytes], bytes]) -> OwnFiles:
        """Return the same, which also knows these places where a path is really read, as in a snapshot of a file system."""
        elsewhere = [msgspec.structs.replace(each, path=place(os.path.realpath(each.path))) for each in self.places]
        return OwnFiles([*self.places, *elsewhere], includes_own=not self.recognises)

    def find(self, found: SourceEntry, directory: int, filesystem: FileSystem = REAL) -> OwnPlace | None:
        """Return the place that a name in an open directory leads to by its device and inode; None for what is not Tallac's own.

        A file that has a configuration's name, and is one, is Tallac's own wherever it lies.
        """
        place = self._by_identity.get(_Identity(found.device, found.inode)) if self._by_identity else None
        if place is not None and self._is_really(place, found, directory, filesystem):
            return place
        if self.recognises and found.is_regular and is_configuration_name(found.name):
            return OwnPlace(b"", OwnKind.CONFIGURATION) if _holds_configuration(directory, found.name, filesystem) else None
        return None

    def find_way(self, found: SourceEntry) -> OwnPlace | None:
        """Return the place that a symbolic link leads to, where the configuration's own path goes through it."""
        return self._ways.get(_Identity(found.device, found.inode)) if found.is_symlink else None

    def recognise(self, descriptor: int, filesystem: FileSystem = REAL) -> OwnPlace | None:
        """Return what an open directory is by what is in it: somebody's configuration or state, or one of the user's vaults."""
        return self._recognise(descriptor, filesystem, any_vault=False)

    def recognise_any(self, descriptor: int, filesystem: FileSystem = REAL) -> OwnPlace | None:
        """Do as `recognise`, for any vault, whoever it belongs to."""
        return self._recognise(descriptor, filesystem, any_vault=True)

    def find_at(self, name: bytes, directory: int, filesystem: FileSystem = REAL) -> OwnPlace | None:
        """Return what a name in an open directory is, or leads to, of Tallac's own or of any vault; None also where nothing is."""
        try:
            found = SourceEntry.of(name, filesystem.lstat(name, directory))
        except OSError:
            return None  # Whoever is to write there says what is wrong.
        place = self.find(found, directory, filesystem) or self.find_way(found)
        if place is not None or not found.is_directory:
            return place
        try:
            descriptor = filesystem.open(name, DIRECTORY_FLAGS, directory)
        except OSError:
            return None
        try:
            return self.recognise_any(descriptor, filesystem)
        finally:
            filesystem.close(descriptor)

    def find_above(self, path: bytes) -> OwnPlace | None:
        """Return the place that a local path is or lies in, as far as it is there; links are followed."""
        path = os.path.realpath(path)
        while True:
            place = self._place_at(path)
            if place is not None:
                return place
            above = os.path.dirname(path)
            if above == path:
                return None
            path = above

    def _place_at(self, path: bytes) -> OwnPlace | None:
        try:
            descriptor = os.open(path, DIRECTORY_FLAGS)
        except OSError:
            return self._by_path(path)
        try:
            return self._by_path(path) or self.recognise_any(descriptor)
        finally:
            os.close(descriptor)

    def _by_path(self, path: bytes) -> OwnPlace | None:
        try:
            status = os.stat(path)
        except OSError:
            return None
        place = self._by_identity.get(_Identity(status.st_dev, status.st_ino))
        if place is None or (place.vault and not _is_header_of(place.vault, _read_path(os.path.join(path, _HEADER)))):
            return None
        return place

    def _recognise(self, descriptor: int, filesystem: FileSystem, *, any_vault: bool) -> OwnPlace | None:
        if any_vault or self._vaults:
            header = _read(descriptor, _HEADER, _HEADER_SIZE_MAX, filesystem)
            if header.startswith(_HEADER_BEGINNING):
                known = next((place for identity, place in self._vaults.items() if _is_header_of(identity, header)), None)
                if known is not None or any_vault:
                    return known or OwnPlace(b"", OwnKind.VAULT)
        if not self.recognises:
            return None
        # Beside somebody's other settings, as in a folder of dotfiles, the file alone is Tallac's: see `find`.
        if _holds_configuration(descriptor, _CONFIGURATION, filesystem) and _has_nothing_else(descriptor, filesystem):
            return OwnPlace(b"", OwnKind.CONFIGURATION)
        page = _read(descriptor, _SOURCE_DATABASE, _PAGE_SIZE, filesystem)
        if page.startswith(b"SQLite format 3\0") and b"CREATE TABLE provisional" in page:
            return OwnPlace(b"", OwnKind.STATE)
        return None

    def _is_really(self, place: OwnPlace, found: SourceEntry, directory: int, filesystem: FileSystem) -> bool:
        if place.vault:
            try:
                descriptor = filesystem.open(found.name, DIRECTORY_FLAGS, directory)
            except OSError:
                return True  # What can't be looked into is not proved to be another's.
            try:
                return _is_header_of(place.vault, _read(descriptor, _HEADER, _HEADER_SIZE_MAX, filesystem)) or not _has(
                    descriptor, _HEADER, filesystem
                )
            finally:
                filesystem.close(descriptor)
        # Another one with the same numbers has other times. Its own may change between two looks.
        for _ in range(_ATTEMPTS):
            try:
                own, seen = os.stat(place.path), filesystem.lstat(found.name, directory)
            except OSError:
                return True
            if (own.st_mtime_ns, own.st_ctime_ns, own.st_mode) == (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_mode):
                return True
        return False


NOTHING_OWN = OwnFiles(includes_own=True)


def _links_on_the_way(path: bytes) -> Iterator[_Identity]:
    """Yield the symbolic links that a path goes through."""
    path = os.path.abspath(path)
    while True:
        try:
            status = os.lstat(path)
        except OSError:
            return
        if stat.S_ISLNK(status.st_mode):
            yield _Identity(status.st_dev, status.st_ino)
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _is_header_of(identity: str, header: bytes) -> bool:
    return header.startswith(_HEADER_BEGINNING) and b"\nid %b\n" % identity.encode() in header


def is_configuration_name(name: bytes) -> bool:
    """Whether a configuration, or what is kept of a former one, may have this name."""
    return name.startswith(_CONFIGURATION)


def _holds_configuration(directory: int, name: bytes, filesystem: FileSystem) -> bool:
    return _is_configuration(_read(directory, name, _CONFIGURATION_SIZE_MAX, filesystem))


def _has_nothing_else(directory: int, filesystem: FileSystem) -> bool:
    """Whether a folder has nothing but what Tallac makes in that of its configuration."""
    try:
        with filesystem.scandir(directory) as listing:
            names = [os.fsencode(entry.name) for entry in listing]
    except OSError:
        return True  # What can't be looked into is not proved to be anything else.
    return all(is_configuration_name(name) or name in _BESIDE or name.startswith(b".tmp-") for name in names)


def _is_configuration(text: bytes) -> bool:
    if not text:
        return False
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"format", "grids", "aliases"} <= content.keys()


def _has(directory: int, name: bytes, filesystem: FileSystem) -> bool:
    try:
        filesystem.lstat(name, directory)
    except OSError:
        return False
    return True


def _read(directory: int, name: bytes, size: int, filesystem: FileSystem) -> bytes:
    """Read the beginning of a regular file in an open directory; b"" where there is none, or it can't be read."""
    try:
        if not stat.S_ISREG(filesystem.lstat(name, directory).st_mode):
            return b""
        descriptor, _ = open_regular(directory, name, filesystem=filesystem)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, size, 0)
    except OSError:
        return b""
    finally:
        filesystem.close(descriptor)


def _read_path(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEADER_SIZE_MAX)
    except OSError:
        return b""
