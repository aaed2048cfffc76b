"""Reading files and directories through a gateway."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import msgspec

from tallac.caps import DirectoryReadCap, FileReadCap, ImmutableDirectory, ImmutableFile, LiteralDirectory, LiteralFile
from tallac.dag import EncodedCap
from tallac.errors import AuthorityError, StoreError
from tallac.interfaces import BinaryReader
from tallac.tahoe.children import TahoeDirectory, entries_of
from tallac.webapi import WebClient, WebReader

DIRECTORIES_KEPT = 64


class TahoeReader:
    """Reads files and directories by their caps. A few immutable directories are cached. Thread-safe."""

    def __init__(self, client: WebClient) -> None:
        self._client = client
        self._kept: OrderedDict[DirectoryReadCap, TahoeDirectory] = OrderedDict()
        self._lock = threading.Lock()

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        if isinstance(cap, LiteralFile):
            return BytesIO(cap.data)
        where, text = str(cap), cap.danger_whole_text()
        size = cap.size if isinstance(cap, ImmutableFile) else self._client.look(text, where=where).size
        if size is None:
            # A node tells what a cap says although the content is lost; to ask for that gives the reason.
            with self._client.reading(text, 0, None, where=where):
                pass
            raise StoreError(f"{where}: the Tahoe-LAFS node does not know the size of this file")
        return WebReader(self._client, text, size, where)

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        return [cap.data if cap.is_literal_file else None for cap in map(EncodedCap, encoded)]

    def read_directory(self, cap: DirectoryReadCap) -> TahoeDirectory:
        if isinstance(cap, LiteralDirectory):
            return _literal_directory(cap)
        with self._lock:
            if (kept := self._kept.get(cap)) is not None:
                self._kept.move_to_end(cap)
                return kept
        stored = self._client.look(cap.danger_whole_text(), where=str(cap))
        if stored.kind != "dirnode":
            raise AuthorityError(f"{cap}: the Tahoe-LAFS node finds no directory for this cap; check that it belongs to this grid")
        directory = TahoeDirectory(entries_of(stored.children, with_node_key=True))
        if isinstance(cap, ImmutableDirectory):
            with self._lock:
                self._kept[cap] = directory
                if len(self._kept) > DIRECTORIES_KEPT:
                    self._kept.popitem(last=False)
        return directory


def _literal_directory(cap: LiteralDirectory) -> TahoeDirectory:
    if not cap.data:
        return TahoeDirectory([])
    # lazy import: hardly any directory lies in its cap, and commands on a node start with little
    from tallac.dag.literal_table import decode_literal

    return TahoeDirectory(decode_literal(cap.data))


class TahoeReaderRecipe(msgspec.Struct, frozen=True):
    """Opens a reader of files in a worker process. It holds no secrets: each cap carries its own key."""

    url: str

    @contextmanager
    def open(self) -> Iterator[TahoeReader]:
        """See `tallac.interfaces.WorkerRecipe`."""
        client = WebClient(self.url)
        try:
            yield TahoeReader(client)
        finally:
            client.close()
