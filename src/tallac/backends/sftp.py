"""A backend over SFTP: the very files that a vault in a folder has, on a machine that is reached by SSH.

So such a vault can be opened on that machine as a folder too, also at the same time. Of several writers one wins by links and
renames, see `swapping.py`; locks are not needed for it, and there are none.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from tallac.backends.local import LocalBackend
from tallac.backends.names import PROBE_FOLDER, check_prefix, is_left_by_probe, is_of_probe, is_part
from tallac.backends.object_store import SPOOLED_IN_MEMORY_MAX
from tallac.backends.os_errors import no_name_left, store_errors
from tallac.backends.sftp_answers import SERVER_FAILED
from tallac.backends.sftp_examining import examine
from tallac.backends.sftp_files import SftpFileCalls
from tallac.backends.sftp_new_file import NewFile
from tallac.backends.sftp_sequences import SftpSequences
from tallac.backends.sftp_session import SftpSession, SftpSettings
from tallac.backends.sftp_sweep import was_crowded
from tallac.backends.spooled_upload import SpooledUpload, spooled_parts
from tallac.backends.swapping import TAKEOVER_SECONDS_REMOTE, claim_path, former_path
from tallac.backends.temporary import PREFIX, is_nothing
from tallac.backends.traffic import Pace, Traffic
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConflictError, ObjectNotFoundError, StoreFullError, VaultNotFoundError
from tallac.interfaces import Buffer, Expect, Item, Version

NAME_TRIES = 5
"""A server says of a new name that is taken as little as of any other failure; when it is looked at, it may be free again."""

WRITE_SIZE = 255 << 10
"""OpenSSH's server takes so many bytes in one request."""


class SftpBackend(LocalBackend):
    """The `Backend` protocol over a folder on another machine. Thread-safe; can be sent to other processes, which connect anew.

    Nothing is tried again here: see `RetryingBackend`.
    """

    def __init__(self, settings: SftpSettings, traffic: Traffic | None = None, *, is_first: bool = True) -> None:
        """Use a folder there; nothing is connected yet.

        Args:
            settings: Where.
            traffic: What requests are added to.
            is_first: Whether no other process of this command has removed, or will remove, what killed runs left.
        """
        self._settings = settings
        self._traffic = traffic or Traffic()
        self._session = SftpSession(settings)
        self._session.traffic = self._traffic
        self._calls = SftpFileCalls(self._session, self._traffic)
        self._sequences = SftpSequences(self._session, self._traffic, self._calls)
        self._root = settings.path if settings.path.startswith("/") else f"/{settings.path}"
        super().__init__(Path(self._root), files=self._calls)
        self._has_removed_leftovers = not is_first
        self._known: set[str] = set()
        self._unsettled: set[str] = set()

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self._settings, self._traffic)

    def connect_ahead(self) -> None:
        """See `ConnectsAhead`."""
        self._session.connect_ahead()

    def may_be_forked(self) -> bool:
        """See `ForkableBackend`: a connection is one process's."""
        return False

    sends_in_steps = True
    prepares_puts = True

    def keep_pace(self, pace: Pace) -> None:
        """See `PacedBackend`."""
        self._session.pace = pace

    def leave(self) -> None:
        """See `MakesAhead`; what a killed process leaves is found as a leftover."""
        self._sequences.leave()

    def location(self) -> str:
        return self._settings.where

    def is_empty(self) -> bool:
        """Whether there is nothing at all, or no such folder; what killed commands have left of theirs is nothing."""
        with self._errors(writing=False):
            try:
                found = [each for each in self._calls.list_folder(self._root) if not is_nothing(each)]
            except FileNotFoundError:
                return True
            if any(each.name != PROBE_FOLDER for each in found):
                return False
            items, _ = self._sequences.list(self._root, PROBE_FOLDER, lambda _name: True) if found else ([], True)
        return all(is_of_probe(item.name) for item in items)

    def examine(self) -> None:
        """Find out whether the server does what this backend builds on, by trying it in the folder, which exists.

        Empty folders that former probes have left go, a day later; a folder over SFTP stays when its last object goes.

        Raises:
            UnsafeStoreError: It does not; the reason is told.
        """
        with self._errors(writing=True):
            first, second, third = (posixpath.join(self._root, f"{PREFIX}probe-{os.urandom(8).hex()}") for _ in range(3))
            names = (first, second, third)
            try:
                examine(self._calls, self.location(), names)
            finally:
                for name in names:
                    with suppress(OSError):
                        self._calls.unlink(name)
            self._remove_old_probes()

    def _remove_old_probes(self) -> None:
        folder = posixpath.join(self._root, PROBE_FOLDER)
        try:
            found = self._calls.list_folder(folder)
        except OSError:
            return  # Mostly there is none. What can't be looked at stays, and is no reason to refuse the place.
        for each in found:
            if is_left_by_probe(f"{PROBE_FOLDER}/{each.name}"):
                # One that is not empty yet stays for the next time: its objects go at the end of this probe.
                with suppress(OSError):
                    self._calls.remove_folder(posixpath.join(folder, each.name))

    # Writing

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        path, version = self._path(name), hash_file_bytes(data)
        entered: list[NewFile] = []

        def enter(new: NewFile) -> None:
            new.version = version
            entered.append(new)
            self._enter(new, path, name, expect)

        try:
            with self._errors(writing=True):
                self._store(path, lambda: (data,), enter, version)
        except StoreFullError as error:
            error.is_refusal = not entered
            raise
        return version

    def prepare(self, name: str, data: Buffer) -> None:
        """See `PreparesPuts`: the bytes are written under a temporary name, and synced."""
        path = self._path(name)
        version = hash_file_bytes(data)
        self._sequences.prepare(self._temporary_path(), version, bytes(data), self._missing_folders(path))

    def upload(self) -> SpooledUpload:  # type: ignore[override]  # Both are uploads.
        return SpooledUpload(self.location(), self.add, SPOOLED_IN_MEMORY_MAX)

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """See `WholeObjectBackend`."""
        path = self._path(name)

        def enter(new: NewFile) -> None:
            with suppress(FileExistsError):
                self._link(new, path, spare=None)

        with self._errors(writing=True):
            self._store(path, lambda: spooled_parts(file, size, WRITE_SIZE), enter)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        path = self._path(name)
        with self._errors(writing=True), self._locked(os.path.dirname(path)):
            if expect is not None:
                content = self._read_object(path)
                if content is None:
                    return
                if hash_file_bytes(content) != expect:
                    raise self._conflict(name)
            self._cache.drop(path)
            if not self._sequences.remove(self._root, path, former_path(path)):
                raise self._no_folder()

    def _store(
        self,
        path: str,
        parts: Callable[[], Iterable[Buffer]],
        enter: Callable[[NewFile], None],
        version: Version | None = None,
    ) -> None:
        """Write a file durably under a temporary name, unless that was done ahead for this state of an object, and enter it."""
        for tries_left in reversed(range(NAME_TRIES)):
            self._sequences.remains.remove()
            prepared = None if version is None else self._sequences.prepared(version)
            new = prepared or self._begin_file()
            try:
                if prepared is None:
                    self._sequences.write(new, parts(), self._missing_folders(path))
                enter(new)
            except OSError as error:
                # Somebody may have taken it for a leftover: on that machine nothing shows that it is being written.
                is_swept = isinstance(error, FileNotFoundError) and not new.is_named
                is_refused = error.errno == SERVER_FAILED and new.has_ended and not new.is_named
                if not (is_swept or is_refused or was_crowded(new, error)) or not tries_left:
                    self._has_removed_leftovers &= new.sweeping is None
                    raise
            else:
                self._durable_folders.add(os.path.dirname(path))
                self._known.add(path)
                return
            finally:
                self._sequences.discard(new)

    def _missing_folders(self, path: str) -> list[str]:
        """Return those folders above a file that may have to be made, the outer ones first."""
        folders: list[str] = []
        folder = os.path.dirname(path)
        while folder not in self._durable_folders:
            folders.insert(0, folder)
            folder = os.path.dirname(folder)
        return folders

    def _temporary_path(self) -> str:
        return os.path.join(self._root, f"{PREFIX}{os.urandom(16).hex()}")

    def _begin_file(self) -> NewFile:
        swept = None if self._has_removed_leftovers else self._root
        try:
            new = self._sequences.begin(self._temporary_path(), swept=swept)
        except FileNotFoundError:
            raise self._no_folder() from None
        self._has_removed_leftovers = True
        return new

    def _enter(self, new: NewFile, path: str, name: str, expect: Expect | Version | None) -> None:
        """Name a durable file after an object, if that is in the expected state."""
        if isinstance(expect, Expect):
            try:
                self._link(new, path, spare=self._temporary_path())
            except FileExistsError:
                raise self._conflict(name) from None
            return
        with self._locked(os.path.dirname(path)), self._unsettled_where_it_fails(path):
            self._cache.drop(path)
            if expect is None:
                self._sequences.replace(new, path, spare=self._temporary_path())
            elif not self._swap(new, path, expect):
                raise self._conflict(name)

    def _link(self, new: NewFile, path: str, *, spare: str | None) -> None:
        """Name a durable file after a new object.

        Raises:
            FileExistsError: There is one. It is durable.
        """
        try:
            with self._unsettled_where_it_fails(path):
                self._sequences.link(new, path, spare=spare)
        except FileExistsError:
            # Its writer may not have come to that, and the caller will rely on it.
            self._sequences.sync(path)
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise no_name_left(self.location(), self._calls.room(self._root)) from error
            raise

    @contextmanager
    def _unsettled_where_it_fails(self, path: str) -> Iterator[None]:
        """Note what may have its name, and not durably: who finds that it has, and takes it for stored, relies on that."""
        try:
            yield
        except (FileExistsError, ConflictError):
            raise
        except BaseException:
            self._unsettled.add(path)
            raise

    def _swap(self, new: NewFile, path: str, expect: Version) -> bool:
        """Replace an object in the expected state; say whether it was. See `swapping.py`."""
        claim = claim_path(path, expect)
        for tries_left in reversed(range(NAME_TRIES)):
            try:
                found = self._sequences.claim(new, claim, path)
            except FileExistsError:
                self._swapper.wait_for(claim, path, expect, TAKEOVER_SECONDS_REMOTE)
                return False
            except OSError as error:
                if error.errno != SERVER_FAILED or not tries_left:
                    raise
            else:
                if found == expect:
                    is_entered = self._sequences.enter(new, claim, path, spare=self._temporary_path())
                    # Whoever took this claim for a dead writer's has entered it. Where the state is still there, it was removed.
                    return is_entered or self._swapper.version(path) != expect
                # Somebody was faster, and his claim is gone by now; or this state has been followed long ago.
                self._sequences.remove(self._root, claim)
                return False
        raise AssertionError("the last try ends by itself")

    # Reading

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        path = self._path(name)
        with self._errors(writing=False):
            content = self._read_object(path) if stop is None else self._read_range(path, start, stop)
        if content is None:
            raise ObjectNotFoundError(f"{self.location()} has no object {name}")
        return content[start:] if stop is None else content

    def list(self, prefix: str) -> Iterator[Item]:
        above = check_prefix(prefix).rpartition("/")[0]

        def is_wanted(name: str) -> bool:
            is_named = name.startswith(prefix) or prefix.startswith(name + "/")
            return is_named and is_part(name.rpartition("/")[2])

        with self._errors(writing=False), ExitStack() as stack:
            # Some file systems show a name twice or not at all while it is replaced; replacing takes the lock.
            for folder in sorted(self._durable_folders):
                stack.enter_context(self._locked(folder, shared=True))
            items, is_there = self._sequences.list(self._root, above, is_wanted)
        if not is_there:
            raise self._no_folder()
        return iter(items)

    def _read_object(self, path: str) -> bytes | None:
        """Return all of an object; None where it is missing."""
        if path in self._unsettled:
            self._sequences.sync(path)
            self._unsettled.discard(path)
        content, is_there = self._sequences.read(self._root, path, is_known=path in self._known)
        if not is_there:
            raise self._no_folder()
        if content is None:
            self._known.discard(path)
        else:
            self._known.add(path)
        return content

    def _read_range(self, path: str, start: int, stop: int) -> bytes | None:
        try:
            with self._cache.borrow(path) as descriptor:
                return self._calls.read_at(descriptor, stop - start, start) if start < stop else b""
        except FileNotFoundError:
            self._require_folder()
            return None

    def get_again(self, name: str, unlike: bytes) -> tuple[bytes, Version] | None:
        """See `RereadingBackend`: the server remembers nothing."""
        found = self.get_versioned(name)
        return None if found is None or found[0] == unlike else (found[0], hash_file_bytes(found[0]))

    def _require_folder(self) -> None:
        if not self._exists(self._root):
            raise self._no_folder()

    def _no_folder(self) -> VaultNotFoundError:
        return VaultNotFoundError(
            f"{self.location()}: there is no folder {PurePosixPath(self._settings.path)} on that machine; "
            "attach its disk, or create a vault there first"
        )

    @contextmanager
    def _errors(self, *, writing: bool) -> Iterator[None]:
        with store_errors(self.location(), writing=writing):
            yield


def _reopen(settings: SftpSettings, traffic: Traffic) -> SftpBackend:
    return SftpBackend(settings, traffic, is_first=False)
