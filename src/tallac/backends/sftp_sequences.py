"""Requests over SFTP that are sent together: however long a line is, only answers that decide what comes next are waited for.

What concerns one file, the server carries out in the order in which it was sent, as the protocol has it (section 6.1 of
draft-ietf-secsh-filexfer-02); OpenSSH's does so with all that comes over a channel. So a file's bytes and their sync are one step,
and its name, the sync of that and the end of its temporary name another. What makes a file durable and what names it are never sent
together.
"""

from __future__ import annotations

import asyncio
import posixpath
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from tallac.backends.sftp_answers import raise_first, together
from tallac.backends.sftp_files import SftpFileCalls
from tallac.backends.sftp_new_file import NewFile, require_named
from tallac.backends.sftp_prepared import PreparedFiles
from tallac.backends.sftp_remains import SftpRemains
from tallac.backends.sftp_session import FAREWELL_SECONDS, SftpSession
from tallac.backends.sftp_sweep import Sweep
from tallac.backends.sftp_writing import write_durably
from tallac.backends.traffic import Traffic
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import StoreError
from tallac.file_calls import Found
from tallac.interfaces import Buffer, Item, Version

if TYPE_CHECKING:
    from tallac.backends.sftp_channel import Channel

T = TypeVar("T")


class SftpSequences:
    """The steps of a put, a get and a delete. Thread-safe. All methods raise what `SftpSession.run` does."""

    def __init__(self, session: SftpSession, traffic: Traffic, calls: SftpFileCalls) -> None:
        """Use a connection, count what is asked, and find reasons for failures by other calls."""
        self._session = session
        self._traffic = traffic
        self._calls = calls
        self._lock = threading.Lock()
        self._spare: NewFile | None = None
        self._sweep = Sweep()
        self.remains = SftpRemains(calls)
        self._prepared = PreparedFiles(session, self.remains)

    # Writing

    def begin(self, path: str, *, swept: str | None) -> NewFile:
        """Make a file under a temporary name, or take the spare one.

        Args:
            path: That name's path.
            swept: A folder whose leftovers are to be removed before the file gets a name; `write` waits for that.
        """
        spare = self._take_spare()
        if spare is not None and swept is None:
            return spare

        async def begun(channel: Channel) -> NewFile:
            return await self._begun(channel, path, swept)

        try:
            return self._calls.ask(begun, path, requests=5 if swept is not None else 1)
        except BaseException:
            self.remains.note(path)
            raise

    async def _begun(self, channel: Channel, path: str, swept: str | None = None) -> NewFile:
        creating = asyncio.ensure_future(channel.create(path))
        if swept is not None:
            self._sweep.begin(channel, swept, posixpath.basename(path))
        sweeping = self._sweep.under_way
        new = NewFile(path, await creating)
        new.sweeping = sweeping
        return new

    def prepare(self, path: str, version: Version, content: bytes, folders: Sequence[str]) -> None:
        """Begin to make a file under a temporary name, with all of its bytes, durably, and return at once; see `prepared`.

        Args:
            path: That name's path.
            version: Which state of an object it is.
            content: The bytes.
            folders: Those to make for it, as for `write`.
        """

        async def made(channel: Channel) -> NewFile:
            new = await self._begun(channel, path)
            await write_durably(channel, new, (content,), folders, self._traffic)
            return new

        self._traffic.add(requests=2 + len(folders))
        self._prepared.add(version, path, self._session.start(made))

    def prepared(self, version: Version) -> NewFile | None:
        """Return the file that was made ahead for a state of an object, once; None where there is none, or that has failed."""
        return self._prepared.take(version)

    def write(self, new: NewFile, parts: Iterable[Buffer], folders: Sequence[str]) -> None:
        """Write all of a file, and make it durable.

        Args:
            new: The file.
            parts: What is written.
            folders: Those to make for it, the outer ones first; that one is there already is no error.
        """

        async def written(channel: Channel) -> None:
            await write_durably(channel, new, parts, folders, self._traffic)

        self._calls.ask(written, new.path, requests=1 + len(folders))

    def link(self, new: NewFile, path: str, *, spare: str | None) -> None:
        """Name a durable file, durably, unless something has that name. Its temporary one goes, whatever happens.

        Args:
            new: The file.
            path: The name's path.
            spare: The path of a file that is made ahead for whatever is written next; None for none.

        Raises:
            FileExistsError: Something has that name.
        """

        async def linked(channel: Channel) -> None:
            new.has_ended = True
            # A temporary name that can't be removed is found as a leftover.
            linking, syncing, _, _ = await together(
                channel.link(new.path, path), new.file.sync(), channel.remove(new.path), self._prepare(channel, spare)
            )
            try:
                await require_named(new, path, linking)
                raise_first([syncing])
            finally:
                channel.leave(new.file.close())

        self._name(new, linked, 5, path)

    def sync(self, path: str) -> None:
        """Make somebody else's file durable, if it is still there."""

        async def synced(channel: Channel) -> None:
            try:
                file = await channel.open_to_read(path)
            except FileNotFoundError:
                return
            try:
                await file.sync()
            finally:
                channel.leave(file.close())

        self._calls.ask(synced, requests=3)

    def replace(self, new: NewFile, path: str, *, spare: str) -> None:
        """Rename a durable file, durably, in place of what has the name. See `link` for the arguments."""

        async def replaced(channel: Channel) -> None:
            raise_first(await together(channel.rename(new.path, path), new.file.sync(), self._prepare(channel, spare)))
            new.has_ended = True
            channel.leave(new.file.close())

        self._name(new, replaced, 4, new.path, is_new=False, folder=posixpath.dirname(path))

    def claim(self, new: NewFile, claim: str, path: str) -> Version | None:
        """Link a durable file to the name of a claim; return the state that an object has after that, None for absent.

        Raises:
            FileExistsError: Somebody has made this claim.
        """

        async def claimed(channel: Channel) -> bytes | None:
            new.is_named = False
            linking, file = await together(channel.link(new.path, claim), channel.open_to_read(path))
            try:
                await require_named(new, claim, linking)
            except OSError:
                if not isinstance(file, BaseException):
                    channel.leave(file.close())
                raise
            try:
                if isinstance(file, FileNotFoundError):
                    return None
                raise_first([file])
                found: bytes = await file.read_whole()
                return found
            except OSError:
                # The object could not be looked at. Nobody is to enter what its writer is told to have failed.
                channel.leave(channel.remove(claim))
                raise

        content = self._naming(new, claim, lambda: self._name(new, claimed, 5, claim))
        return None if content is None else hash_file_bytes(content)

    def enter(self, new: NewFile, claim: str, path: str, *, spare: str) -> bool:
        """Rename a claim to its object's name, durably; False where it is gone, as after somebody took its writer for dead."""

        async def entered(channel: Channel) -> bool:
            new.has_ended = True
            renaming, syncing, _, _ = await together(
                channel.rename(claim, path), new.file.sync(), channel.remove(new.path), self._prepare(channel, spare)
            )
            try:
                if not isinstance(renaming, FileNotFoundError):
                    await require_named(new, path, renaming)
                raise_first([syncing])
            except OSError:
                if isinstance(renaming, BaseException):
                    channel.leave(channel.remove(claim))
                raise
            finally:
                channel.leave(new.file.close())
            return not isinstance(renaming, FileNotFoundError)

        return self._naming(new, claim, lambda: self._calls.ask(entered, claim, requests=5))

    def discard(self, new: NewFile) -> None:
        """Remove what is left of a file after an error, without waiting. What can't be removed is found as a leftover."""
        if not self._session.is_current(new.file.channel):
            self.remains.note(new.path)
        elif not new.has_ended:

            async def discarded(channel: Channel) -> None:
                if channel is new.file.channel:
                    _remove(channel, new)
                else:
                    self.remains.note(new.path)

            self._traffic.add(requests=2)
            self._session.begin(discarded)

    def remove(self, root: str, *paths: str) -> bool:
        """Remove files, of which any may be missing, and the spare one; return whether the folder of all of them is there."""
        spare = self._take_spare()

        async def removed(channel: Channel) -> bool:
            if spare is not None:
                _remove(channel, spare)
            *removals, looking = await together(*(channel.remove(path) for path in paths), channel.look(root))
            raise_first(each for each in removals if not isinstance(each, FileNotFoundError))
            return _is_there(looking)

        try:
            return self._calls.ask(removed, requests=len(paths) + 1)
        except OSError:
            if spare is not None:
                self.remains.note(spare.path)
            raise

    def leave(self) -> None:
        """Remove the spare file, and what broken connections have left, as far as there is a connection.

        The answers are waited for: a server whose connection breaks off need not carry out what it has been sent.
        """
        if (spare := self._take_spare()) is not None:
            self.remains.note(spare.path)
        self._prepared.leave()
        with suppress(OSError, StoreError):
            if self._session.is_connected:
                self.remains.remove(FAREWELL_SECONDS)

    def _take_spare(self) -> NewFile | None:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and not self._session.is_current(spare.file.channel):
            self.remains.note(spare.path)
            return None
        return spare

    async def _prepare(self, channel: Channel, path: str | None) -> None:
        """Make a spare file. Where that fails, the next file is made when it is needed, which shows why."""
        if path is None or (self._spare is not None and self._session.is_current(self._spare.file.channel)):
            return
        try:
            spare = NewFile(path, await channel.create(path))
        except OSError:
            self.remains.note(path)
            return
        with self._lock:
            former, self._spare = self._spare, spare
        if former is not None:
            _remove(channel, former)

    # Reading

    def read(self, root: str, path: str, *, is_known: bool) -> tuple[bytes | None, bool]:
        """Return all of a file, None where it is missing; and whether the folder of all files is there.

        Args:
            root: The folder of all files.
            path: The file's.
            is_known: Whether the file was there before; if not, the folder is looked at at once.
        """

        async def found(channel: Channel) -> tuple[bytes | None, bool]:
            looks = [] if is_known else [channel.look(root)]
            file, *looking = await together(channel.open_to_read(path), *looks)
            if isinstance(file, FileNotFoundError):
                return None, _is_there((looking or await together(channel.look(root)))[0])
            raise_first([file])
            return await file.read_whole(), True

        return self._calls.ask(found, requests=4 if is_known else 5)

    def list(self, root: str, above: str, is_wanted: Callable[[str], bool]) -> tuple[list[Item], bool]:
        """List the files in a folder and in those below it; say as well whether the folder of all files is there.

        Args:
            root: The folder of all files.
            above: The folder, as a name in that one; "" for itself.
            is_wanted: Says whether a name, of a file or a folder, is wanted.
        """

        async def listed(channel: Channel) -> tuple[list[Item], bool]:
            first, looking = await together(channel.names_in(posixpath.join(root, above)), channel.look(root))
            if isinstance(first, FileNotFoundError):
                return [], _is_there(looking)
            raise_first([first])
            items: list[Item] = []
            level: list[tuple[str, list[Found]]] = [(above, first)]
            while level:
                below: list[str] = []
                for folder, names in level:
                    for each in names:
                        name = f"{folder}/{each.name}" if folder else each.name
                        if not is_wanted(name):
                            continue
                        if each.is_folder:
                            below.append(name)
                        else:
                            items.append(Item(name, each.size))
                answers = await together(*(channel.names_in(posixpath.join(root, name)) for name in below))
                raise_first(answers)
                level = list(zip(below, answers, strict=True))
            return items, True

        return self._calls.ask(listed, requests=5)

    # Errors

    def _naming(self, new: NewFile, claim: str, call: Callable[[], T]) -> T:
        """Make a claim, or enter it. Where nobody knows what became of it, it goes before its writer tries once more."""
        try:
            return call()
        except FileExistsError:
            raise
        except BaseException:
            if not self._session.is_current(new.file.channel):
                self.remains.note(claim, new.version)
            raise

    def _name(
        self,
        new: NewFile,
        operation: Callable[[Channel], Coroutine[Any, Any, T]],
        requests: int,
        path: str,
        *,
        is_new: bool = True,
        folder: str = "",
    ) -> T:
        """Carry out what gives a file a name, for which there may be no folder."""
        try:
            return self._calls.ask(operation, requests=requests)
        except FileNotFoundError:
            # Either there is no folder, or somebody has taken the file for a leftover.
            if new.no_folder is not None and not self._calls.is_there(folder or posixpath.dirname(path)):
                raise self._calls.explained(new.no_folder, path) from None
            raise
        except OSError as error:
            # What failed after that did not fail for a name that is taken.
            raise self._calls.explained(error, path, is_new=is_new and not new.is_named) from None


def _remove(channel: Channel, new: NewFile) -> None:
    """Remove and close a file, without waiting."""
    new.has_ended = True
    channel.leave(channel.remove(new.path))
    channel.leave(new.file.close())


def _is_there(looking: object) -> bool:
    """Whether a folder is there, from the answer to a look at it."""
    if isinstance(looking, FileNotFoundError):
        return False
    raise_first([looking])
    return True
