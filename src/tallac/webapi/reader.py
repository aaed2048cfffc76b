"""A seekable reader of one file behind a gateway, which verifies what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from tallac.errors import CorruptObjectError
from tallac.webapi.client import WebClient


class WebReader:
    """Reads a file of known size as a stream: sequential reads are one request. Not thread-safe."""

    def __init__(self, client: WebClient, cap: str, size: int, where: str) -> None:
        """Start at offset 0; nothing is sent yet."""
        self._client = client
        self._cap = cap
        self._size = size
        self._where = where
        self._position = 0
        self._answer: AbstractContextManager[Iterator[bytes]] | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes, or the rest of the file if it is negative.

        Raises:
            MissingObjectError, StoreError: The grid can't provide the bytes.
            CorruptObjectError: The file is shorter than its size.
        """
        wanted = self._size - self._position if size < 0 else min(size, self._size - self._position)
        if wanted <= 0:
            return b""
        if self._answer is None:
            self._answer = self._client.reading(self._cap, self._position, None, where=self._where)
            self._chunks = self._answer.__enter__()
        parts, missing = [], wanted
        while missing > 0:
            part = self._take(missing)
            parts.append(part)
            missing -= len(part)
        self._position += wanted
        return b"".join(parts)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Change the position; the next read there is another request."""
        base = {0: 0, 1: self._position, 2: self._size}[whence]
        position = max(0, base + offset)
        if position != self._position:
            self._end_answer()
            self._position = position
        return position

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def close(self) -> None:
        """Abort the request in progress."""
        self._end_answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self.close()

    def _take(self, size: int) -> bytes:
        if not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                raise CorruptObjectError(f"{self._where}: the Tahoe-LAFS node gave less of it than there should be") from None
        part, self._rest = self._rest[:size], self._rest[size:]
        return part

    def _end_answer(self) -> None:
        answer, self._answer = self._answer, None
        self._chunks, self._rest = iter(()), b""
        if answer is not None:
            answer.__exit__(None, None, None)
