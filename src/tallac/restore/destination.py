"""The folder that is restored to: opened or made, and kept from passing its ACLs and flags on to what is restored."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tallac.dag import Metadata, display_path
from tallac.errors import DestinationError
from tallac.restore.files.metadata import DEFAULT_ACL, FLAGS_LINK_FORBIDDING
from tallac.restore.filesystem import DestinationSystem
from tallac.source import FLAGS_KEPT, SourceEntry, metadata_of, read_flags, read_xattrs

_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# Passing through a directory needs no right to list it.
_PASSAGE_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | _DIRECTORY
_FOLDER_FLAGS = os.O_RDONLY | _DIRECTORY


class Folder:
    """The open destination.

    Attributes:
        descriptor: The directory.
        is_new: It was made just now.
        inherits_acls, inherits_flags: What is made in it gets ACLs or inode flags from it.
    """

    def __init__(self, descriptor: int, system: DestinationSystem, *, is_new: bool) -> None:
        """Look at an open directory."""
        self.descriptor = descriptor
        self._system = system
        self.is_new = is_new
        # In place of what is restored without any metadata, the folder keeps its own: its time and owner have not been touched.
        self._original = msgspec.structs.replace(
            metadata_of(
                SourceEntry.of(b"", system.fstat(descriptor)),
                xattrs=tuple(pair for pair in read_xattrs(descriptor, filesystem=system) if pair[0] == DEFAULT_ACL),
                flags=read_flags(descriptor, filesystem=system),
            ),
            mtime=None,
            uid=None,
            gid=None,
            user=None,
            group=None,
        )
        self.inherits_acls = bool(self._original.xattrs)
        self.inherits_flags = bool(self._original.flags)
        self._is_changed = False

    def stop_inheritance(self) -> None:
        """Take the default ACL and those flags that children inherit off the folder, as far as this user may.

        Raises:
            OSError: The destination failed.
        """
        try:
            if self.inherits_acls:
                self._system.remove_xattr(self.descriptor, DEFAULT_ACL)
                self.inherits_acls, self._is_changed = False, True
            inherited = self._original.flags & FLAGS_KEPT & ~FLAGS_LINK_FORBIDDING
            if inherited:
                self._system.set_flags(self.descriptor, self._system.get_flags(self.descriptor) & ~inherited)
                self.inherits_flags, self._is_changed = False, True
        except OSError as error:
            # Somebody else's folder: what is made in it is freed of what it inherited, one by one.
            if error.errno not in {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP}:
                raise

    def final_metadata(self, wanted: Metadata) -> Metadata | None:
        """Return the metadata that the folder gets when all in it is done; None for none."""
        if wanted.mode is not None:
            return wanted
        if self.is_new:
            return Metadata()
        return self._original if self._is_changed else None

    def lies_above_home(self) -> bool:
        """Whether this is the user's home folder, or what that lies in.

        Raises:
            OSError: It can't be looked at.
        """
        own = self._system.fstat(self.descriptor)
        home = os.path.realpath(os.path.expanduser("~"))
        places = {home, "/"}
        while (above := os.path.dirname(home)) != home:
            places.add(above)
            home = above
        return any(os.path.samestat(own, os.stat(place)) for place in places if os.path.exists(place))

    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        with self._system.scandir(self.descriptor) as listing:
            return next(listing, None) is None


@contextmanager
def open_folder(path: bytes, *, must_be_empty: bool, system: DestinationSystem) -> Iterator[Folder]:
    """Open the destination, made where it is missing, for the length of the block.

    Raises:
        DestinationError: It can't be made or opened, is no directory, or is not empty.
    """
    with _opened(path, must_be_empty=must_be_empty, may_make=True, system=system) as folder:
        assert folder is not None
        yield folder


@contextmanager
def open_folder_if_there(path: bytes, *, must_be_empty: bool, system: DestinationSystem) -> Iterator[Folder | None]:
    """Open the destination for the length of the block; None where it is missing. Raises as `open_folder` does."""
    with _opened(path, must_be_empty=must_be_empty, may_make=False, system=system) as folder:
        yield folder


@contextmanager
def _opened(path: bytes, *, must_be_empty: bool, may_make: bool, system: DestinationSystem) -> Iterator[Folder | None]:
    try:
        descriptor, is_new = _open_or_make(path, system, may_make=may_make)
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not may_make:
            yield None
            return
        raise DestinationError(f"{display_path(path)}: can't be used as a folder: {_reason(error)}; choose another one") from error
    try:
        try:
            folder = Folder(descriptor, system, is_new=is_new)
            is_free = not must_be_empty or folder.is_empty()
        except OSError as error:
            raise DestinationError(f"{display_path(path)}: can't be read: {_reason(error)}; choose another folder") from error
        if not is_free:
            advice = "name a new or empty folder, or choose with --overwrite which existing files are replaced"
            raise DestinationError(f"{display_path(path)}: is not empty; {advice}")
        yield folder
    finally:
        system.close(descriptor)


def _open_or_make(path: bytes, system: DestinationSystem, *, may_make: bool) -> tuple[int, bool]:
    """Open a path of any length, one component at a time; say whether its last component was made; without `may_make` none is."""
    components = [component for component in path.split(b"/") if component]
    if not components and not path:
        raise ValueError("the name is empty")
    is_new = False
    descriptor = system.open(b"/" if path.startswith(b"/") else b".", _PASSAGE_FLAGS)
    for number, component in enumerate([*components, b"."]):
        is_last_name = number == len(components) - 1
        try:
            flags = _FOLDER_FLAGS if number == len(components) else _PASSAGE_FLAGS
            below, is_new_here = _step(component, flags, descriptor, 0o700 if is_last_name else 0o777, system, may_make)
        finally:
            system.close(descriptor)
        descriptor = below
        is_new = is_new_here if is_last_name else is_new
    return descriptor, is_new


def _step(component: bytes, flags: int, directory: int, mode: int, system: DestinationSystem, may_make: bool) -> tuple[int, bool]:
    try:
        return system.open(component, flags, directory), False
    except FileNotFoundError:
        if not may_make:
            raise
        system.make_directory(component, directory, mode)
        return system.open(component, flags, directory), True


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
