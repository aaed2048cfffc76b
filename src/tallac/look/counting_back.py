"""A second process that counts what is in snapshots from their end on, while the walk comes from the beginning.

To read directories and to tell their objects is nearly all that the stats of snapshots take, and two processors do it in half the
time. A process goes through the directories in the opposite order and sends what each comes to. Where the walk meets the first
directory that was sent, the rest has been counted, and the process is ended.

It reports nothing: before what can't be read, told, or taken whole it ends, and the walk comes to that by itself. So what is said,
and in which order, is the same as without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from tallac.dag import Entry
from tallac.errors import TallacError
from tallac.forked import SecondProcess, Send, may_fork
from tallac.interfaces import CapReader, ForkableReader, StoredSizes
from tallac.look.tables import walk_tables_back
from tallac.look.tally import Owners, Tally, note_owner, tally_of

FILES_MIN = 5_000
"""Of so many files in the largest snapshot a second process is worth its start."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Tally).decode


class CountedBack:
    """Takes in what the other process has counted, as the walk goes on. Without a process it is nothing."""

    def __init__(self, process: SecondProcess | None, add: Callable[[Tally], None]) -> None:
        """Pass each tally to `add`, once, if the walk has not been there."""
        self._process = process
        self._add = add
        self._walked = [b""]
        self._counted: list[bytes] | None = None

    def has_counted(self, path: bytes) -> bool:
        """Whether a directory and all that comes after it is counted; if not, the walk counts it. The walk asks in its order."""
        if self._process is None:
            return False
        for message in self._process.receive():
            tally = _decode(message)
            place = _place(tally.path)
            # Both may have been in one directory at the same time.
            if place > self._walked:
                self._add(tally)
                self._counted = place
        self._walked = _place(path)
        return self._counted is not None and self._walked >= self._counted


@contextmanager
def counting_back(reader: CapReader, snapshots: Sequence[Entry], add: Callable[[Tally], None]) -> Iterator[CountedBack]:
    """Count in a second process, which ends with the block; without one where there can't be any, or there are few files."""
    process = _started(reader, snapshots)
    try:
        yield CountedBack(process, add)
    finally:
        if process is not None:
            process.end()


def _started(reader: CapReader, snapshots: Sequence[Entry]) -> SecondProcess | None:
    files = max((entry.metadata.snapshot.files for entry in snapshots if entry.metadata.snapshot is not None), default=0)
    if files < FILES_MIN or not isinstance(reader, ForkableReader):
        return None
    try:
        if reader.prepare_fork() and may_fork():
            return SecondProcess(lambda send: count_back(reader, snapshots, send))
    except TallacError:
        pass  # The walk comes to it.
    except OSError:
        pass  # The walk does without.
    return None


def count_back(reader: CapReader, snapshots: Sequence[Entry], send: Send) -> None:
    """Send what each directory comes to, the last one first, up to the first that can't be told whole."""
    sizes = reader if isinstance(reader, StoredSizes) else None
    owners: Owners = {}
    for tables in walk_tables_back(reader, snapshots):
        tally, problems = tally_of(tables, sizes, owners)
        if problems:
            return
        for noted in tally.noted:
            for encoded, _, _ in noted.several:
                note_owner(owners, encoded, noted.owner)
        send(_encode(tally))


def _place(path: bytes) -> list[bytes]:
    """Return what is in the order of the walk: a directory comes before all that is below it, and that before what follows it."""
    return path.split(b"/")
