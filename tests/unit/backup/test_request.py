from __future__ import annotations

import os

import pytest

from tallac.backup.request import WORKERS_MAX, workers_for, workers_here


@pytest.mark.parametrize(("processors", "workers"), [(1, 1), (2, 2), (3, 3), (4, 4), (8, WORKERS_MAX), (64, WORKERS_MAX), (0, 1)])
def test_there_are_as_many_workers_as_processors(processors: int, workers: int) -> None:
    """One worker a processor, one at least, and no more than one listing process keeps busy."""
    assert workers_for(processors) == workers


def test_only_processors_that_may_be_used_count() -> None:
    """A process that is bound to one processor starts one worker, whatever the machine has."""
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert workers_here() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert workers_here() == workers_for(len(allowed))
