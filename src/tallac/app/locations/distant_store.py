"""A store over a line, as a command uses it: patient, counted, and tried before it is written to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec

from tallac.app.locations.store_urls import is_object_store, limits_of, lock_seconds_of, settings_of, sftp_settings_of, with_option
from tallac.backends.first_write import FirstWriteBackend
from tallac.backends.limits import LimitedBackend, Limits, SharedLimits
from tallac.backends.locking import LockingBackend
from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.pack_parts import PackParts
from tallac.backends.patience import Patience
from tallac.backends.probe import Probe
from tallac.backends.read_ahead import ReadAheadBackend
from tallac.backends.remembering import RememberingBackend
from tallac.backends.retrying import RetryingBackend, WholeObjectBackend
from tallac.backends.s3_lock import S3Lock
from tallac.backends.sftp import SftpBackend
from tallac.backends.store_cache import StoreCache
from tallac.backends.traffic import Traffic
from tallac.backends.wait_notices import WaitNotices
from tallac.errors import StoreError, StorePermissionError, UsageError
from tallac.interfaces import Backend, ConnectsAhead, ListsVersions, PreparesPuts
from tallac.local_files import make_private_folders
from tallac.together import run_together

NO_LIMITS = Limits()
T = TypeVar("T")

REQUESTS_MAX = 8
"""So many requests of one command are under way at a time, of those that need not wait for each other."""

WORKER_UPLOADS_IN_STEPS = 2
"""Over SFTP a pack is three waits, while which the line takes another one of the same worker."""

PROBE_EVERY_SECONDS = 30 * 24 * 3600
"""A store may be upgraded, or a location may come to lead to another one."""


class DistantStore:
    """The store at one location. It looks before its first write whether the store does what it must, unless it did so lately.

    Attributes:
        backend: What a vault is kept in.
    """

    def __init__(
        self,
        url: str,
        state: Path,
        traffic: Traffic,
        cache: StoreCache,
        *,
        retry_seconds: float | None = None,
        limits: Limits = NO_LIMITS,
        lock_seconds: float | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        """Ask nothing yet.

        Args:
            url: The location.
            state: The folder of local state, which says when a store was probed.
            traffic: What requests are added to; of this store alone.
            cache: Keeps what was read.
            retry_seconds: How long a call is tried again; None for the default.
            limits: Those of the command, which come before those that the location has.
            lock_seconds: How long objects are locked; None for what the location says.
            notify: Told that the store is waited for; None for standard error.
        """
        self._url = url
        self._traffic = traffic
        self._folder = state / "stores"
        seconds = lock_seconds_of(url) if lock_seconds is None else lock_seconds
        self._inner = _open(url, traffic, is_locked=seconds > 0)
        limits = limits.over(limits_of(url))
        self._limits = SharedLimits(limits) if limits.are_any else None
        limited = self._inner if self._limits is None else LimitedBackend(self._inner, self._limits)
        self._patience = patience = Patience(retry_seconds, notices=WaitNotices(traffic, self._inner.location(), notify))
        self._patient = RetryingBackend(limited, patience)
        self._locks = _locks_at(url, traffic) if seconds > 0 else None
        self._locking = None if self._locks is None else LockingBackend(self._patient, self._locks, seconds, patience)
        self._lock_seconds = seconds
        self._parts = PackParts(state / "parts")
        ahead = ReadAheadBackend(self._locking or self._patient, self._parts)
        tried = FirstWriteBackend(ahead, self._probe_if_due)

        def together(calls: Sequence[Callable[[], T]]) -> list[T]:
            calls_together = partial(run_together, calls, REQUESTS_MAX, lambda: patience.is_stopping)
            return patience.call(calls_together)

        list_versions = self._patient.list_versions if isinstance(self._inner, ListsVersions) else None
        # What may have so many connections at a time, or send so much, asks for each request beforehand.
        prepare = self._inner.prepare if isinstance(self._inner, PreparesPuts) and self._limits is None else None
        self._remembering = RememberingBackend(
            *(tried, cache, list_versions),
            together=together,
            expect=ahead.expect,
            prepare=prepare,
            worker_uploads=WORKER_UPLOADS_IN_STEPS if isinstance(self._inner, SftpBackend) else 1,
        )
        self.backend: Backend = self._remembering

    def remembered_header(self) -> bytes | None:
        """Return the header of the vault as it was seen last; see `RememberingBackend`."""
        return self._remembering.remembered_header()

    def connect_ahead(self) -> None:
        """See `ConnectsAhead`."""
        if isinstance(self._inner, ConnectsAhead):
            self._inner.connect_ahead()

    def remove_shared(self) -> None:
        """Remove what the processes of this command have shared for it."""
        self._parts.remove()
        if isinstance(self._inner, SftpBackend):
            with suppress(StoreError):
                self._patience.call(self._inner.leave)
        if self._limits is not None:
            self._limits.remove()

    def extend_locks(self, passed_over: Callable[[], Collection[str]]) -> int:
        """Lock anew what is there and whose time less than half is left, and return up to when what was deleted may be kept.

        Args:
            passed_over: Gives the names of what is to be deleted; it is asked where something is locked.

        Returns:
            Seconds since 1970; 0 where nothing is locked.
        """
        if self._locking is None:
            return 0
        going = passed_over()
        self._locking.extend(item.name for item in self._locking.list("") if item.name not in going)
        return int(time.time() + self._lock_seconds)

    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        return self._patient.is_empty()

    def probe(self) -> Probe:
        """Make ready for objects, and return what tries out the store; see `Probe`.

        Raises:
            UnsafeStoreError: The server lacks something that this kind of store is built on.
        """
        self._patient.create()
        self._patient.examine()
        if self._locks is not None and not self._locks.is_on():
            raise UsageError(
                f"{self._patient.location()}: --lock-for needs a bucket with Object Lock, which is turned on when a bucket is made"
            )
        keeper = S3Lock(settings_of(self._url), self._traffic) if self._url.startswith("s3://") else None
        return Probe(
            self._patient, lambda: "it compares ETags without their quotation marks" if self._has_bare_tags else "", keeper
        )

    def remembered(self) -> str:
        """Return the location with what was found out about its store."""
        return with_option(self._url, "etag", "bare") if self._has_bare_tags else self._url

    def note_probed(self) -> None:
        """Note that the store was found to be safe just now."""
        for url in {self._url, self.remembered()}:
            mark = self._mark(url)
            try:
                make_private_folders(mark.parent)
                mark.touch(mode=0o600)
                os.utime(mark)
            except OSError:
                return  # Then it is probed once more the next time.

    @property
    def _has_bare_tags(self) -> bool:
        return isinstance(self._inner, ObjectStoreBackend) and self._inner.has_bare_tags

    def _probe_if_due(self) -> None:
        """Probe the store if that was not done lately.

        Raises:
            UnsafeStoreError: It has lost what a vault relies on; nothing was written to the vault.
        """
        try:
            age = time.time() - self._mark(self._url).stat().st_mtime
        except OSError:
            age = PROBE_EVERY_SECONDS
        if 0 <= age < PROBE_EVERY_SECONDS:
            return
        try:
            self.probe().run().require_safe()
        except StorePermissionError:
            return  # Who may not write here can't be harmed by what happens to writes, and is told so when it comes to that.
        self.note_probed()

    def _mark(self, url: str) -> Path:
        return self._folder / sha256(url.encode()).hexdigest()[:32]


def _locks_at(url: str, traffic: Traffic) -> S3Lock:
    if not is_object_store(url):
        raise UsageError(f"{url.partition('?')[0]}: only S3 has locks that Tallac can set; leave out --lock-for")
    return S3Lock(settings_of(url), traffic)


def _open(url: str, traffic: Traffic, *, is_locked: bool) -> WholeObjectBackend:
    """Make the backend that tries everything once."""
    if is_object_store(url):
        return ObjectStoreBackend(msgspec.structs.replace(settings_of(url), is_locked=is_locked), traffic)
    return SftpBackend(sftp_settings_of(url), traffic)
