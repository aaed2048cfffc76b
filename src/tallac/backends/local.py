"""A backend over a local folder: the object `a/b` is the file `a/b` in it.

What makes a put durable and whole: the bytes go to a temporary file, which is synced before it gets the object's name, and the
folder that holds the name is synced after. Names that begin with a dot are never objects. Folders have mode 0700 and files
0600 from creation on.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tallac.backends.descriptors import DescriptorCache, FileReads
from tallac.backends.names import check_name, check_prefix, is_part
from tallac.backends.os_errors import no_name_left, printable, store_errors
from tallac.backends.swapping import Swapper, Takeover, former_path
from tallac.backends.temporary import PREFIX, Leftover, TemporaryFile, find_leftovers, remove_leftovers
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConflictError, ObjectNotFoundError, StoreError
from tallac.file_calls import REAL, FileCalls
from tallac.interfaces import Buffer, Expect, Item, Version

STALE_SECONDS = 25.0
"""For so long network file systems remember what they were told of a file; sshfs for 20 seconds."""


class LocalBackend:
    """The `Backend` protocol over a folder that exists; see `create`. Can be pickled: the copy opens the same folder.

    A version is the BLAKE3 of the object's bytes.
    """

    def __init__(self, folder: Path, *, files: FileCalls = REAL, takeover: Takeover | None = None) -> None:
        """Use a folder. Nothing is read or written yet."""
        self._folder = os.path.abspath(folder)
        self._place = printable(self._folder)
        self._files = files
        self._takeover = takeover or Takeover()
        self._swapper = Swapper(files, self._takeover)
        self._cache = DescriptorCache(files)
        self._reads = FileReads(files, self._folder, self._place)
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
                    if expect is not None and self._swapper.version(path) != expect:
                        raise self._conflict(name)
                    self._files.unlink(path)
                    self._cache.drop(path)
                    with suppress(FileNotFoundError):
                        self._files.unlink(former_path(path))
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
        """Link or rename a synced file to its final name, durably; say no where something has that name."""
        folder = os.path.dirname(path)
        try:
            file.link_to(path)
        except FileExistsError:
            # Its writer may not have synced the folder yet, and the caller will rely on the object.
            self._files.sync_folder(folder)
            return False
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise no_name_left(printable(folder), self._files.room(folder)) from error
            if not self._swapper.says_no_links(error, folder):
                raise
            return self._add_without_link(file, path)
        self._swapper.note_links(has_links=True)
        # Where this fails, the object stays: somebody may have found it already and rely on it.
        self._files.sync_folder(folder)
        return True

    def _add_without_link(self, file: TemporaryFile, path: str) -> bool:
        folder = os.path.dirname(path)
        with self._locked(folder):
            is_new = not self._exists(path)
            if is_new:
                self._swapper.note_links(has_links=False)
                try:
                    is_new = self._swapper.swap(file, path, None)
                except OSError as error:
                    if error.errno == errno.ENOSPC:
                        raise no_name_left(printable(folder), self._files.room(folder)) from error
                    raise
            self._files.sync_folder(folder)
        return is_new

    def _replace(self, file: TemporaryFile, path: str, name: str, expect: Version | None) -> None:
        folder = os.path.dirname(path)
        with self._locked(folder):
            is_replaced = True
            if expect is None:
                self._swapper.replace(file, path)
            else:
                is_replaced = self._swapper.swap(file, path, expect)
            self._cache.drop(path)
            # Also after a conflict: the caller may find that it lost to its own first attempt, and rely on that.
            self._files.sync_folder(folder)
        if not is_replaced:
            raise self._conflict(name)

    # Folders

    def _require_folder(self) -> None:
        if not self._exists(self._folder):
            raise StoreError(f"the folder {self.location()} does not exist: attach its disk, or create a vault there first")

    def _make_folders(self, folder: str) -> None:
        """Make sure that a folder of objects exists, and will after a power loss."""
        if folder in self._durable_folders:
            self._require_folder()
            return
        above = os.path.dirname(folder)
        self._make_folders(above)
        self._make_folder(folder, shared_like=above)
        self._durable_folders.add(folder)

    def _make_folder(self, folder: str, *, shared_like: str = "") -> None:
        with suppress(FileExistsError):
            self._files.mkdir(folder)
            if shared_like:
                self._files.share(folder, shared_like)
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
        with self._found(name):
            if start == 0 and stop is None:
                return self._reads.whole(path)
            with self._cache.borrow(path) as descriptor:
                return self._reads.part(descriptor, start, stop)

    if sys.platform == "linux":
        # Elsewhere the system can't be told what is soon read: a disk that turns would seek for each range.

        def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
            """See `ReadsRanges`."""
            path = self._path(name)
            with self._found(name), self._cache.borrow_file(path) as file:
                return self._reads.parts(file, ranges)

    def may_be_forked(self) -> bool:
        """See `ForkableBackend`: open files are read at offsets."""
        return True

    @contextmanager
    def _found(self, name: str) -> Iterator[None]:
        with self._errors(writing=False):
            try:
                yield
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

    def get_again(self, name: str, unlike: bytes) -> tuple[bytes, Version] | None:
        """See `RereadingBackend`."""
        path = self._path(name)
        with self._errors(writing=False):
            if self._files.locks_reach_all(self._folder):
                return None
            try:
                content = self._read_by_new_name(path) or self._read_until_unlike(path, unlike)
            except FileNotFoundError:
                return None
        return None if content == unlike else (content, hash_file_bytes(content))

    def _read_by_new_name(self, path: str) -> bytes | None:
        """Read a file under a name of which nobody can remember anything; None where it can't have a second one."""
        name = os.path.join(os.path.dirname(path), PREFIX + os.urandom(16).hex())
        try:
            self._files.link(path, name)
        except OSError:
            return None  # No links, or nothing may be written here.
        try:
            return self._reads.whole(name)
        finally:
            self._files.unlink(name)

    def _read_until_unlike(self, path: str, unlike: bytes) -> bytes:
        end = self._takeover.clock() + STALE_SECONDS
        while (content := self._reads.whole(path)) == unlike and self._takeover.clock() < end:
            self._takeover.sleep(1.0)
        return content

    def get_former(self, name: str) -> bytes | None:
        """See `KeepsFormerStates`."""
        with self._errors(writing=False):
            try:
                return self._reads.whole(former_path(self._path(name)))
            except FileNotFoundError:
                return None

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
