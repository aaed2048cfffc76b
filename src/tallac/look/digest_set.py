"""A set of digests for a walk that has to know at once what it has seen: of ten million names it takes as much memory as of one.

The newest are in memory, and all others in a temporary file without a name, where one read finds what is next to a digest.
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from zlib import crc32

from tallac.buckets import ROOM_MIN, temporary_file_failure
from tallac.file_calls import REAL, Buffer, FileCalls

DIGEST_SIZE = 12
RECENT_MAX = 1 << 18
"""So many digests are in memory, some 7 MB; then they go to the file."""

_PREFIX_SIZE = 2
_REST_SIZE = DIGEST_SIZE - _PREFIX_SIZE
_PAGES = 1 << 8 * _PREFIX_SIZE


class DigestSet:
    """Digests of 12 bytes, which are uniformly distributed: by their first two, what follows of each in one text of bytes.

    As Python's own objects in a set of its own they would take eight times as much. Where the disk has little room they stay in
    memory. Not thread-safe.
    """

    def __init__(self, recent_max: int = RECENT_MAX, calls: FileCalls = REAL) -> None:
        """Make an empty set, of which so many digests stay in memory."""
        self._texts = [b""] * _PAGES
        self._count = 0
        self._count_max = recent_max
        self._recent_max = recent_max
        self._calls = calls
        self._pages: _DigestPages | None = None

    def add(self, digest: bytes) -> bool:
        """Add a digest, and return whether it is new.

        Raises:
            LocalStateError: What was put into a temporary file can't be read again, or is something else.
        """
        number, rest = digest[0] << 8 | digest[1], digest[_PREFIX_SIZE:]
        text = self._texts[number]
        if _has(text, rest) or (self._pages is not None and _has(self._pages.text(number), rest)):
            return False
        self._texts[number] = text + rest
        self._count += 1
        if self._count >= self._count_max:
            self._put_away()
        return True

    def _put_away(self) -> None:
        """Move what is in memory into the file; what finds no room stays, and the next try comes once there is twice as much."""
        try:
            if self._pages is None or not self._pages.has_room(self._texts):
                self._pages = _DigestPages(self._pages, self._texts, self._calls)
            else:
                self._pages.append(self._texts)
        except OSError:
            self._count = sum(map(len, self._texts)) // _REST_SIZE
            self._count_max = max(self._recent_max, 2 * self._count)
            return
        self._texts = [b""] * _PAGES
        self._count, self._count_max = 0, self._recent_max


class _DigestPages:
    """The texts of a `DigestSet` in a temporary file, each in a page with room for more; it goes with this object.

    What comes back has the checksum that it went there with: a disk's errors are noticed.
    """

    def __init__(self, former: _DigestPages | None, more: Sequence[bytes], calls: FileCalls) -> None:
        """Put texts after those of former pages, which stay as they are, into pages of twice the size of the longest.

        Raises:
            OSError: There is no room, or little more.
        """
        self._calls = calls
        self._size = 2 * max(map(len, more) if former is None else former.lengths_with(more))
        self._lengths, self._sums = array("Q", bytes(8 * _PAGES)), array("L", bytes(array("L").itemsize * _PAGES))
        if calls.room(tempfile.gettempdir()) < self._size * _PAGES + ROOM_MIN:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # It lives as long as this object.
        # A file without a name needs no more than that somebody closes it.
        weakref.finalize(self, file.close)
        self._descriptor = file.fileno()
        for number, text in enumerate(more):
            whole = text if former is None else former.text(number) + text
            if whole:
                self._write(number * self._size, whole.ljust(self._size, b"\0"))
                self._note(number, whole)

    def has_room(self, more: Sequence[bytes]) -> bool:
        """Whether these texts fit behind those in the file."""
        return max(self.lengths_with(more)) <= self._size

    def lengths_with(self, more: Sequence[bytes]) -> Iterator[int]:
        """Iterate over the lengths that texts have with others behind them."""
        return map(int.__add__, self._lengths, map(len, more))

    def append(self, texts: list[bytes]) -> None:
        """Write texts behind those in the file, and take each out of the list once it is there.

        Raises:
            OSError: The disk failed.
        """
        for number, text in enumerate(texts):
            if text:
                self._write(number * self._size + self._lengths[number], text)
                self._note(number, text)
                texts[number] = b""

    def text(self, number: int) -> bytes:
        """Return a page's text.

        Raises:
            LocalStateError: It can't be read, or is not what was written.
        """
        length = self._lengths[number]
        try:
            text = self._calls.read_at(self._descriptor, length, number * self._size)
        except OSError as error:
            raise temporary_file_failure(f"can't be read: {error.strerror}") from error
        if len(text) != length or crc32(text) != self._sums[number]:
            raise temporary_file_failure("has other bytes than were written to it")
        return text

    def _write(self, at: int, text: Buffer) -> None:
        os.lseek(self._descriptor, at, os.SEEK_SET)
        left = memoryview(text)
        while left:
            left = left[self._calls.write(self._descriptor, left) :]

    def _note(self, number: int, text: bytes) -> None:
        self._lengths[number] += len(text)
        self._sums[number] = crc32(text, self._sums[number])


def _has(text: bytes, rest: bytes) -> bool:
    """Whether one of the digests of a text ends so."""
    place = text.find(rest)
    while place >= 0:
        if not place % _REST_SIZE:
            return True
        # It lies across two of them.
        place = text.find(rest, place + 1)
    return False


def digest_of(text: bytes) -> bytes:
    """Return the digest of what tells something from all else."""
    return blake2b(text, digest_size=DIGEST_SIZE).digest()
