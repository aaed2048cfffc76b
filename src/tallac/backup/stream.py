"""Backing up a stream, as standard input is one: a snapshot with a single file in it."""

from __future__ import annotations

import os
import stat
from itertools import islice

import msgspec

from tallac.backup.request import BackupRequest
from tallac.backup.summary import BackupSummary, Counts
from tallac.backup.target import Naming, Target, enter_snapshot, open_target
from tallac.caps import DirectoryReadCap
from tallac.dag import LATEST, Entry, Metadata, encode_cap, time_from_ns
from tallac.errors import FencedError, SourceError
from tallac.interfaces import CapReader, Clock, FileContent, Grid


def back_up_stream(grid: Grid, request: BackupRequest, name: bytes, content: FileContent, clock: Clock) -> BackupSummary:
    """Store a stream, read to its end, as the only file of one more snapshot; durable when this returns.

    Args:
        grid: Where the target is.
        request: What goes for any backup; its source and selection are not looked at.
        name: The file's.
        content: What is in it. Where reading it raises, nothing is entered.
        clock: The time.

    Raises:
        SourceError: A prune took over while this ran, and a stream can't be read twice.
        NotADirectoryCapError, StoreError: As `back_up`.
    """
    started_ns = clock.now_ns()
    with grid.session() as session:
        target = open_target(grid, request.root, request.path)
        with session.writing() as writer:
            cap = writer.put_file(_Guarded(content))
            entry = Entry(name, encode_cap(cap), _metadata(stat.S_IFREG | 0o600, clock.now_ns()))
            root = writer.put_directory([entry])
        facts = msgspec.structs.replace(
            request.facts,
            sources=request.named_sources,
            started_ns=started_ns,
            ended_ns=clock.now_ns(),
            files=1,
            size=entry.size,
            bytes_stored=writer.bytes_stored,
        )
        encoded = encode_cap(root)
        entered = b""
        if not (request.skips_unchanged and _is_in_latest(grid, target, entry)):
            metadata = msgspec.structs.replace(_metadata(stat.S_IFDIR | 0o700, clock.now_ns()), partial=True, snapshot=facts)
            try:
                session.commit([root])
            except FencedError as error:
                raise SourceError("a prune took over while this was stored, and no snapshot was made; start it again") from error
            entered = enter_snapshot(grid, session, target, encoded, metadata, Naming(clock, request.time_ns))
    return BackupSummary(
        name=entered,
        cap=root,
        files=Counts(new=1),
        directories=Counts(),
        size=facts.size,
        bytes_read=facts.size,
        bytes_stored=facts.bytes_stored,
        seconds=(facts.ended_ns - started_ns) / 1e9,
        unreadable=0,
        vanished=0,
        excluded=0,
    )


def _is_in_latest(grid: CapReader, target: Target, entry: Entry) -> bool:
    """Whether the latest snapshot has this content under this name and nothing else. A stream has no time of its own."""
    latest = grid.read_directory(target.directory.read_cap).get(LATEST)
    cap = None if latest is None else latest.cap
    if not isinstance(cap, DirectoryReadCap):
        return False
    return [(found.name, found.encoded) for found in islice(grid.read_directory(cap), 2)] == [(entry.name, entry.encoded)]


class _Guarded:
    """A stream whose failure is the source's and not the store's."""

    def __init__(self, content: FileContent) -> None:
        self._content = content

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            return self._content.readinto(buffer)
        except OSError as error:
            raise SourceError(f"the stream can't be read ({error.strerror}); no snapshot was made") from error


def _metadata(mode: int, now_ns: int) -> Metadata:
    """Return the metadata that a file written now by this user would have."""
    if not hasattr(os, "getuid"):
        return Metadata(mode=mode, mtime=time_from_ns(now_ns))
    return Metadata(mode=mode, uid=os.getuid(), gid=os.getgid(), mtime=time_from_ns(now_ns))
