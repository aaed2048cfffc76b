"""Regular files of one directory, written with their metadata: what a worker process does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from tallac.dag import Components, Entry, display_path, encode_table, join_components
from tallac.errors import CapError, DamageError, DestinationError, EntryError
from tallac.interfaces import FileReader
from tallac.restore.files.content import write_all, write_content
from tallac.restore.files.kept_names import KeptNames
from tallac.restore.files.metadata import Attributes
from tallac.restore.files.plain_files import NOT_BEGUN, Begun, divide
from tallac.restore.filesystem import ContentError, DestinationSystem, FileIdentity, identity_of
from tallac.restore.options import RestoreSettings
from tallac.restore.report import BatchResult, Problem, ProblemKind
from tallac.restore.safe_names import is_unusual, temporary_name
from tallac.source import open_beneath

if TYPE_CHECKING:
    from tallac.native.writing import WriteMany

CHILD_ERRORS = (DamageError, CapError, EntryError, OSError, ValueError, OverflowError)
"""Errors of one entry, after which the others are still restored, unless `problem_of` raises."""

READ_TOGETHER_SIZE = 1 << 20
"""Small files are read, up to so many bytes of them, before the first of them is written."""

UNUSUAL_MAX = 4
"""After so many files of a group with which something was unusual, the rest is written one by one."""

# By these, file systems refuse names. Each may mean something else too, so it counts only where the name is unusual.
_NAME_REFUSED = frozenset(
    {errno.EINVAL, errno.ENOENT, errno.EILSEQ, errno.EOVERFLOW, errno.EBADMSG, errno.EIO, errno.EPERM, errno.EACCES, errno.ENOTSUP}
)
# And by these what is no plain file or directory, after it was found that such a file can be made.
_KIND_REFUSED = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})

# Not as strict as reading a stored table: a worker gets what the walk has accepted.
_entries_decoder = msgspec.msgpack.Decoder(list[Entry])


@dataclass(frozen=True, slots=True)
class Batch:
    """Regular files of one directory. It can be pickled; it holds secrets.

    Attributes:
        components: Lead from the destination to the directory, which exists.
        entries: What to write, in any order; their names have been checked.
        replaced: The names of those that take the place of something. Where something has the name of another one by now, it got
            that name from this run, and is not to be replaced.
        size: The sum of the sizes of what is to be written, for whoever divides the work; it is not pickled.
    """

    components: Components
    entries: Sequence[Entry] = field(repr=False)
    replaced: frozenset[bytes] = frozenset()
    size: int = 0

    def __reduce__(self) -> tuple[_BatchMaker, tuple[Components, bytes, frozenset[bytes]]]:
        """Pickle the entries as one table: that takes a tenth of the time that pickling each of them does."""
        return _batch_of_table, (self.components, encode_table(self.entries), self.replaced)


_BatchMaker = Callable[[Components, bytes, frozenset[bytes]], Batch]


def _batch_of_table(components: Components, table: bytes, replaced: frozenset[bytes]) -> Batch:
    return Batch(components, _entries_decoder.decode(table), replaced)


class FileWriter:
    """Writes regular files into open directories.

    Attributes:
        unflagged: The last file that was written without its flags.
    """

    def __init__(self, grid: FileReader, settings: RestoreSettings, system: DestinationSystem) -> None:
        """Read from a grid, write with these calls and settings."""
        self._grid = grid
        self._settings = settings
        self._system = system
        self._attributes = Attributes(system, settings)
        self._names = KeptNames(system)
        # Files that take the place of something, or may, are written under another name first.
        self._write_many = None if settings.replaces else system.writer_of_many()
        self.unflagged = FileIdentity(-1, -1)

    def write_beneath(self, root: int, batch: Batch) -> BatchResult:
        """Write a batch, given the destination's descriptor.

        Raises:
            DestinationError: The destination fails as a whole.
            StoreError: The store failed, other than by damage.
        """
        try:
            directory = open_beneath(root, batch.components, filesystem=self._system)
        except OSError as error:
            return _all_failed(batch, self._settings, error)
        try:
            return self.write_batch(batch, directory)
        finally:
            self._system.close(directory)

    def write_batch(self, batch: Batch, directory: int) -> BatchResult:
        """Write a batch, given its directory's descriptor. Raises as `write_beneath` does."""
        result = BatchResult()
        unset_before = self._attributes.owners_unset
        self._attributes.begin_directory()
        for entries in _divided(batch.entries):
            contents = self._grid.read_small_files([entry.encoded for entry in entries])
            pairs: Iterable[tuple[Entry, bytes | None]] = zip(entries, contents, strict=True)
            if self._write_many is not None:
                pairs = self._write_plain(self._write_many, list(pairs), directory, batch.components, result)
            for entry, content in pairs:
                self._add(entry, directory, batch.components, result, content, is_new=entry.name not in batch.replaced)
        self._count_metadata(result, unset_before)
        return result

    def _write_plain(
        self,
        write_many: WriteMany,
        pairs: list[tuple[Entry, bytes | None]],
        directory: int,
        components: Components,
        result: BatchResult,
    ) -> list[tuple[Entry, bytes | None]]:
        """Write the files that have nothing unusual, many in one call, and return the others, which are still to be written."""
        plain, others = divide(pairs, self._attributes)
        if not plain.entries:
            return others
        files = write_many(plain.names, plain.contents, plain.times, plain.rights, self._attributes.made_for)
        unusual = 0
        try:
            while unusual <= UNUSUAL_MAX:
                first = files.number
                is_done = files.go_on(directory)
                result.files += files.number - first
                result.bytes += sum(map(len, plain.contents[first : files.number]))
                self._attributes.made_for = files.made_for
                if is_done:
                    return others
                entry, content = plain.entries[files.number], plain.contents[files.number]
                self._add(entry, directory, components, result, content, begun=Begun(files.take_started(), files.close_error))
                files.pass_over()
                unusual += 1
        except BaseException:
            started = files.take_started()
            if started is not None:
                # Interrupted between the call and what is to be done about its result.
                self._system.remove(plain.entries[files.number].name, directory)
                self._system.close(started.descriptor)
            raise
        # Here nothing is as usual: a call each, in vain, would only cost time.
        left: list[tuple[Entry, bytes | None]] = list(zip(plain.entries, plain.contents, strict=True))
        return left[files.number :] + others

    def write(
        self,
        entry: Entry,
        directory: int,
        components: Components,
        result: BatchResult,
        *,
        with_flags: bool = True,
        is_new: bool = True,
    ) -> bool:
        """Write one file and add what became of it to a result; return whether it is there. Raises as `write_beneath` does.

        What is new takes nobody's place, not even where something answers to its name by now.
        """
        unset_before = self._attributes.owners_unset
        self._attributes.begin_directory()
        (content,) = self._grid.read_small_files((entry.encoded,))
        is_there = self._add(entry, directory, components, result, content, with_flags=with_flags, is_new=is_new)
        self._count_metadata(result, unset_before)
        return is_there

    def _add(
        self,
        entry: Entry,
        directory: int,
        components: Components,
        result: BatchResult,
        content: bytes | None,
        *,
        with_flags: bool = True,
        is_new: bool = True,
        begun: Begun = NOT_BEGUN,
    ) -> bool:
        try:
            size, unset = self._write(entry, directory, content, with_flags, is_new, begun)
        except CHILD_ERRORS as error:
            result.problems.append(problem_of(error, join_components(components, entry.name), self._settings))
            return False
        result.files += 1
        result.bytes += size
        if unset:
            result.problems.append(unset_problem(join_components(components, entry.name), unset))
        return True

    def _count_metadata(self, result: BatchResult, unset_before: int) -> None:
        result.owners_unset += self._attributes.owners_unset - unset_before
        result.unkept.add(self._attributes.take_unkept())

    def finish(self, entry: Entry, descriptor: int, components: Components, result: BatchResult) -> None:
        """Set the metadata of a file whose content others have written, and add it to a result. Raises as `write_beneath` does.

        It is an open file, since another one may have its name by now.
        """
        path = join_components(components, entry.name)
        self._attributes.begin_directory()
        unset_before = self._attributes.owners_unset
        try:
            unset = self._attributes.set_all(descriptor, entry.metadata)
        except OSError as error:
            result.problems.append(problem_of(error, path, self._settings))
            return
        result.files += 1
        result.bytes += entry.size
        self._count_metadata(result, unset_before)
        if unset:
            result.problems.append(unset_problem(path, unset))

    def _write(
        self, entry: Entry, directory: int, content: bytes | None, with_flags: bool, is_new: bool, begun: Begun
    ) -> tuple[int, list[str]]:
        system = self._system
        replaces = self._settings.replaces
        name = temporary_name() if replaces else entry.name
        if begun.close_error:
            raise OSError(begun.close_error, os.strerror(begun.close_error))
        descriptor, written = begun.started or (system.create(name, directory), 0)
        try:
            try:
                if not replaces:
                    self._names.require(entry.name, directory)
                if entry.metadata.flags:
                    self._attributes.set_early_flags(descriptor, entry.metadata)
                size = self._write_content(entry, descriptor, content, written)
                # Flags may forbid to rename.
                unset = self._attributes.set_all(descriptor, entry.metadata, with_flags=with_flags and not replaces)
                if not with_flags:
                    self.unflagged = identity_of(system.fstat(descriptor))
                if replaces:
                    if is_new:
                        self._require_free(entry.name, directory)
                    system.rename(name, entry.name, directory)
            except BaseException:
                # Whatever the reason, a file that is not whole must not look as if it were.
                system.remove(name, directory)
                raise
            if replaces and is_new:
                self.require_name(entry.name, directory)
            if replaces and with_flags:
                unset += self._attributes.set_flags(descriptor, entry.metadata.flags)
        finally:
            system.close(descriptor)
        return size, unset

    def require_name(self, name: bytes, directory: int) -> None:
        """Require that what was just made has its name, and else remove it.

        Raises:
            EntryError: It had another name.
            OSError: It can't be looked up or removed.
        """
        try:
            self._names.require(name, directory)
        except EntryError:
            self._system.remove(name, directory)
            raise

    def require_directory_name(self, name: bytes, directory: int) -> None:
        """Do as `require_name` for an empty directory. Raises as it does."""
        try:
            self._names.require(name, directory)
        except EntryError:
            self._system.remove_directory(name, directory)
            raise

    @property
    def is_root(self) -> bool:
        """Whether this user may do what only root may."""
        return self._attributes.is_root

    def is_fatal(self, error: OSError) -> bool:
        """Whether the destination as a whole fails."""
        return self._settings.is_fatal(error)

    def _write_content(self, entry: Entry, descriptor: int, content: bytes | None, written: int) -> int:
        """Write content of which so many bytes are there."""
        try:
            if content is not None and not entry.metadata.holes:
                write_all(self._system, descriptor, content[written:])
                return len(content)
            return write_content(self._system, self._grid, entry, descriptor)
        except OSError as error:
            raise ContentError(error.errno, error.strerror) from error

    def _require_free(self, name: bytes, directory: int) -> None:
        """Raise FileExistsError where something answers to a name."""
        try:
            self._system.lstat(name, directory)
        except FileNotFoundError:
            return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _divided(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Divide files into groups whose small ones can be in memory together."""
    start = size = 0
    for number, entry in enumerate(entries):
        size += entry.size
        if size >= READ_TOGETHER_SIZE:
            yield entries[start : number + 1]
            start, size = number + 1, 0
    if start < len(entries):
        yield entries[start:]


def problem_of(error: Exception, path: bytes, settings: RestoreSettings) -> Problem:
    """Put what became of one path into words.

    Raises:
        DestinationError: The error says that the destination fails as a whole.
    """
    if isinstance(error, DamageError):
        return Problem(path, ProblemKind.DAMAGED, str(error))
    if not isinstance(error, OSError):
        return Problem(path, ProblemKind.FAILED, str(error))
    if settings.is_fatal(error):
        place = display_path(settings.destination.rstrip(b"/") + b"/" + path)
        raise DestinationError(
            f"{place}: can't be written: {error.strerror}; the restore was stopped: make room or choose another folder"
        ) from error
    if error.errno == errno.EEXIST:
        message = (
            "exists already; use --overwrite"
            if settings.is_beside_others
            else "the name exists already, perhaps in another spelling"
        )
        return Problem(path, ProblemKind.FAILED, message)
    reason = error.strerror or str(error)
    if error.errno == errno.ENAMETOOLONG:
        return Problem(path, ProblemKind.FAILED, f"the name is too long for this file system ({reason})")
    if error.errno in _NAME_REFUSED and is_unusual(path.rpartition(b"/")[2]):
        return Problem(path, ProblemKind.FAILED, f"this file system has no such names ({reason})")
    if error.errno in _KIND_REFUSED:
        return Problem(path, ProblemKind.FAILED, f"this file system can't hold it ({reason})")
    return Problem(path, ProblemKind.FAILED, reason)


def unset_problem(path: bytes, unset: list[str]) -> Problem:
    """Put into words what could not be set."""
    return Problem(path, ProblemKind.UNSET, "not set: " + ", ".join(unset))


def _all_failed(batch: Batch, settings: RestoreSettings, error: OSError) -> BatchResult:
    paths = (join_components(batch.components, entry.name) for entry in batch.entries)
    return BatchResult(problems=[problem_of(error, path, settings) for path in paths])
