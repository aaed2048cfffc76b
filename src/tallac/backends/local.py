"""A backend over a local folder: the object `a/b` is the file `a/b` in it.

What makes a put durable and whole: the bytes go to a temporary file, which is synced before it gets the object's name, and the
folder that holds the name is synced after. Names that begin with a dot are never objects. Folders have mode 0700 and files
0600 from creation on.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tallac.backends.descriptors import DescriptorCache
from tallac.backends.names import check_name, check_prefix, is_part
from tallac.backends.os_errors import printable, store_errors
from tallac.backends.temporary import Leftover, TemporaryFile, find_leftovers, remove_leftovers
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConflictError, ObjectNotFoundError, StoreError
from tallac.file_calls import READ_FLAGS, REAL, FileCalls
from tallac.interfaces import Buffer, Expect, Item, Version

# FAT and some network file systems have no second names for a file.
_NO_LINKS_HERE = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


class LocalBackend:
    """The `Backend` protocol over a folder that exists; see `create`. Can be pickled: the copy opens the same folder.

    A version is the BLAKE3 of the object's bytes.
    """

    def __init__(self, folder: Path, *, files: FileCalls = REAL) -> None:
        """Use a folder. Nothing is read or written yet."""
        self._folder = os.path.abspath(folder)
        self._place = printable(self._folder)
        self._files = files
        self._cache = DescriptorCache(files)
        self._durable_folders = {self._folder}
        self._has_removed_leftovers = False

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self._folder, self._files)

    def create(self) -> None:
        """Create the folder with those above it, durably. One that exists is no error.

        No other method does this: a folder that has vanished is more likely on a disk that is not attached.

        Raises:
            StoreError: It can't be created.
        """
        with self._errors(writing=True):
            missing: list[str] = []
            folder = self._folder
            while not self._exists(folder):
                missing.append(folder)
                folder = os.path.dirname(folder)
            for folder in reversed(missing):
                self._make_folder(folder)

    def location(self) -> str:
        return self._place

    def room(self) -> int:
        with self._errors(writing=False):
            return self._files.room(self._folder)

    # Writing

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        path = self._path(name)
        with self._errors(writing=True):
            self._make_folders(os.path.dirname(path))
            file = self._begin()
            try:
                file.write(data)
                file.sync()
                if expect is not Expect.ABSENT:
                    self._replace(file, path, name, expect)
                elif not self._add(file, path):
                    raise self._conflict(name)
                file.remove()
            finally:
                file.discard()
        return hash_file_bytes(data)

    def upload(self) -> LocalUpload:
        """See `Backend`."""
        with self._errors(writing=True):
            self._require_folder()
            return LocalUpload(self, self._begin())

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        path = self._path(name)
        folder = os.path.dirname(path)
        with self._errors(writing=True):
            self._require_folder()
            if not self._exists(folder):
                return
            with self._locked(folder):
                if self._exists(path):
                    if expect is not None and self._version(path) != expect:
                        raise self._conflict(name)
                    self._files.unlink(path)
                    self._cache.drop(path)
                # Also where it was absent: whoever removed it may not have come to this line.
                self._files.sync_folder(folder)

    def leftovers(self) -> list[Leftover]:
        """List what killed runs left: files in the making whose writers are dead.

        Raises:
            StoreError: The folder can't be read.
        """
        with self._errors(writing=False):
            self._require_folder()
            return find_leftovers(self._folder, self._files)

    def _begin(self) -> TemporaryFile:
        """Begin a file; what killed runs left of theirs is removed first, since it may be what fills the disk."""
        if not self._has_removed_leftovers:
            remove_leftovers(self._folder, self._files)
            self._has_removed_leftovers = True
        return TemporaryFile(self._folder, self._files)

    def add_file(self, file: TemporaryFile, name: str) -> None:
        """Link a finished temporary file to an object's name, durably; an object of that name is kept as it is.

        Raises:
            StoreError: The file has not got the name, or is not known to keep it after a power loss.
        """
        path = self._path(name)
        with self._errors(writing=True):
            self._make_folders(os.path.dirname(path))
            file.sync()
            self._add(file, path)
            file.remove()

    def _add(self, file: TemporaryFile, path: str) -> bool:
        """Link a synced file to its final name, durably; return False where something has that name."""
        folder = os.path.dirname(path)
        try:
            file.link_to(path)
        except FileExistsError:
            # Its writer may not have synced the folder yet, and the caller will rely on the object.
            self._files.sync_folder(folder)
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS_HERE:
                raise
            return self._add_by_rename(file, path)
        # Where this fails, the object stays: somebody may have found it already and rely on it.
        self._files.sync_folder(folder)
        return True

    def _add_by_rename(self, file: TemporaryFile, path: str) -> bool:
        with self._locked(os.path.dirname(path)):
            is_new = not self._exists(path)
            if is_new:
                file.rename_to(path)
            self._files.sync_folder(os.path.dirname(path))
        return is_new

    def _replace(self, file: TemporaryFile, path: str, name: str, expect: Version | None) -> None:
        folder = os.path.dirname(path)
        with self._locked(folder):
            if expect is not None and self._version(path) != expect:
                # The caller may find that it lost to its own first attempt, and rely on that.
                self._files.sync_folder(folder)
                raise self._conflict(name)
            file.rename_to(path)
            self._cache.drop(path)
            self._files.sync_folder(folder)

    def _version(self, path: str) -> Version | None:
        try:
            return hash_file_bytes(self._read_whole(path))
        except FileNotFoundError:
            return None

    # Folders

    def _require_folder(self) -> None:
        if not self._exists(self._folder):
            raise StoreError(f"the folder {self.location()} does not exist: attach its disk, or create a vault there first")

    def _make_folders(self, folder: str) -> None:
        """Make sure that a folder of objects exists, and will after a power loss."""
        if folder in self._durable_folders:
            self._require_folder()
            return
        self._make_folders(os.path.dirname(folder))
        self._make_folder(folder)
        self._durable_folders.add(folder)

    def _make_folder(self, folder: str) -> None:
        with suppress(FileExistsError):
            self._files.mkdir(folder)
        # Also where it existed: whoever made it may not have come to this line.
        self._files.sync_folder(os.path.dirname(folder))

    @contextmanager
    def _locked(self, folder: str, *, shared: bool = False) -> Iterator[None]:
        descriptor = self._files.lock_folder(folder, shared=shared)
        try:
            yield
        finally:
            self._files.unlock(descriptor)

    def _exists(self, path: str) -> bool:
        try:
            self._files.stat(path)
        except FileNotFoundError:
            return False
        return True

    # Reading

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        path = self._path(name)
        with self._errors(writing=False):
            try:
                if start == 0 and stop is None:
                    return self._read_whole(path)
                with self._cache.borrow(path) as descriptor:
                    return self._read(descriptor, start, stop)
            except FileNotFoundError:
                self._require_folder()
                raise ObjectNotFoundError(f"{self.location()} has no object {name}") from None

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        try:
            content = self.get(name)
        except ObjectNotFoundError:
            return None
        return content, hash_file_bytes(content)

    def list(self, prefix: str) -> Iterator[Item]:
        # All names are gathered first, so that an error comes before anything is acted on.
        items: tuple[Item, ...] = ()
        above = check_prefix(prefix).rpartition("/")[0]
        with self._errors(writing=False):
            self._require_folder()
            if not above or self._exists(self._path(above)):
                items = tuple(self._gather(above, prefix))
        return iter(items)

    def _gather(self, above: str, prefix: str) -> Iterator[Item]:
        # Not by recursion: somebody may have put folders here that are deeper than Python's stack.
        waiting = [above]
        while waiting:
            above = waiting.pop()
            folder = os.path.join(self._folder, above)
            # Some file systems show a name twice or not at all while it is replaced; replacing takes the lock.
            with self._locked(folder, shared=True):
                found = self._files.list_folder(folder)
            for each in found:
                name = f"{above}/{each.name}" if above else each.name
                if not is_part(each.name) or not (name.startswith(prefix) or prefix.startswith(name + "/")):
                    continue
                if each.is_folder:
                    waiting.append(name)
                else:
                    yield Item(name, each.size)

    def _read_whole(self, path: str) -> bytes:
        descriptor = self._files.open(path, READ_FLAGS)
        try:
            return self._read(descriptor, 0, None)
        finally:
            self._files.close(descriptor)

    def _read(self, descriptor: int, start: int, stop: int | None) -> bytes:
        size = self._files.stat(descriptor).st_size
        end = size if stop is None else min(stop, size)
        parts: list[bytes] = []
        while start < end:
            part = self._files.read_at(descriptor, end - start, start)
            if not part:
                raise StoreError(f"a file in {self.location()} ends before its own size: check the disk, and run this again")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # Names and errors

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, *check_name(name).split("/"))

    @contextmanager
    def _errors(self, *, writing: bool) -> Iterator[None]:
        with store_errors(self._place, writing=writing):
            yield

    def _conflict(self, name: str) -> ConflictError:
        return ConflictError(f"{name} in {self.location()} was changed by somebody else meanwhile: run this again")


class LocalUpload:
    """An object of a `LocalBackend` in the making. `commit` may be called from another thread than `write`."""

    def __init__(self, backend: LocalBackend, file: TemporaryFile) -> None:
        self._backend = backend
        self._file: TemporaryFile | None = file

    def write(self, data: Buffer) -> None:
        file = self._require_file()
        try:
            with store_errors(self._backend.location(), writing=True):
                file.write(data)
        except BaseException:
            self.abort()
            raise

    def commit(self, name: str) -> None:
        file = self._require_file()
        try:
            self._backend.add_file(file, name)
        finally:
            self.abort()

    def abort(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.discard()

    def _require_file(self) -> TemporaryFile:
        if self._file is None:
            raise StoreError(f"this upload to {self._backend.location()} has ended: begin another one")
        return self._file


def _reopen(folder: str, files: FileCalls) -> LocalBackend:
    return LocalBackend(Path(folder), files=files)
