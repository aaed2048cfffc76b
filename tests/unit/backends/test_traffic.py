from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from tallac.backends.traffic import Traffic
from tallac.interfaces import TrafficCount

RECEIVING = """
import sys
from tallac.backends.traffic import Traffic
traffic = Traffic(sys.argv[1])
with traffic.asking():
    traffic.add(sent=1, received=1)
    print(flush=True)
    while True:
        traffic.add(sent=1, received=1)
"""


def test_objects_of_one_process_count_together() -> None:
    """Another object that counts into the same folder, in this process as in any, takes nothing away from the first one's count."""
    traffic = Traffic()
    traffic.add(sent=1)
    others = [pickle.loads(pickle.dumps(traffic)) for _ in range(2)]  # noqa: S301 - it was made here.
    for each in (traffic, *others, traffic):
        each.add(requests=2, sent=10, received=100)
    assert [each.total() for each in (traffic, *others)] == [TrafficCount(9, 41, 400)] * 3
    traffic.remove()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of open files")
def test_a_process_without_a_free_descriptor_tells_its_own_count() -> None:
    """Who looks from time to time whether the store is silent can't read what the others have counted, and goes on."""
    import resource  # lazy import: not on Windows

    traffic = Traffic()
    pickle.loads(pickle.dumps(traffic)).add()  # noqa: S301 - it was made here.
    traffic.add()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        alone = traffic.total()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (alone.requests, traffic.total().requests) == (1, 2)
    traffic.remove()


def test_a_count_is_read_while_another_process_writes_it() -> None:
    """Who looks never finds a part of it: what has been heard of the store just now would seem to be a silence."""
    traffic = Traffic(clock=lambda: 0.0)
    pickle.dumps(traffic)
    command = [sys.executable, "-c", RECEIVING, str(traffic.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = traffic.waiting()
        looks = [traffic.waiting() for _ in range(5_000)]
        process.kill()
    assert {look.asked_at for look in looks} == {began.asked_at}
    assert min(look.heard_at for look in looks) >= began.heard_at > 0.0
    traffic.remove()
