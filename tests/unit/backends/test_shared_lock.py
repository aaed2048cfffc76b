"""A lock that either one has, or any number share."""

from __future__ import annotations

import threading

from tallac.backends.shared_lock import SharedLock


def in_a_thread(lock: SharedLock, *, shared: bool) -> tuple[threading.Thread, threading.Event]:
    """Ask for a lock in another thread; return that, and what is set once it has the lock."""
    has_it = threading.Event()

    def ask() -> None:
        lock.acquire(shared=shared)
        has_it.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread, has_it


def wait_until_asked(lock: SharedLock) -> None:
    """Wait until somebody waits to have a lock alone."""
    while not lock._waiting:
        threading.Event().wait(0.001)


def test_many_share_it() -> None:
    """Whoever shares it does not hold off others who do."""
    lock = SharedLock()
    lock.acquire(shared=True)
    thread, has_it = in_a_thread(lock, shared=True)
    assert has_it.wait(60)
    thread.join()


def test_one_has_it_alone() -> None:
    """Who has it waits for all who share it, and comes before those who come later; they have it after that."""
    lock = SharedLock()
    lock.acquire(shared=True)
    alone, has_it = in_a_thread(lock, shared=False)
    wait_until_asked(lock)
    later, shares_it = in_a_thread(lock, shared=True)
    assert not has_it.is_set()
    assert not shares_it.is_set()
    lock.release(shared=True)
    assert has_it.wait(60)
    assert not shares_it.is_set()
    lock.release(shared=False)
    assert shares_it.wait(60)
    lock.release(shared=True)
    lock.acquire(shared=False)
    alone.join()
    later.join()
