"""Many small records by their first byte: what is more than fits easily into memory lies in a temporary file without a name.

So a command that needs all names, or all hashes, at once takes as much memory for ten million of them as for one. What comes back
from the disk has the hash that it went there with, since it may decide what is deleted.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import accumulate

from tallac.errors import LocalStateError
from tallac.file_calls import REAL, Buffer, FileCalls

FULL_SIZE = 16 << 10
"""A bucket has so many bytes in memory before all go to the file: 4 MiB of them together."""

ROOM_MIN = 128 << 20
"""So many bytes are left free on the disk: a vault may lie there, and a prune writes a pack and registers before it makes room."""

COUNT = 256
_UNITED_SIZE_MIN = 16 << 20
_HASH_SIZE = 16
_PLACE = struct.Struct(f"=QI{_HASH_SIZE}s")


class Spill:
    """A temporary file without a name, in the folder for such files; it goes with this object. Not thread-safe."""

    def __init__(self, calls: FileCalls = REAL) -> None:
        """Make it. Raises OSError: there is no room, or no such folder."""
        self._calls = calls
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # It lives as long as this object.
        self._descriptor = file.fileno()
        self._end = 0
        # A file without a name needs no more than that somebody closes it.
        self._closing = weakref.finalize(self, file.close)

    def add(self, parts: Sequence[Buffer]) -> list[bytes]:
        """Write some parts, and return the place of each, 28 bytes: where it is, and its hash.

        Raises:
            OSError: There is no room, or little more; nothing of them takes any, and what was written before is whole.
        """
        lengths = list(map(len, parts))
        left = memoryview(b"".join(parts))
        if self._calls.room(tempfile.gettempdir()) < len(left) + ROOM_MIN:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # A read may have moved it.
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        try:
            while left:
                left = left[self._calls.write(self._descriptor, left) :]
        except OSError:
            with suppress(OSError):  # What led here is the one to report.
                os.ftruncate(self._descriptor, self._end)
            raise
        starts = list(accumulate(lengths, initial=self._end))
        self._end = starts.pop()
        return list(map(_PLACE.pack, starts, lengths, map(_hash_of, parts)))

    def read(self, places: bytes | bytearray) -> bytes:
        """Return what is at some places, which follow each other in this text, in one piece.

        Raises:
            LocalStateError: It can't be read, or is not what was written.
        """
        return b"".join([self._read(*place) for place in _PLACE.iter_unpack(places)])

    def _read(self, at: int, length: int, hash_: bytes) -> bytes:
        try:
            content = self._calls.read_at(self._descriptor, length, at)
        except OSError as error:
            raise temporary_file_failure(f"can't be read: {error.strerror}") from error
        if len(content) != length or _hash_of(content) != hash_:
            raise temporary_file_failure("has other bytes than were written to it")
        return content

    def close(self) -> None:
        """Free the disk space."""
        self._closing()


class Buckets:
    """Records of some bytes, by the first of them. It is for who adds the records to see that they have one length.

    Where the disk has little room they stay in memory, and a full disk stops nobody: it is a prune that makes room there.

    Attributes:
        recent: The records in memory, for each first byte. Who adds to one of them asks for `settle` once it has `full_size`.
        full_size: So many bytes one of them may have.
    """

    def __init__(self, unite: Callable[[bytes], bytes] | None = None, calls: FileCalls = REAL) -> None:
        """Begin without records.

        Args:
            unite: Makes of records with one first byte those that are to stay, where some may come again; None where none do.
            calls: The operating system.
        """
        self.recent = [bytearray() for _ in range(COUNT)]
        self.full_size = FULL_SIZE
        self._unite = unite
        self._calls = calls
        self._spill: Spill | None = None
        self._places = [bytearray() for _ in range(COUNT)]
        self._spilled_size = 0
        self._united_at = _UNITED_SIZE_MIN

    @property
    def size(self) -> int:
        """Bytes of all records, in memory and in the file; what came again may count twice."""
        return self._spilled_size + sum(map(len, self.recent))

    def starting_with(self, first: int) -> bytes:
        """Return the records with a first byte; what came again may be there twice.

        Raises:
            LocalStateError: They can't be read, or are not what was written.
        """
        recent = self.recent[first]
        return bytes(recent) if self._spill is None else self._spill.read(self._places[first]) + recent

    def settle(self) -> None:
        """Make room in memory: by uniting what came again, or by writing to the file.

        Raises:
            LocalStateError: What was written before can't be read, or is something else.
        """
        if self._unite is not None:
            for bucket in self.recent:
                bucket[:] = self._unite(bytes(bucket))
            if max(map(len, self.recent)) <= self.full_size // 2:
                return
        try:
            self._write_recent()
        except OSError:
            # No room, or no folder for such files. It stays in memory, where the next try comes once there is twice as much.
            self.full_size = 2 * max(map(len, self.recent))
        if self._unite is not None and self._spilled_size >= self._united_at:
            self._unite_spilled(self._unite)

    def _write_recent(self) -> None:
        if self._spill is None:
            self._spill = Spill(self._calls)
        places = self._spill.add(self.recent)
        self._spilled_size += sum(map(len, self.recent))
        for first, place in enumerate(places):
            if self.recent[first]:
                self._places[first] += place
                self.recent[first].clear()
        self.full_size = FULL_SIZE

    def _unite_spilled(self, unite: Callable[[bytes], bytes]) -> None:
        """Write the file anew, with what came again in it once; where there is no room for a second one, the first one stays."""
        former = self._spill
        assert former is not None
        places, size = [], 0
        try:
            spill = Spill(self._calls)
            for of_bucket in self._places:
                united = unite(former.read(of_bucket))
                places.append(bytearray(*spill.add([united])))
                size += len(united)
        except OSError:
            self._united_at *= 2
            return
        former.close()
        self._spill, self._places, self._spilled_size = spill, places, size
        self._united_at = max(_UNITED_SIZE_MIN, 2 * size)


def _hash_of(content: Buffer) -> bytes:
    return blake2b(content, digest_size=_HASH_SIZE).digest()


def temporary_file_failure(what: str) -> LocalStateError:
    """Return the error that says what is wrong with a temporary file."""
    return LocalStateError(
        f"{tempfile.gettempdir()}: a temporary file there {what}; run this again, or set TMPDIR to another folder"
    )
