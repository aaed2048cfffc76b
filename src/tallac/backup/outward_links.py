"""Symbolic links that lead out of what is backed up: they are stored as links, and what they lead to is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from tallac.dag import display_path

# What a link there leads to comes with the system and is no user's.
_SYSTEM = tuple(b"/%b/" % name for name in b"bin dev etc lib lib64 nix proc run sbin snap sys usr".split())


class OutwardLinks:
    """Counts new links out of the sources. Nothing is looked up: where a text leads is told by the text alone."""

    def __init__(self, sources: Iterable[bytes]) -> None:
        """Take the absolute paths of the sources."""
        self._inside = tuple({inside for source in sources for inside in (_inside(source), _inside(os.path.realpath(source)))})
        self._count = 0
        self._first = (b"", b"")

    def add(self, path: bytes, target: bytes) -> None:
        """Take in a link that is stored for the first time, or leads elsewhere than before."""
        leads_to = os.path.normpath(os.path.join(os.path.dirname(path), target)) + b"/"
        if leads_to.startswith((*self._inside, *_SYSTEM)) or leads_to == b"//":
            return
        if not self._count:
            self._first = (path, target)
        self._count += 1

    def report(self, notice: Callable[[bytes, str], None]) -> None:
        """Report them in one line."""
        if not self._count:
            return
        path, target = self._first
        others = f" (one of {self._count:,})" if self._count > 1 else ""
        notice(path, f"this link{others} leads out of what is backed up, to {display_path(target)}; what is there is not stored")


def _inside(source: bytes) -> bytes:
    return source if source.endswith(b"/") else source + b"/"
