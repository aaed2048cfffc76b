"""Request bodies: read with bounds on size and waiting, and kept on disk where they are large."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile

from starlette.requests import ClientDisconnect, Request

from tallac.errors import RequestError

JSON_SIZE_MAX = 64 << 20
"""Bytes of a list of children. A node's own limit is its memory."""

IN_MEMORY_SIZE_MAX = 1 << 20
PART_WAIT_SECONDS = 60.0
STEP_SIZE = 1 << 20


async def parts(request: Request) -> AsyncIterator[bytes]:
    """Give a body piece by piece.

    Raises:
        RequestError: The client stopped sending.
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


async def read_body(request: Request, size_max: int = JSON_SIZE_MAX) -> bytes:
    """Read a body that has to fit into memory.

    Raises:
        RequestError: It is too large, or does not come.
    """
    body = bytearray()
    async for part in parts(request):
        body += part
        if len(body) > size_max:
            raise RequestError(f"the request is larger than {size_max} bytes", 413)
    return bytes(body)


class Spool:
    """What an upload becomes before a grid is asked to store it: so a slow client keeps nobody waiting. Close it."""

    def __init__(self) -> None:
        """Begin an empty one."""
        self.file: SpooledTemporaryFile[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_SIZE_MAX)  # noqa: SIM115
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        """Append; a large step goes to disk in a thread of its own."""
        self._waiting += data
        if len(self._waiting) >= STEP_SIZE:
            await self._flush()

    async def finish(self) -> None:
        """Write what is left, and go to the beginning."""
        await self._flush()
        self.file.seek(0)

    def close(self) -> None:
        """Throw it away."""
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


async def spool_body(request: Request) -> Spool:
    """Read an upload of any length.

    Raises:
        RequestError: It does not come, or can't be kept.
    """
    spool = Spool()
    try:
        async for part in parts(request):
            await spool.write(part)
        await spool.finish()
    except BaseException:
        spool.close()
        raise
    return spool
