"""Uploads that wait on this machine until they are complete, for stores that take an object as a whole."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from tallac.errors import StoreError
from tallac.interfaces import Buffer

SPOOLED_IN_MEMORY_MAX = 8 << 20
_STEP_SIZE = 1 << 20


class SpooledUpload:
    """An object in the making. It waits on this machine, in a file without a name where it is large."""

    def __init__(
        self, location: str, add: Callable[[str, IO[bytes], int], None], in_memory_max: int = SPOOLED_IN_MEMORY_MAX
    ) -> None:
        """Begin with no bytes.

        Args:
            location: The store's, for messages.
            add: Stores an object from an open file that stands at its beginning, unless there is one of this name.
            in_memory_max: From this size on, in bytes, it waits in a file.
        """
        self._location = location
        self._add = add
        self._file: IO[bytes] | None = tempfile.SpooledTemporaryFile(in_memory_max)  # noqa: SIM115 - see abort.

    def write(self, data: Buffer) -> None:
        try:
            self._require_file().write(data)
        except OSError as error:
            raise StoreError(f"{tempfile.gettempdir()}: can't keep there what is to be uploaded ({error.strerror})") from error

    def commit(self, name: str) -> None:
        file = self._require_file()
        try:
            size = file.tell()
            file.seek(0)
            self._add(name, file, size)
        finally:
            self.abort()

    def abort(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _require_file(self) -> IO[bytes]:
        if self._file is None:
            raise StoreError(f"this upload to {self._location} has ended: begin another one")
        return self._file


def spooled_parts(file: IO[bytes], size: int, step_size: int = _STEP_SIZE) -> Iterator[bytes]:
    """Iterate over what waits in a file, from its beginning on, so many bytes at a time.

    Raises:
        StoreError: It can't be read, or is not all there.
    """
    left = size
    place = tempfile.gettempdir()
    try:
        file.seek(0)
        while part := file.read(step_size):
            left -= len(part)
            yield part
    except OSError as error:
        raise StoreError(f"{place}: can't read there what is to be uploaded ({error.strerror})") from error
    if left:
        raise StoreError(f"{place}: what was to be uploaded from there has lost bytes; check the disk")
