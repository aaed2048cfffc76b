"""The bytes of a file on their way to a server, and their sync behind them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tallac.backends.sftp_answers import WINDOW_SIZE
from tallac.backends.sftp_new_file import NewFile
from tallac.backends.sftp_sweep import wait_for_sweep
from tallac.backends.silence import give_up
from tallac.backends.traffic import Traffic
from tallac.interfaces import Buffer

if TYPE_CHECKING:
    from tallac.backends.sftp_channel import Channel


async def write_durably(channel: Channel, new: NewFile, parts: Iterable[Buffer], folders: Sequence[str], traffic: Traffic) -> None:
    """Write all of a file, and make it durable; see `SftpSequences.write`."""
    step, pace = channel.step(channel.write_size_max), channel.pace
    making = [asyncio.ensure_future(channel.make_folder(folder)) for folder in folders]
    waiting: deque[asyncio.Task[None]] = deque()
    offset = 0
    try:
        for part in parts:
            view = memoryview(part).cast("B")
            for start in range(0, len(view), step):
                while len(waiting) * step >= WINDOW_SIZE:
                    await waiting.popleft()
                content = bytes(view[start : start + step])
                if pace is not None:
                    seconds = pace.sending(len(content))
                    await channel.wait_for_turn(seconds if offset else 0.0)
                waiting.append(asyncio.ensure_future(new.file.write(content, offset)))
                offset += len(content)
                traffic.add(sent=len(content))
        # Tasks begin in the order in which they were made.
        waiting.append(asyncio.ensure_future(new.file.sync()))
        while waiting:
            await waiting.popleft()
        made = await asyncio.gather(*making, return_exceptions=True)
        new.no_folder = next((error for error in made[-1:] if isinstance(error, OSError)), None)
    except OSError:
        # Whether it fits once leftovers are removed can be known only then.
        with suppress(OSError):
            await wait_for_sweep(new)
        raise
    finally:
        await give_up([*making, *waiting])
    await wait_for_sweep(new)
