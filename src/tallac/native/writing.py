"""Making many small files in one call: those that have an owner, permissions and a time, and nothing else."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

from tallac.native import Library

Owner = tuple[int, int]
Rights = tuple[int, int, int]
"""Permission bits, and owner and group by number."""


class Started(NamedTuple):
    """A file that is made, and open for writing, with so many bytes of its content."""

    descriptor: int
    written: int


class NewFiles(ctypes.Structure):
    """As `struct tallac_new_files`."""

    _fields_ = [
        ("names", ctypes.c_void_p),
        ("contents", ctypes.c_void_p),
        ("sizes", ctypes.c_void_p),
        ("times", ctypes.c_void_p),
        ("rights", ctypes.c_void_p),
        ("names_size", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
    ]


class Progress(ctypes.Structure):
    """As `struct tallac_writing`."""

    _fields_ = [
        ("number", ctypes.c_uint64),
        ("name_at", ctypes.c_uint64),
        ("written", ctypes.c_uint64),
        ("descriptor", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("made_uid", ctypes.c_uint32),
        ("made_gid", ctypes.c_uint32),
        ("is_owner_known", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class FilesToWrite:
    """Files of one directory, made one after the other. Whatever is not as usual with one of them is left to the caller.

    Attributes:
        number: Of the next file; after `go_on` has returned False, of the one that something unusual was found at.
    """

    def __init__(
        self,
        library: Library,
        names: Sequence[bytes],
        contents: Sequence[bytes],
        times: Sequence[tuple[int, int]],
        rights: Sequence[Rights],
        made_for: Owner | None,
    ) -> None:
        """Make nothing yet.

        Args:
            library: Does it.
            names: Single components, without a zero byte.
            contents: All of their contents.
            times: Of their last change, in seconds and nanoseconds.
            rights: What they get beside content and time.
            made_for: Whom a new file in their directory belongs to at first; None where it has to be looked at.
        """
        self._write = library.write_files
        self._names = names
        count = len(names)
        encoded = b"\0".join(names) + b"\0"
        if encoded.count(b"\0") != count or not len(contents) == len(times) == len(rights) == count:
            raise ValueError("a name has a zero byte, or not all files have everything")
        sizes, flat_times = array("Q", map(len, contents)), array("q", chain.from_iterable(times))
        flat_rights = array("I", chain.from_iterable(rights))
        pointers = (ctypes.c_char_p * count)(*contents)
        # They hold the memory that the C function reads.
        self._kept = encoded, contents, sizes, flat_times, flat_rights, pointers
        addresses = (each.buffer_info()[0] for each in (sizes, flat_times, flat_rights))
        names_at = ctypes.cast(ctypes.c_char_p(encoded), ctypes.c_void_p)
        self._files = NewFiles(names_at, ctypes.addressof(pointers), *addresses, len(encoded), count)
        uid, gid = made_for or (0, 0)
        self._progress = Progress(descriptor=-1, made_uid=uid, made_gid=gid, is_owner_known=made_for is not None)

    @property
    def number(self) -> int:
        """Which file is the next."""
        return int(self._progress.number)

    @property
    def made_for(self) -> Owner | None:
        """Whom a new file in the directory belongs to at first, as far as that is known."""
        progress = self._progress
        return (progress.made_uid, progress.made_gid) if progress.is_owner_known else None

    @property
    def close_error(self) -> int:
        """Why the file could not be closed, which has all else; 0 where that is not what is unusual."""
        return int(self._progress.error)

    def go_on(self, directory: int) -> bool:
        """Make files in an open directory; return whether all are made. If not, `take_started` and `pass_over` one."""
        files, progress = ctypes.byref(self._files), ctypes.byref(self._progress)
        # Where files take long, it returns between them: a process that is to end at once does so in here.
        while (status := self._write(directory, files, progress)) == 1:
            pass
        return bool(status == 0)

    def take_started(self) -> Started | None:
        """Return the file that was begun and not finished, which is the caller's from now on; None where it was not made."""
        progress = self._progress
        if progress.descriptor < 0:
            return None
        started = Started(progress.descriptor, progress.written)
        progress.descriptor = -1
        return started

    def pass_over(self) -> None:
        """Go on behind the file that something unusual was found at."""
        self._progress.name_at += len(self._names[self.number]) + 1
        self._progress.number += 1


WriteMany = Callable[[Sequence[bytes], Sequence[bytes], Sequence[tuple[int, int]], Sequence[Rights], Owner | None], FilesToWrite]
"""Makes `FilesToWrite`, given all but the library."""
