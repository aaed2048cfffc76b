"""The thread of a connection ends without leaving anything behind, whatever is begun at its end."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.backends import sftp_session
from tallac.backends.sftp_channel import Channel
from tallac.backends.sftp_session import SftpSession, SftpSettings

SETTINGS = SftpSettings(host="localhost", path="/nowhere")

LOADING = """
import ctypes.util
import sys
search = ctypes.util.find_library
started = []
sys.addaudithook(lambda event, given: started.append(given) if event in ("subprocess.Popen", "os.exec", "os.posix_spawn") else None)
from tallac.backends.sftp_session import load_library
load_library()
load_library()
assert "asyncssh" in sys.modules
assert ctypes.util.find_library is search
assert not started, started
try:
    ctypes.CDLL("libnettle.so.8")
except OSError:
    pass
else:
    from asyncssh.mac import get_mac_algs
    assert b"umac-64@openssh.com" in get_mac_algs()
"""

LOADING_BESIDE = """
import ctypes.util
import sys
import threading
asked, found, kept = [], [], []
def search(name):
    asked.append(name)
    return "there"
ctypes.util.find_library = search
def look():
    kept.append(ctypes.util.find_library)
    found.append(ctypes.util.find_library("beside"))
def come_between(event, given):
    if event == "import" and given[0] == "asyncssh.crypto.umac":
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
sys.addaudithook(come_between)
from tallac.backends.sftp_session import load_library
load_library()
assert (found, asked) == (["there"], ["beside"]), (found, asked)
assert kept[0]("later") == "there"
"""

SCRIPT = """
import asyncio
import logging
from tallac.backends.sftp_session import SftpSession, SftpSettings
session = SftpSession(SftpSettings(host="localhost", path="/nowhere"))
loop = session._started()
session._link.channel = object()

# Under load a callback takes long, which asyncio's debugging tells as well.
logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing"))

async def never(_channel):
    await asyncio.Event().wait()

for _ in range(200):
    session.begin(never)
"""


async def never(_channel: Channel) -> None:
    """Wait for what does not come."""
    await asyncio.Event().wait()


def test_what_is_begun_in_the_last_moment_leaves_no_task(caplog: pytest.LogCaptureFixture) -> None:
    """Of operations under way when a connection ends, and of those begun while its loop is about to stop, none is left."""
    session = SftpSession(SETTINGS)
    loop, link = session._started(), session._link
    assert session._ends is not None
    session._ends.detach()
    link.channel = cast("Channel", object())
    thread = session._thread
    assert thread is not None
    session.begin(never)

    def end_and_begin() -> None:
        sftp_session._end(loop, link)
        assert link.ending is not None
        link.ending.add_done_callback(lambda _task: session.begin(never))

    with caplog.at_level(logging.ERROR, "asyncio"):
        loop.call_soon_threadsafe(end_and_begin)
        thread.join(PATIENCE_SECONDS)
        session.begin(never)
        gc.collect()
    assert not thread.is_alive()
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("is_of_a_channel", [True, False])
def test_what_could_not_begin_is_closed(*, is_of_a_channel: bool) -> None:
    """A request that nobody waits for, and that ends with the loop before it has begun, is no forgotten one to the interpreter."""
    requests: list[Coroutine[Any, Any, None]] = []

    def request(channel: Channel) -> Coroutine[Any, Any, None]:
        requests.append(never(channel))
        return requests[-1]

    async def begin_and_end() -> None:
        if is_of_a_channel:
            channel = Channel.__new__(Channel)
            channel._unwaited = set()
            channel.leave(request(channel))
        else:
            session = SftpSession(SETTINGS)
            session._link.channel = Channel.__new__(Channel)
            session._begin(request)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    asyncio.run(begin_and_end())
    assert [inspect.getcoroutinestate(each) for each in requests] == [inspect.CORO_CLOSED]


def test_a_process_ends_in_silence() -> None:
    """A process that ends while requests are under way whose answer nobody waits for says nothing of it."""
    finished = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT], capture_output=True, check=False, text=True, timeout=PATIENCE_SECONDS
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_no_program_is_run_while_the_library_is_loaded() -> None:
    """The library looks for others by a compiler while it is loaded: it finds them without, and nobody else notices."""
    subprocess.run([sys.executable, "-c", LOADING], check=True, timeout=PATIENCE_SECONDS)


def test_other_threads_find_libraries_meanwhile() -> None:
    """What another thread loads at the same time finds what it needs, then and later."""
    subprocess.run([sys.executable, "-c", LOADING_BESIDE], check=True, timeout=PATIENCE_SECONDS)
