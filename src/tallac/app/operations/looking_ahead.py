"""A second process that looks at the sources of a backup, and its start before anything of a store is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from tallac.app.operations.backup_sources import Sources
from tallac.backup.leaves import LeafTask
from tallac.backup.look_ahead import LookAhead
from tallac.clock import SystemClock
from tallac.errors import TallacError
from tallac.forked import may_fork
from tallac.source import OwnFiles, Selection, open_root


@contextmanager
def looking_ahead(sources: Sources, selection: Selection, own: OwnFiles, changed_after_ns: int) -> Iterator[LookAhead | None]:
    """Look at the sources of a backup in a second process, which ends with the block; None where there can't be one.

    Args:
        sources: What is to be backed up.
        selection: What of them.
        own: Tells what is Tallac's own, as far as it is known before the target is opened.
        changed_after_ns: When the last backup began, by the wall clock.
    """
    if not may_fork():
        yield None
        return
    try:
        root = open_root(sources.root)
    except TallacError:
        yield None  # The backup says so.
        return
    try:
        with _start(LeafTask(root, sources.root, selection, sources.scope, own, changed_after_ns, SystemClock())) as ahead:
            yield ahead
    finally:
        os.close(root)


def _start(task: LeafTask) -> AbstractContextManager[LookAhead | None]:
    try:
        return LookAhead(task, SystemClock().now_ns())
    except OSError:
        return nullcontext()  # The backup does without.
