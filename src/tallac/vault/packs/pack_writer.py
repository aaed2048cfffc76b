"""Where sealed objects go while a batch is written: the open packs, and the thread that makes finished ones durable."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from tallac.errors import StoreError, StoreUnavailableError
from tallac.interfaces import Backend, DistantBackend, HighLatencyBackend, Randomness, Upload
from tallac.together import STEP_SECONDS, STOP
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack
from tallac.vault.format.structure import Structure
from tallac.vault.packs.pack import PACK_SIZE_MIN, PACK_SIZE_MIN_FIRST, OpenPack, pack_path

OPEN_PACKS = 2
PACK_SHARE = 4
"""A pack is large enough with a fourth of what was stored before it: few are small, and little is left to be sent at the end."""

SHUFFLED_SIZE = 4 << 20
SHUFFLED_COUNT = 1 << 13
"""So many bytes or objects are collected and shuffled before they are written: their order tells little of the source's."""

COMMITS_WAITING_MAX = 2

FAREWELL_SECONDS = 0.2
"""So long a pack that is under way is waited for after an interrupt."""

DISTANT_UPLOADS = 2
"""While the answer about one pack is on its way, the line has the next one to take."""


def uploads_max(backend: Backend) -> int:
    """Return how many packs a backend takes at the same time."""
    if isinstance(backend, HighLatencyBackend):
        return backend.uploads_max
    return DISTANT_UPLOADS if isinstance(backend, DistantBackend) else 1


def worker_uploads_max(backend: Backend) -> int:
    """Return how many packs a backend takes from each of several worker processes at the same time."""
    return backend.worker_uploads if isinstance(backend, DistantBackend) else 1


class PackUploader:
    """Make finished packs durable in threads of its own, so that sealing goes on meanwhile."""

    def __init__(self, count: int = 1) -> None:
        """Make a committer with so many threads; each starts with a pack."""
        self._count = count
        self._waiting: queue.Queue[tuple[Upload, FinishedPack] | None] = queue.Queue(COMMITS_WAITING_MAX)
        self._durable: queue.SimpleQueue[FinishedPack] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def commit(self, upload: Upload, pack: FinishedPack) -> None:
        """Take over an upload. Blocks while too many are waiting.

        Raises:
            StoreError: An earlier one failed; this one was given up.
        """
        if self._error is not None:
            _give_up(upload)
            raise self._error
        if len(self._threads) < self._count:
            self._threads.append(threading.Thread(target=self._run, name="tallac-committer", daemon=True))
            self._threads[-1].start()
        self._hand_over((upload, pack))

    def durable(self) -> Iterator[FinishedPack]:
        """Iterate over the packs that have become durable since the last call."""
        while not self._durable.empty():
            yield self._durable.get()

    def finish(self) -> None:
        """Wait until all packs are durable; once the process is to end, only a moment for those under way.

        Raises:
            StoreError: One of them failed, or was left.
        """
        for _ in self._threads:
            self._hand_over(None)
        left = FAREWELL_SECONDS
        while self._threads:
            thread = self._threads.pop()
            while thread.is_alive():
                if left <= 0:
                    raise StoreUnavailableError("what was being stored is left, since this process is to end")
                thread.join(STEP_SECONDS)
                left -= STEP_SECONDS * STOP.is_asked_for
        self._check()

    def _hand_over(self, item: tuple[Upload, FinishedPack] | None) -> None:
        """Hand something to a thread, in place of what waits where the process is to end."""
        while True:
            try:
                self._waiting.put(item, timeout=STEP_SECONDS)
            except queue.Full:
                with suppress(queue.Empty):
                    if STOP.is_asked_for and (waiting := self._waiting.get_nowait()) is not None:
                        _give_up(waiting[0])
            else:
                return

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            upload, pack = item
            if self._error is not None or STOP.is_asked_for:
                _give_up(upload)
                continue
            try:
                upload.commit(pack_path(pack.name))
                self._durable.put(pack)
            except BaseException as error:  # noqa: BLE001  It is raised again in the caller's thread, by `_check`.
                self._error = error
                _give_up(upload)


def _give_up(upload: Upload) -> None:
    """Abort an upload after an error, which is the one to report. The thread must live on: who hands over packs waits for it."""
    with suppress(BaseException):
        upload.abort()


class _Waiting(NamedTuple):
    name: bytes
    hash: bytes
    content: bytes
    links: bytes


class PackWriter:
    """The open packs of one class of objects (file content; or directories and lists). Not thread-safe."""

    def __init__(
        self, backend: Backend, structure: Structure, codec: Codec, randomness: Randomness, committer: PackUploader
    ) -> None:
        """Begin with no open pack; packs are opened as they are needed."""
        self._backend = backend
        self._structure = structure
        self._codec = codec
        self._randomness = randomness
        self._order = random.Random(randomness(16))  # noqa: S311  Its numbers are seen by nobody, and need not be unpredictable.
        self._committer = committer
        self._waiting: list[_Waiting] = []
        self._waiting_size = 0
        self._open: list[OpenPack | None] = [None] * OPEN_PACKS
        self._has_begun = False
        self._ahead: Upload | None = None
        self._finished_size = 0

    @property
    def size(self) -> int:
        """Bytes taken so far, finished packs included."""
        return self._finished_size + self._waiting_size + sum(pack.size for pack in self._open if pack is not None)

    def begin(self) -> None:
        """Begin the first pack's upload before there is anything to write: a distant store is connected to meanwhile."""
        if not self._has_begun:
            self._has_begun = True
            self._ahead = self._backend.upload()

    def add(self, name: bytes, stored_hash: bytes, content: bytes, links: bytes) -> None:
        """Take a sealed object, which goes into one of the open packs, at random.

        Raises:
            StoreError: Writing failed, now or earlier; the batch is lost.
        """
        self.begin()
        self._waiting.append(_Waiting(name, stored_hash, content, links))
        self._waiting_size += len(content) + len(links)
        if self._waiting_size >= SHUFFLED_SIZE or len(self._waiting) >= SHUFFLED_COUNT:
            self._write()

    def finish(self) -> None:
        """Hand all open packs to the committer."""
        self._write()
        for slot in range(OPEN_PACKS):
            self._close(slot)
        self._give_up_ahead()

    def abort(self) -> None:
        """Throw the open packs away."""
        self._waiting, self._waiting_size = [], 0
        self._give_up_ahead()
        for slot, pack in enumerate(self._open):
            if pack is not None:
                self._open[slot] = None
                pack.upload.abort()

    def _write(self) -> None:
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        self._order.shuffle(waiting)
        pack_size_min = min(PACK_SIZE_MIN, max(PACK_SIZE_MIN_FIRST, self._finished_size // PACK_SHARE))
        for each in waiting:
            slot = self._order.getrandbits(1)
            pack = self._open[slot]
            if pack is None:
                pack = self._open[slot] = OpenPack(self._upload())
            pack.append(*each)
            if pack.is_full(pack_size_min):
                self._close(slot)

    def _give_up_ahead(self) -> None:
        upload, self._ahead = self._ahead, None
        if upload is not None:
            upload.abort()

    def _upload(self) -> Upload:
        upload, self._ahead = self._ahead, None
        return self._backend.upload() if upload is None else upload

    def _close(self, slot: int) -> None:
        pack = self._open[slot]
        if pack is None:
            return
        self._open[slot] = None
        try:
            finished = pack.finish(self._structure, self._codec, self._randomness)
        except StoreError:
            pack.upload.abort()
            raise
        self._finished_size += finished.size
        self._committer.commit(pack.upload, finished)
