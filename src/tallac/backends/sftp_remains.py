"""The files that a broken connection may have left of this process on a server, to be removed over the next one."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from tallac.backends.sftp_answers import raise_first, together
from tallac.backends.sftp_files import SftpFileCalls
from tallac.crypto.hashing import hash_file_bytes
from tallac.interfaces import Version

if TYPE_CHECKING:
    from tallac.backends.sftp_channel import Channel


class SftpRemains:
    """Files in the making, and claims, of which nobody knows whether they are there. Thread-safe."""

    def __init__(self, calls: SftpFileCalls) -> None:
        """Remove nothing yet."""
        self._calls = calls
        self._lock = threading.Lock()
        self._removing = threading.Lock()
        self._left: dict[str, Version | None] = {}

    def note(self, path: str, version: Version | None = None) -> None:
        """Note what may have been left.

        Args:
            path: Its path.
            version: Its content's, where others may have made a file of that name since; None for a name that nobody else has.
        """
        with self._lock:
            self._left[path] = version

    def remove(self, seconds: float | None = None) -> None:
        """Remove all of it that is this process's. What the server does not let go costs space and nothing more.

        Args:
            seconds: How long that may take; None for as long as it does.

        Raises:
            OSError, StoreError: There is no connection, or it broke; then all of it stays noted.
        """
        # Who tries once more what was cut off must not meet what is just being removed, by whichever thread.
        with self._removing:
            with self._lock:
                left, self._left = self._left, {}
            try:
                if left:
                    self._calls.ask(lambda channel: asyncio.wait_for(_remove(channel, left), seconds), requests=len(left))
            except BaseException:
                with self._lock:
                    self._left = left | self._left
                raise


async def _remove(channel: Channel, left: dict[str, Version | None]) -> None:
    answers = await together(*(_remove_one(channel, path, version) for path, version in left.items()))
    raise_first(each for each in answers if isinstance(each, ConnectionError) or not isinstance(each, OSError))


async def _remove_one(channel: Channel, path: str, version: Version | None) -> None:
    if version is None or hash_file_bytes(await (await channel.open_to_read(path)).read_whole()) == version:
        await channel.remove(path)
