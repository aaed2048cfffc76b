"""A Tahoe-LAFS grid behind a gateway, as a `Grid`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path

from tallac.caps import (
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    FileWriteCap,
    MutableDirectoryWrite,
    MutableFormat,
    ReadCap,
    parse,
)
from tallac.dag import Entry
from tallac.dag.child_names import grid_name
from tallac.errors import AuthorityError, ConflictError, MalformedCapError, ObjectNotFoundError, StoreError
from tallac.interfaces import BinaryReader, CheckReport, FileContent
from tallac.tahoe.checking import check_through
from tallac.tahoe.children import TahoeDirectory, child_of, entries_of, without_node_key
from tallac.tahoe.health import HealthRecord
from tallac.tahoe.holding import Holding
from tallac.tahoe.reading import TahoeReader, TahoeReaderRecipe
from tallac.tahoe.writer import STREAM_STEP_SIZE, TahoeWriter, chunks_of
from tallac.webapi import WebChild, WebClient

EDIT_TRIES = 20

Edit = Callable[[list[Entry]], list[Entry]]
Lock = Callable[[], AbstractContextManager[None]]


class TahoeSession:
    """The session of one writer. Nothing is registered: a grid never deletes what it was given because of another client."""

    def __init__(self, client: WebClient, reader: TahoeReader, holding: Holding) -> None:
        self._parts = client, reader, holding

    @contextmanager
    def writing(self) -> Iterator[TahoeWriter]:
        yield TahoeWriter(*self._parts)

    def commit(self, caps: Iterable[ReadCap], *, found: Iterable[ReadCap] = ()) -> None:
        """Do nothing: a grid keeps what was stored."""

    def keep(self, caps: Iterable[ReadCap]) -> None:
        """Do nothing: a grid keeps what was stored."""


class TahoeGrid:
    """A Tahoe-LAFS grid. Thread-safe, except for `close`.

    There is no compare-and-swap: an edit is sent as the entries that it adds, replaces and removes, and the node applies each of
    these to the directory's state at that moment. An added entry never replaces one that another client has added. On one machine
    edits run one at a time.

    Attributes:
        client: The gateway.
    """

    def __init__(
        self,
        url: str,
        state: Path,
        *,
        identity: str,
        lock: Lock,
        now_ns: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
        before_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Use the gateway at a URL; nothing is asked yet.

        Args:
            url: The URL of the gateway.
            state: An existing folder for local state.
            identity: The file name of the local state of this grid.
            lock: A lock between processes, held during each edit.
            now_ns: The clock.
            chance: Returns random numbers in [0, 1).
            before_change: Called before anything is stored or changed; what it raises prevents that.
        """
        self.client = WebClient(url)
        self._identity = identity
        self._health = HealthRecord(state / f"{identity}.db", now_ns, chance)
        self._reader = TahoeReader(self.client)
        self._holding = Holding(self.client, self._reader, self._health)
        self._lock = lock
        self._before_change = before_change
        self._edits = threading.Lock()

    @property
    def identity(self) -> str:
        return self._identity

    def close(self) -> None:
        self._health.close()
        self.client.close()

    @contextmanager
    def session(self) -> Iterator[TahoeSession]:
        self._before_change()
        yield TahoeSession(self.client, self._reader, self._holding)

    # Reading

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        return self._reader.open_file(cap)

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        return self._reader.read_small_files(encoded)

    def reader_recipe(self) -> TahoeReaderRecipe:
        return TahoeReaderRecipe(self.client.url)

    def read_directory(self, cap: DirectoryReadCap) -> TahoeDirectory:
        return self._reader.read_directory(cap)

    # Changing

    def create_directory(self, mutable_format: MutableFormat = MutableFormat.SDMF) -> DirectoryWriteCap:
        self._before_change()
        cap = self._made(self.client.make_directory(mutable_format.name))
        if not isinstance(cap, DirectoryWriteCap):
            raise StoreError(f"{self.client.url}: the node answered with something that is no directory's write cap")
        return cap

    def create_file(self, content: FileContent, mutable_format: MutableFormat = MutableFormat.SDMF) -> FileWriteCap:
        self._before_change()
        cap = self._made(self.client.make_file(chunks_of(content), mutable_format.name))
        if not isinstance(cap, FileWriteCap):
            raise StoreError(f"{self.client.url}: the node answered with something that is no file's write cap")
        return cap

    def write_file(self, cap: FileWriteCap, content: FileContent, *, offset: int | None = None) -> None:
        self._before_change()
        text, where = cap.danger_whole_text(), str(cap)
        with self._edits, self._lock():
            chunks = chunks_of(content)
            if offset is not None:
                size = self.client.look(text, where=where).size or 0
                # Not every kind of mutable file can be written past its end.
                chunks, offset = chain(_zeros(offset - size), chunks), min(offset, size)
            self.client.write_file(text, chunks, offset=offset, where=where)

    def edit_directory(self, cap: DirectoryWriteCap, edit: Edit) -> list[Entry]:
        if not isinstance(cap, MutableDirectoryWrite):
            raise AuthorityError(f"{cap}: this directory can't be changed")
        with self._edits, self._lock():
            for _ in range(EDIT_TRIES):
                stored = self._entries(cap)
                before = [without_node_key(entry) for entry in stored]
                edited = sorted((without_node_key(entry) for entry in edit(list(before))), key=lambda entry: entry.name)
                try:
                    self._send(cap, before, edited)
                except (ConflictError, ObjectNotFoundError):
                    continue  # Another client has added or removed the same name first.
                # What was not changed keeps what only the node sets.
                unchanged = {entry.name: (entry, as_stored) for entry, as_stored in zip(before, stored, strict=True)}
                return [_as_stored(entry, *unchanged.get(entry.name, (None, entry))) for entry in edited]
        raise ConflictError(f"{cap}: this directory keeps changing; try again later")

    def _made(self, text: str) -> Cap:
        try:
            return parse(text)
        except MalformedCapError as error:
            raise StoreError(f"{self.client.url}: the node answered with something that is no cap") from error

    def _entries(self, cap: MutableDirectoryWrite) -> list[Entry]:
        stored = self.client.look(cap.danger_whole_text(), where=str(cap))
        return entries_of(stored.children, with_node_key=True)

    def _send(self, cap: MutableDirectoryWrite, before: list[Entry], edited: list[Entry]) -> None:
        """Send the differences; removals come last, so that a moved entry is there twice, not lost, if this breaks off."""
        if edited != before:
            self._before_change()
        old = {entry.name: entry for entry in before}
        text, where = cap.danger_whole_text(), str(cap)
        added: dict[str, WebChild] = dict(child_of(entry) for entry in edited if entry.name not in old)
        replaced = dict(child_of(entry) for entry in edited if entry.name in old and old[entry.name] != entry)
        kept = {entry.name for entry in edited}
        if added:
            self.client.set_children(text, added, where=where, replace=False)
        if replaced:
            self.client.set_children(text, replaced, where=where, replace=True)
        for name in old:
            if name not in kept:
                self.client.unlink(text, grid_name(name), where=where)

    # Checking

    def deep_stats(self, cap: DirectoryReadCap) -> dict[str, int]:
        """Return the counts and sizes of everything below a directory, each object once, as the gateway computes them."""
        stats: object = {}
        for found in self.client.stream(cap.danger_whole_text(), "stream-manifest", where=str(cap)):
            stats = found.get("stats") or stats
        return {key: value for key, value in stats.items() if isinstance(value, int)} if isinstance(stats, dict) else {}

    def check_and_repair(
        self,
        cap: Cap,
        *,
        verify: bool,
        repair: bool,
        add_lease: bool,
        progress: Callable[[CheckReport], None] | None = None,
    ) -> CheckReport:
        """Check everything below a cap; the gateway repairs it and renews its leases. See `tallac.tahoe.checking.check_through`."""
        return check_through(self.client, cap, verify=verify, repair=repair, add_lease=add_lease, progress=progress)

    def check(self, cap: Cap, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        return check_through(self.client, cap, verify=read_data, progress=progress)

    def check_structure(self, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Return an empty report: a grid has no structure of its own, and its servers are checked by those who run them."""
        return CheckReport()


def _as_stored(entry: Entry, before: Entry | None, stored: Entry) -> Entry:
    return stored if entry == before else entry


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, STREAM_STEP_SIZE))
        count -= STREAM_STEP_SIZE
