"""What the command offers, for programs: the same names, values instead of printed lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from tallac.caps import FileReadCap, ReadCap, WriteCap
from tallac.connect.backups import BackingUp
from tallac.connect.connection import Connection
from tallac.connect.folders import Folders
from tallac.connect.keeping import Keeping
from tallac.connect.looking import Looking
from tallac.connect.retaining import Retaining
from tallac.connect.serving import Serving
from tallac.connect.vaults import GridChoice
from tallac.connect.written_place import is_remote
from tallac.dag import Entry, Metadata
from tallac.errors import AuthorityError, SourceError, UsageError
from tallac.interfaces import FileContent, Grid
from tallac.transfer import (
    CopyReport,
    Place,
    Sink,
    copy_to_grid,
    copy_to_local,
    download,
    find,
    find_strongest,
    get_file,
    link,
    make_directory,
    metadata_of_file,
    move,
    put_file,
    unlink,
)
from tallac.vault import KeeperKey, LocatorKey

if TYPE_CHECKING:
    from tallac.restore import RestoreObserver, RestoreOptions, RestoreSummary


class Client(BackingUp, Retaining, Keeping, Serving, Looking):
    """A user's Tallac: places are written as on the command line, `ALIAS:PATH` or with a cap in place of the alias.

    Use it in a `with` block, or close it. Not thread-safe. Methods raise TallacErrors whose message is meant for the user.

    Attributes:
        connection: Opens what the configuration names.
    """

    def __init__(
        self,
        folders: Folders | None = None,
        *,
        grid: str | None = None,
        vault_key_file: str | None = None,
        node_directory: str | None = None,
        node_url: str | None = None,
        standard_input: BinaryIO | None = None,
    ) -> None:
        """Use the user's own folders, or others; nothing is opened yet.

        Args:
            folders: Where configuration, state and default vault are.
            grid: A vault's folder or URL, where no alias says it.
            vault_key_file: Where to read the key of a vault that the configuration does not know; `-` for standard input.
            node_directory: A Tahoe-LAFS node's folder, for its grid and aliases.
            node_url: A Tahoe-LAFS node's URL, for its grid.
            standard_input: What `-` stands for.
        """
        self.standard_input = standard_input
        choice = GridChoice(grid, vault_key_file, node_directory, node_url)
        self.connection = Connection(folders or Folders.standard(), choice, standard_input=standard_input)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        self.connection.close()

    # Aliases, caps and keys

    def create_alias(self, name: str) -> str:
        """Make a new directory and an alias for it; say where a vault was made for it, "" where there was one."""
        return self.connection.create_alias(name)

    def add_alias(self, name: str, cap: str) -> None:
        """Remember a cap under a name."""
        self.connection.add_alias(name, self.connection.parse_cap(cap))

    def list_aliases(self) -> list[tuple[str, str]]:
        """List aliases, each with the place of its grid."""
        return self.connection.aliases()

    def cap(self, place: str) -> ReadCap:
        """Give the read cap of what is at a place."""
        grid, located = self.connection.resolve(place)
        return find(grid, located).cap

    def write_cap(self, place: str) -> WriteCap:
        """Give the write cap of what is at a place.

        Raises:
            AuthorityError: It can't be changed.
        """
        grid, located = self.connection.resolve(place)
        cap, _ = find_strongest(grid, located)
        if not isinstance(cap, WriteCap):
            raise AuthorityError(f"{located}: it has no write cap, because it can't be changed")
        return cap

    def locator_key(self, alias: str) -> LocatorKey:
        """Give the key that a holder of a read cap needs beside it."""
        return self.connection.vault_key(alias).locator_key

    def keeper_key(self, alias: str) -> KeeperKey:
        """Give the key that checks, prunes and copies a vault, and reads nothing.

        Raises:
            AuthorityError: Only a locator key is known here.
        """
        key = self.connection.vault_key(alias)
        if isinstance(key, LocatorKey):
            raise AuthorityError(
                f"{alias}: only the locator key of its vault is known here; ask the vault's owner for the keeper key"
            )
        return key.keeper_key

    # Looking

    def get(self, place: str, sink: Sink) -> int:
        """Write a file's content to a sink and give its length. What was written is right, even where an error follows."""
        grid, located = self.connection.resolve(place)
        return get_file(grid, located, sink)

    def download(self, place: str, path: str | Path) -> int:
        """Write a file's content to a local path, complete or not at all."""
        grid, located = self.connection.resolve(place)
        return download(grid, located, Path(path))

    def restore(
        self,
        place: str,
        folder: str | Path,
        *,
        options: RestoreOptions | None = None,
        observer: RestoreObserver | None = None,
    ) -> RestoreSummary:
        """Bring back a directory into a new or empty folder, or a file into a folder."""
        # Late, as in backup.
        from tallac.restore import RestoreOptions, restore

        grid, located = self.connection.resolve(place)
        found = find(grid, located)
        entry = Entry.of(located.name or b"", found.cap, found.metadata)
        return restore(grid, entry, folder, options=options or RestoreOptions(), observer=observer)

    # Changing

    def put(self, content: FileContent, place: str | None = None, metadata: Metadata | None = None) -> FileReadCap:
        """Store a stream, under a name if a place is given, and give its read cap."""
        if place is None:
            return put_file(self.connection.default_grid(), None, content, Metadata())
        grid, located = self.connection.resolve(place)
        return put_file(grid, located, content, metadata or Metadata())

    def put_path(self, path: str | Path, place: str | None = None) -> FileReadCap:
        """Store a local file; into a directory, where the place is one."""
        try:
            file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - only the opening's errors are the user's.
        except OSError as error:
            raise SourceError(f"{path}: can't read it ({error.strerror})") from error
        with file:
            return self.put(file, place, metadata_of_file(file.fileno()))

    def mkdir(self, place: str) -> None:
        """Make a directory, with its parents; one that is there is left as it is."""
        grid, located = self.connection.resolve(place)
        make_directory(grid, located)

    def cp(self, sources: Sequence[str], target: str, *, recursive: bool = False, report: CopyReport | None = None) -> CopyReport:
        """Copy between local paths and places, or between places of one grid."""
        report = report or CopyReport()
        into = target.endswith("/")
        if is_remote(target):
            grid, located = self.connection.resolve(target)
            copy_to_grid(
                grid, [self._source(grid, source) for source in sources], located, recursive=recursive, into=into, report=report
            )
        else:
            grid, places = self._places(sources)
            copy_to_local(grid, places, Path(target), recursive=recursive, into=into, report=report)
        return report

    def mv(self, source: str, target: str) -> Place:
        """Give an entry another name or directory, on the same grid, and say where it is now."""
        grid, old, new = self._pair(source, target)
        return move(grid, old, new)

    def ln(self, source: str, target: str) -> None:
        """Enter what is at one place at another as well."""
        grid, old, new = self._pair(source, target)
        cap, metadata = find_strongest(grid, old)
        link(grid, cap, metadata, new)

    def unlink(self, place: str) -> Entry:
        """Take an entry out of its directory and give it back."""
        grid, located = self.connection.resolve(place)
        return unlink(grid, located)

    def _source(self, grid: Grid, text: str) -> Path | Place:
        if not is_remote(text):
            return Path(text)
        other, place = self.connection.resolve(text)
        _require_same(grid, other, text)
        return place

    def _places(self, sources: Sequence[str]) -> tuple[Grid, list[Place]]:
        local = [source for source in sources if not is_remote(source)]
        if local:
            raise UsageError(f"{local[0]}: neither this nor the target is on a grid; write ALIAS:PATH for a place on a grid")
        resolved = [self.connection.resolve(source) for source in sources]
        for (other, _), text in zip(resolved, sources, strict=True):
            _require_same(resolved[0][0], other, text)
        return resolved[0][0], [place for _, place in resolved]

    def _pair(self, source: str, target: str) -> tuple[Grid, Place, Place]:
        grid, old = self.connection.resolve(source)
        other, new = self.connection.resolve(target)
        _require_same(grid, other, source)
        return grid, old, new


def _require_same(grid: Grid, other: Grid, text: str) -> None:
    if grid is not other:
        raise UsageError(f"{text}: this is on another grid; get it to a local path first, then put it")
