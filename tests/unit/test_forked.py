from __future__ import annotations

import subprocess
import sys

import pytest
from tests.command import PATIENCE_SECONDS, clean_environment

SCRIPT = """
import os, signal, sys, time
from tallac.forked import SecondProcess, may_fork
assert may_fork() == (len(os.sched_getaffinity(0)) > 1)
what = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"handled"))
before = os.listdir("/proc/self/fd")
messages = [bytes([number % 256]) * (number * 700) for number in range(300)]
def work(send):
    for message in messages:
        send(message)
    if what == "fails":
        raise ValueError("no more")
    if what in ("waits", "is terminated"):
        while True:
            time.sleep(1)
process = SecondProcess(work)
child, found = process._process, []
while len(found) < len(messages):
    found += process.receive()
assert found == messages
if what == "is terminated":
    os.kill(child, signal.SIGTERM)
if what != "waits":
    while process._process:
        assert process.receive() == []
process.end()
process.end()
assert process.receive() == []
try:
    os.kill(child, 0)
    raise AssertionError("it is there")
except ProcessLookupError:
    pass
assert os.listdir("/proc/self/fd") == before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
@pytest.mark.parametrize("what", ["ends", "waits", "fails", "is terminated"])
def test_messages(what: str) -> None:
    """All messages come, whole and in order; however the process ends, its parent goes on, and nothing is left of it."""
    # A process of its own: one that runs tests has threads, and is not to be forked.
    command = [sys.executable, "-c", SCRIPT, what]
    done = subprocess.run(command, capture_output=True, check=False, env=clean_environment(), timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
