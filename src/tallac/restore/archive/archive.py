"""A file or directory of a snapshot as a tar or zip archive, written to a stream as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Protocol

from tallac.caps import FileReadCap
from tallac.dag import Components, Entry, Metadata, display_path, join_components
from tallac.errors import ArchiveError, CapError, CorruptObjectError, DamageError, EntryError
from tallac.interfaces import CapReader, Directory
from tallac.restore.count import expect
from tallac.restore.entry_kind import Kind
from tallac.restore.files.file_writer import unset_problem
from tallac.restore.filesystem import DESTINATION
from tallac.restore.options import Overwrite, RestoreOptions, RestoreSettings
from tallac.restore.overwrite.decide import ExistingFiles
from tallac.restore.path_filter import Scope
from tallac.restore.read_only.walk import ReadOnlyWalk
from tallac.restore.report import Change, Problem, ProblemKind, RestoreObserver, RestoreSummary, Tally
from tallac.restore.safe_names import is_safe_component
from tallac.source import SourceEntry
from tallac.source.absence import Absence

_STEP_SIZE = 1 << 20

READ_AHEAD_SIZE_MAX = 8 << 20
"""Up to this size a file is read whole before the archive says that it comes, so that a damaged one can be left out."""


class ArchiveKind(Enum):
    """The forms that an archive can have; the value is the word for it."""

    TAR = "tar"
    ZIP = "zip"


class Sink(Protocol):
    """Takes the archive's bytes."""

    def write(self, data: bytes, /) -> object: ...


class ArchiveWriter(Protocol):
    """Writes one kind of archive. Paths are relative, and those of directories have no slash at the end.

    What can't be kept is given in words and stops nothing. ValueError means that the thing can't be in such an archive; then
    nothing was written of it.
    """

    def add_directory(self, path: bytes, metadata: Metadata) -> list[str]: ...

    def add_file(self, path: bytes, metadata: Metadata, size: int, content: Iterator[bytes]) -> list[str]:
        """Write a regular file, whose content has exactly so many bytes."""
        ...

    def add_special(self, path: bytes, metadata: Metadata) -> list[str]:
        """Write a symbolic link, FIFO, or device."""
        ...

    def add_link(self, path: bytes, first: bytes) -> bool:
        """Write a hard link of a file that is in the archive; False where such archives have none."""
        ...

    def finish(self) -> None:
        """Write what stands at the end."""
        ...

    def abandon(self) -> None:
        """Write nothing more, whatever is called."""
        ...


def write_archive(
    grid: CapReader,
    entry: Entry,
    sink: Sink,
    kind: ArchiveKind,
    *,
    options: RestoreOptions,
    observer: RestoreObserver | None = None,
) -> RestoreSummary:
    """Write what an entry leads to as an archive.

    A directory's entries have paths relative to it. Of the options only the selection counts, and whether the snapshot is foreign.

    Raises:
        EntryError: A file has no name that it could get.
        DamageError: The directory can't be read.
        ArchiveError: A large file is damaged, and the archive ends in the middle of it.
        StoreError: The store failed, other than by damage; the archive is not whole.
        Whatever the sink raises.
    """
    if not entry.is_directory and not is_safe_component(entry.name):
        raise EntryError(f"{display_path(entry.name)!r}: a file can't be restored under this name; give it another one")
    tally = Tally(observer or RestoreObserver())
    expect(tally, grid, entry, options.selection)
    if entry.is_directory:
        entry = tally.take_root(entry, is_foreign=options.is_foreign)
    writer = _writer_of(kind, sink)
    try:
        ArchiveWalk(grid, options, tally, writer).run(entry)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return tally.summary


def _writer_of(kind: ArchiveKind, sink: Sink) -> ArchiveWriter:
    if kind is ArchiveKind.TAR:
        # lazy import: tarfile and zipfile take longer to load than a small archive takes to write.
        from tallac.restore.archive.tar import TarWriter

        return TarWriter(sink)
    from tallac.restore.archive.zip import ZipWriter  # lazy import: as above

    return ZipWriter(sink)


class ArchiveWalk(ReadOnlyWalk):
    """Puts everything that is wanted into an archive."""

    # Nothing local is looked at: an OSError is the sink's, and ends the archive.
    child_errors = (DamageError, CapError, EntryError, ValueError, OverflowError)

    def __init__(self, grid: CapReader, options: RestoreOptions, tally: Tally, writer: ArchiveWriter) -> None:
        """Write with this writer, which is finished by the caller."""
        settings = RestoreSettings()
        existing = ExistingFiles(grid, settings, DESTINATION, Overwrite.NEVER)
        super().__init__(grid, None, settings, DESTINATION, tally, options.selection, existing, is_foreign=options.is_foreign)
        self._writer = writer
        # The newest name on each level. Names that ascend are each there once, so that no path is, and nothing lies below a link.
        self._last: list[bytes] = []
        # Directories on the way to what may be wanted.
        self._unwritten: list[tuple[Components, Metadata]] = []

    def run(self, entry: Entry, absence: Absence | None = None) -> None:
        """Write a directory with all that is in it, or a file."""
        if entry.is_directory:
            self._unwritten.append(((), entry.metadata))
            if self._selection.top is Scope.IN:
                self._write_directories(())
        super().run(entry)

    def visit_directory(self, entry: Entry, change: Change, found: SourceEntry | None, scope: Scope) -> None:
        components = (*self.components, entry.name)
        self._unwritten = [pair for pair in self._unwritten if pair[0] == components[: len(pair[0])]]
        self._unwritten.append((components, entry.metadata))
        if scope is Scope.IN:
            self._write_directories(components)

    def visit_file(
        self, entry: Entry, change: Change, found: SourceEntry | None, kind: Kind, first: tuple[Components, bytes] | None
    ) -> bool:
        self._write_directories(self.components)
        path = join_components(self.components, entry.name)
        if first is not None and self._writer.add_link(path, join_components((*first[0], first[1]))):
            self._tally.count_made(Change.NEW, path)
            return True
        if kind is Kind.REGULAR:
            size, content = self._content(entry, path)
            unset = self._writer.add_file(path, entry.metadata, size, content)
            self._tally.summary.bytes += size
        else:
            unset = self._writer.add_special(path, entry.metadata)
        self._tally.count_made(Change.NEW, path)
        self._report_unset(path, unset)
        return True

    def enter(self, entry: Entry, descriptor: int, stored: Directory, scope: Scope, absence: Absence | None) -> None:
        """Do nothing: no directory is there."""

    def _look(self, entry: Entry) -> None:
        depth = len(self._levels)
        del self._last[depth:]
        if len(self._last) == depth and entry.name <= self._last[-1]:
            path = join_components(self.components, entry.name)
            self._tally.add(Problem(path, ProblemKind.FAILED, "the name stands twice in its directory, or out of order"))
            return
        self._last[depth - 1 :] = [entry.name]
        super()._look(entry)

    def _write_directories(self, components: Components) -> None:
        for above, metadata in self._unwritten:
            if above == components[: len(above)]:
                path = join_components(above)
                self._report_unset(path, self._writer.add_directory(path, metadata))
                self._tally.summary.directories += 1
                self._tally.report(Change.NEW, path)
        self._unwritten = []

    def _report_unset(self, path: bytes, unset: list[str]) -> None:
        if unset:
            self._tally.add(unset_problem(path, unset))

    def _content(self, entry: Entry, path: bytes) -> tuple[int, Iterator[bytes]]:
        (small,) = self._grid.read_small_files((entry.encoded,))
        if small is not None:
            return len(small), iter((small,))
        cap = entry.cap
        if not isinstance(cap, FileReadCap):
            raise CapError("the cap leads to no file that can be read")
        with self._grid.open_file(cap) as reader:
            size = reader.seek(0, 2)
        if size > READ_AHEAD_SIZE_MAX:
            return size, self._stream(cap, size, path)
        content = list(self._blocks(cap, size))
        return size, iter(content)

    def _blocks(self, cap: FileReadCap, size: int) -> Iterator[bytes]:
        with self._grid.open_file(cap) as reader:
            left = size
            while left:
                block = reader.read(min(_STEP_SIZE, left))
                if not block:
                    raise CorruptObjectError(f"the content ends {left} bytes early")
                left -= len(block)
                yield block

    def _stream(self, cap: FileReadCap, size: int, path: bytes) -> Iterator[bytes]:
        try:
            yield from self._blocks(cap, size)
        except DamageError as error:
            advice = "leave it out with --exclude, or restore into a folder"
            raise ArchiveError(
                f"{display_path(path)}: damaged, and the archive ends in the middle of it ({error}); {advice}"
            ) from error
