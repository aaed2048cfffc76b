"""A lock that either one has, or any number share."""

from __future__ import annotations

import threading


class SharedLock:
    """Holds off threads of this process. Whoever waits to have it alone comes before those who come later to share it."""

    def __init__(self) -> None:
        """Nobody has it."""
        self._changed = threading.Condition()
        self._sharing = 0
        self._waiting = 0
        self._is_held = False

    def acquire(self, *, shared: bool) -> None:
        """Wait for the lock. A thread that shares it must not ask for it once more."""
        with self._changed:
            if shared:
                self._changed.wait_for(lambda: not self._is_held and not self._waiting)
                self._sharing += 1
                return
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._is_held and not self._sharing)
                self._is_held = True
            finally:
                self._waiting -= 1
                # Where this was interrupted, others may have waited for it.
                self._changed.notify_all()

    def release(self, *, shared: bool) -> None:
        """Release the lock."""
        with self._changed:
            if shared:
                self._sharing -= 1
            else:
                self._is_held = False
            self._changed.notify_all()
