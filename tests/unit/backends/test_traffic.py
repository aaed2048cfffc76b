from __future__ import annotations

import pickle

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
