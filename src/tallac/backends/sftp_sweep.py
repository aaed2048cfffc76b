"""The removal of what killed runs left on a server, beside the first file of a run, which gets no name before that has ended."""

from __future__ import annotations

import asyncio
import errno
import posixpath
from typing import TYPE_CHECKING

from tallac.backends.sftp_answers import SERVER_FAILED, together
from tallac.backends.sftp_new_file import NewFile
from tallac.backends.temporary import is_leftover

if TYPE_CHECKING:
    from tallac.backends.sftp_channel import Channel

_FULL = frozenset({SERVER_FAILED, errno.ENOSPC, errno.EDQUOT})


class Sweep:
    """The look for leftovers in a folder. Belongs to the thread of one loop."""

    def __init__(self) -> None:
        """Look for nothing yet."""
        self._task: asyncio.Task[None] | None = None

    def begin(self, channel: Channel, folder: str, beside: str) -> None:
        """Begin to remove what killed runs have left in a folder, without waiting.

        Args:
            channel: Where.
            folder: The folder.
            beside: The name of a file in it whose creation was sent just now: its times are those of the server's clock.
        """
        self._task = asyncio.ensure_future(_removed(channel, folder, beside))
        # The error is that of the files that were begun meanwhile.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def under_way(self) -> asyncio.Task[None] | None:
        """The task that a file that is begun now has to wait for; None for none."""
        return None if self._task is None or self._task.done() else self._task


async def wait_for_sweep(new: NewFile) -> None:
    """Wait until what was under way when a file was begun has ended. Raises what it has come to."""
    if new.sweeping is not None:
        await asyncio.wait({new.sweeping})
        new.sweeping.result()


def was_crowded(new: NewFile, error: OSError) -> bool:
    """Whether a file that was refused may fit now: what killed runs had left, and is removed by now, may have filled the disk."""
    return new.sweeping is not None and not new.has_ended and error.errno in _FULL


async def _removed(channel: Channel, folder: str, beside: str) -> None:
    there = await channel.names_in(folder)
    # By this machine's clock, which may be days ahead, that very file and what others are writing would be old.
    now_ns = next((found.mtime_ns for found in there if found.name == beside), None)
    names = [found.name for found in there if is_leftover(found, now_ns)]
    # It may be somebody else's file, or somebody else was faster. It costs space and nothing more.
    await together(*(channel.remove(posixpath.join(folder, name)) for name in names))
