"""A second process that looks at the source from its end on, while the walk comes from its beginning.

Of an unchanged source nearly all time goes into asking the kernel for each name. Two processors do that in half the time: a process
goes through the source in the opposite order and reports the signatures of directories that have no subdirectories. Where the walk
meets the first directory that was reported, the other process has done the rest, and is ended.

A report stands for nothing but a listing that was made a moment before; whether the directory is as it was recorded is for the walk
to decide. It takes a report only for the same rules, and only for a minute: what was looked at before that is looked at again.
Where something has changed, the listing itself is reported, and the directory is gone through by it, as of the time at which it was
made.
"""

from __future__ import annotations

import contextlib
import gc
import os
from typing import Self

import msgspec

from tallac.backup.leaves import Leaf, LeafTask
from tallac.backup.request import BackupRequest
from tallac.forked import READ_SIZE, Splitter, end, fork, send_message

AGE_MAX_NS = 60_000_000_000
"""So long a report counts."""

LEAVES_MAX = 50_000
"""So many reports wait in memory (about 20 MB, and the listings); the other process waits until some are taken."""

_DESCRIPTORS = "/proc/self/fd"


class LookAhead:
    """The other process, and what it has reported. Close it.

    Attributes:
        task: What it looks at; the descriptor in it is the caller's.
        started_ns: The wall clock before it began.
    """

    def __init__(self, task: LeafTask, started_ns: int) -> None:
        """Fork the process. This one must have no other thread: a fork copies the locks that threads hold; see `may_fork`.

        Raises:
            OSError: It can't be started.
        """
        self.task = task
        self.started_ns = started_ns
        self._leaves: dict[bytes, Leaf] = {}
        self._splitter = Splitter()
        self._reports, reports = os.pipe()
        try:
            os.set_blocking(self._reports, False)
            self._process = fork(lambda: _live_as_child(task, reports))
        except BaseException:
            os.close(self._reports)
            raise
        finally:
            os.close(reports)

    def fits(self, root: int, request: BackupRequest) -> bool:
        """Whether a request is for what the process looks at, in an open directory."""
        task, status, own = self.task, os.fstat(root), os.fstat(self.task.root)
        return (
            (status.st_dev, status.st_ino) == (own.st_dev, own.st_ino)
            and (task.source, task.selection, task.scope) == (request.source, request.selection, request.scope)
            and task.own.file_inodes == request.own.file_inodes
            and request.trusts_timestamps
        )

    def find(self, path: bytes, now_ns: int) -> Leaf | None:
        """Return what was reported of a directory, once; the walk asks in ascending order.

        Args:
            path: Its absolute path.
            now_ns: The time, by `since_start_ns`.
        """
        self._receive()
        leaf = self._leaves.pop(path, None)
        if leaf is None:
            return None
        # All that comes after it was looked at before it.
        self._end()
        return leaf if now_ns - leaf.looked_ns < AGE_MAX_NS else None

    def close(self) -> None:
        """End the other process. Doing so twice does nothing."""
        self._end()
        self._leaves.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _receive(self) -> None:
        """Take the reports that have come, without waiting, as far as there is room for them."""
        while self._process and len(self._leaves) < LEAVES_MAX:
            try:
                more = os.read(self._reports, READ_SIZE)
            except BlockingIOError:
                return
            if not more:
                self._end()
                return
            self._take(more)

    def _take(self, more: bytes) -> None:
        for report in self._splitter.take(more):
            leaf = _decode(report)
            self._leaves[leaf.path] = leaf

    def _end(self) -> None:
        """End the process, and take what it has reported until then."""
        if not self._process:
            return
        process, self._process = self._process, 0
        end(process)
        try:
            while len(self._leaves) < LEAVES_MAX and (more := os.read(self._reports, READ_SIZE)):
                self._take(more)
        finally:
            os.close(self._reports)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Leaf).decode


def _live_as_child(task: LeafTask, reports: int) -> None:
    """Report with no descriptors but those that are needed: of others some may be locked."""
    gc.disable()
    for descriptor in map(int, os.listdir(_DESCRIPTORS)):
        if descriptor not in (task.root, reports):
            with contextlib.suppress(OSError):  # That of the listing itself is closed already.
                os.close(descriptor)
    for leaf in task.leaves():
        send_message(reports, _encode(leaf))
