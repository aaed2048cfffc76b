from __future__ import annotations

import pickle
import sys

import pytest

from tallac.backends.traffic import Traffic
from tallac.interfaces import TrafficCount


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
