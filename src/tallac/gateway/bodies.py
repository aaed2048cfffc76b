"""Request bodies: read with limits on size and waiting time, and kept on disk where they are large."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.requests import ClientDisconnect, Request

from tallac.errors import RequestError

CAP_SIZE_MAX = 64 << 10
"""The longest body that is to be a cap, in bytes."""

JSON_SIZE_MAX = 64 << 20
"""The longest list of children, in bytes. A node is limited by its memory alone."""

IN_MEMORY_SIZE_MAX = 1 << 20
PART_WAIT_SECONDS = 60.0
STEP_SIZE = 1 << 20


async def parts(request: Request) -> AsyncIterator[bytes]:
    """Iterate over the parts of a body as they arrive.

    Raises:
        RequestError: The client sent nothing for `PART_WAIT_SECONDS`, or disconnected.
    """
    stream = aiter(request.stream())
    try:
        while True:
            async with asyncio.timeout(PART_WAIT_SECONDS):
                part = await anext(stream)
            yield part
    except StopAsyncIteration:
        return
    except TimeoutError:
        raise RequestError("the rest of the request did not come in time", 408) from None
    except ClientDisconnect:
        raise RequestError("the client went away", 400) from None


async def read_body(request: Request, size_max: int) -> bytes:
    """Read a body of at most size_max bytes into memory.

    Raises:
        RequestError: The body is too large, or the client stopped sending.
    """
    body = bytearray()
    async for part in parts(request):
        body += part
        if len(body) > size_max:
            raise RequestError(f"the request is larger than {size_max} bytes", 413)
    return bytes(body)


class StoppableContent:
    """An upload as a grid reads it, which breaks off when the gateway ends. See `tallac.interfaces.FileContent`."""

    def __init__(self, file: IO[bytes], require_open: Callable[[], None]) -> None:
        """Read from a file; require_open is asked before each step, and may raise."""
        self._file = file
        self._require_open = require_open

    def readinto(self, buffer: memoryview) -> int:
        """Read the next bytes into a buffer, and return how many they are; 0 at the end."""
        self._require_open()
        part = self._file.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


class Spool:
    """A temporary file that holds a whole upload before the grid stores it, so that a slow client keeps nobody waiting.

    The caller closes it.
    """

    def __init__(self) -> None:
        """Open an empty one, in memory until it is larger than `IN_MEMORY_SIZE_MAX`."""
        self.file: SpooledTemporaryFile[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_SIZE_MAX)  # noqa: SIM115
        self._waiting = bytearray()
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Append data; a large step is written in a thread, so that the event loop does not wait for the disk."""
        self.size += len(data)
        self._waiting += data
        if len(self._waiting) >= STEP_SIZE:
            await self._flush()

    async def finish(self) -> None:
        """Write buffered data, and rewind."""
        await self._flush()
        self.file.seek(0)

    def close(self) -> None:
        """Delete the temporary file."""
        self.file.close()

    async def _flush(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        try:
            if len(data) >= STEP_SIZE:
                await asyncio.to_thread(self.file.write, data)
            else:
                self.file.write(data)
        except OSError as error:
            raise RequestError(f"the gateway can't keep the upload: {error.strerror}", 507) from error


async def spool_body(request: Request, size_max: int | None = None) -> Spool:
    """Read a body, of any length or of at most size_max bytes, into a temporary file, rewound.

    Raises:
        RequestError: The body is too large, the client stopped sending, or the temporary file can't be written.
    """
    spool = Spool()
    try:
        async for part in parts(request):
            await spool.write(part)
            if size_max is not None and spool.size > size_max:
                raise RequestError(f"the request is larger than {size_max} bytes", 413)
        await spool.finish()
    except BaseException:
        spool.close()
        raise
    return spool
