"""Single calls of the library for object stores, with errors that a user can act on. Nothing is tried again here.

Names are whole names in the bucket. An ETag is kept as the store gives it; it is never empty.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from tallac.backends.object_store_errors import OutOfRangeError, has_answered, silent_store, status_of, store_error
from tallac.backends.object_store_settings import GOOGLE, ObjectStoreSettings, open_store
from tallac.backends.traffic import STEP_SIZE, Pace, Traffic
from tallac.errors import ObjectNotFoundError, StoreError, StoreUnavailableError
from tallac.interfaces import Buffer
from tallac.together import STOP

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, GetResult, PutMode, PutResult

    from tallac.backends.object_store_settings import Store

READ_TIMEOUT_SECONDS = 60.0
LARGE_SIZE = 64 << 10
"""A larger body is waited for as long as the store answers anything; a smaller one is given the time of any request."""

RATE_MIN_FIRST = 1 << 10
"""Bytes a second. A put that is slower, though the store answers, is taken for forgotten, until the line is known to be slow."""

RATE_SHARE = 64
"""A line may become so many times slower than it was before a put is taken for forgotten."""

UNLIMITED_SECONDS = 3650.0 * 24 * 3600

RANGE_SIZE = 256 << 10
"""So much is asked for at a time where the line is held to a rate."""

LIST_PAGE = 1000
"""Names that a server gives in one answer; the library does not tell how many requests it made."""


class Stored(NamedTuple):
    """An object that was read, and the tag that names its state."""

    content: bytes
    tag: str


class Listed(NamedTuple):
    """An object in a listing.

    Attributes:
        path: Its whole name in the bucket.
        size: Its length in bytes.
        e_tag: Its ETag; "" where the store does not tell.
    """

    path: str
    size: int
    e_tag: str


class StoreCalls:
    """The calls to one bucket or container. Thread-safe; not to be used after a fork."""

    def __init__(
        self,
        settings: ObjectStoreSettings,
        traffic: Traffic | None = None,
        *,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        opened: Callable[[ObjectStoreSettings, float], Store] = open_store,
    ) -> None:
        """Make no client yet.

        Args:
            settings: Where.
            traffic: What requests are added to.
            read_timeout_seconds: How long nothing may be heard of the store.
            opened: Makes a client with a time-out.
        """
        self.settings = settings
        self._traffic = traffic or Traffic()
        self._read_timeout = read_timeout_seconds
        self._opened = opened
        self.pace: Pace | None = None
        self._lock = threading.Lock()
        self._stores: dict[float, Store] = {}
        self._rate_min = float(RATE_MIN_FIRST)

    def put(self, name: str, data: Buffer, *, mode: PutMode, storage_class: str = "") -> str:
        """Store an object in one request, and return its tag.

        Raises:
            ConflictError: The mode's condition does not hold.
            StoreError: It failed; where it is a `StoreUnavailableError`, the object may be stored nevertheless.
        """
        import obstore  # lazy import: see `open_store`

        # A buffer of another kind than bytes would be taken for a file or for an iterator.
        content = bytes(data)
        attributes: Attributes | None = {"Storage-Class": storage_class} if storage_class else None
        if len(content) > LARGE_SIZE:
            result = self._put_large(name, content, mode, attributes)
        else:
            with self._errors(name, sent=len(content)):
                store = self._store(self._read_timeout)
                result = obstore.put(store, name, content, mode=mode, use_multipart=False, attributes=attributes)
        tag = result["version"] if self.settings.kind == GOOGLE else result["e_tag"]
        return tag or self.tag(name)

    def _put_large(self, name: str, content: bytes, mode: PutMode, attributes: Attributes | None) -> PutResult:
        """Store an object whose body may take long. The library's limit would run while it is sent."""
        import asyncio  # lazy import: few calls need it

        import obstore  # lazy import: see `open_store`

        from tallac.backends.object_store_watch import while_it_lives  # lazy import: as above

        async def put() -> PutResult:
            store = self._store(UNLIMITED_SECONDS)
            return await obstore.put_async(store, name, content, mode=mode, use_multipart=False, attributes=attributes)

        async def put_while_it_lives() -> PutResult:
            seconds = self._read_timeout + len(content) / self._rate_min
            silence = self._read_timeout
            return await while_it_lives(put(), lambda: self._answers(name), silence_seconds=silence, seconds_max=seconds)

        started = time.monotonic()
        with self._errors(name, sent=len(content), answers_at_once=False):
            try:
                result = asyncio.run(put_while_it_lives())
            except TimeoutError:
                self._learn_rate(len(content), time.monotonic() - started, has_failed=True)
                raise silent_store(self.settings) from None
        self._learn_rate(len(content), time.monotonic() - started, has_failed=False)
        return result

    async def _answers(self, name: str) -> bool:
        """Whether the store answers at all, whatever it says."""
        import obstore  # lazy import: see `open_store`
        from obstore.exceptions import BaseError  # lazy import: as above

        self._traffic.add()
        try:
            with self._traffic.asking():
                await obstore.head_async(self._store(self._read_timeout), name)
        except (BaseError, OSError, ValueError) as error:
            if not has_answered(error, self.settings, name):
                return False
            self._traffic.hear()
        return True

    def get(self, name: str) -> Stored:
        """Read a whole object.

        Raises:
            ObjectNotFoundError: There is none.
        """
        import obstore  # lazy import: see `open_store`

        with self._errors(name):
            result = obstore.get(self._store(self._read_timeout), name)
            meta = result.meta
            content = self._received(result)
        self._pace(len(content))
        if len(content) != meta["size"]:
            raise StoreUnavailableError(f"{self.settings.where}: an answer of the store was cut short; try again")
        tag = meta["version"] if self.settings.kind == GOOGLE else meta["e_tag"]
        if not tag:
            raise StoreError(f"{self.settings.where}: the store gives objects no ETag, so changes can't be told apart")
        return Stored(content, tag)

    def get_range(self, name: str, start: int, stop: int | None) -> bytes:
        """Read bytes [start, stop) of an object, fewer at its end; start is below stop.

        Raises:
            ObjectNotFoundError: There is none.
        """
        if stop is not None and self.pace is not None and stop - start > STEP_SIZE:
            return self._get_in_steps(name, start, stop, self.pace)
        content = self._get_once(name, start, stop)
        self._pace(len(content))
        return content

    def _get_once(self, name: str, start: int, stop: int | None) -> bytes:
        import obstore  # lazy import: see `open_store`

        options: GetOptions = {"range": {"offset": start} if stop is None else (start, stop)}
        try:
            with self._errors(name):
                return self._received(obstore.get(self._store(self._read_timeout), name, options=options))
        except OutOfRangeError:
            return b""

    def _received(self, result: GetResult) -> bytes:
        """Take an answer, and count it as it comes: who waits for it sees that a slow line is no silent store."""
        parts: list[bytes] = []
        start, stop = result.range
        for part in result.stream(min_chunk_size=STEP_SIZE) if stop - start > STEP_SIZE else (result.bytes(),):
            self._traffic.add(requests=0, received=len(part))
            parts.append(bytes(part))
        return b"".join(parts)

    def tag(self, name: str) -> str:
        """Return the tag of an object's present state.

        Raises:
            ObjectNotFoundError: There is none.
        """
        import obstore  # lazy import: see `open_store`

        with self._errors(name):
            meta = obstore.head(self._store(self._read_timeout), name)
        tag = meta["version"] if self.settings.kind == GOOGLE else meta["e_tag"]
        if not tag:
            raise StoreError(f"{self.settings.where}: the store gives objects no ETag, so changes can't be told apart")
        return tag

    def list(self, folder: str) -> list[Listed]:
        """List all objects whose names begin with a folder and a slash; "" for all. Complete, in no order."""
        import obstore  # lazy import: see `open_store`

        found: list[Listed] = []
        with self._errors(""):
            for chunk in obstore.list(self._store(self._read_timeout), folder or None, chunk_size=LIST_PAGE):
                before = len(found)
                found.extend(Listed(entry["path"], entry["size"], entry["e_tag"] or "") for entry in chunk)
                # Page by page, which shows that something comes.
                self._traffic.add(requests=len(found) // LIST_PAGE - before // LIST_PAGE)
                self._traffic.hear()
        return found

    def delete(self, name: str) -> None:
        """Remove an object; a missing one is not an error, whatever the store says of it."""
        import obstore  # lazy import: see `open_store`

        try:
            with self._errors(name):
                obstore.delete(self._store(self._read_timeout), name)
        except ObjectNotFoundError:
            return

    def _get_in_steps(self, name: str, start: int, stop: int, pace: Pace) -> bytes:
        """Read a range by several requests, each in its turn, which is taken before the request ahead of it is sent.

        To take an answer slowly would not do: the system takes some megabytes of it ahead of who reads it.
        """
        parts: list[bytes] = []
        ends = [*range(start + RANGE_SIZE, stop, RANGE_SIZE), stop]
        turn_at = time.monotonic() + pace.receiving(ends[0] - start)
        for number, end in enumerate(ends):
            self._wait(turn_at - time.monotonic())
            for following in ends[number + 1 : number + 2]:
                turn_at = time.monotonic() + pace.receiving(following - end)
            begin = start + number * RANGE_SIZE
            parts.append(self._get_once(name, begin, end))
            if len(parts[-1]) < end - begin:
                break
        return b"".join(parts)

    def _pace(self, size: int) -> None:
        """Wait until what came in one piece may have come; what is small takes its turn and is not waited for."""
        if self.pace is not None:
            seconds = self.pace.receiving(size)
            self._wait(seconds if size > STEP_SIZE else 0.0)

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and STOP.wait(seconds):
            raise StoreUnavailableError(f"{self.settings.where}: nothing more is received, since this process is to end")

    def _store(self, timeout_seconds: float) -> Store:
        with self._lock:
            if timeout_seconds not in self._stores:
                self._stores[timeout_seconds] = self._opened(self.settings, timeout_seconds)
            return self._stores[timeout_seconds]

    def _learn_rate(self, size: int, seconds: float, *, has_failed: bool) -> None:
        if size < 1 << 20:
            return  # It was the way there and back that took the time.
        with self._lock:
            if has_failed:
                self._rate_min = max(self._rate_min / 2, 1.0)
            else:
                self._rate_min = max(size / max(seconds, 0.001) / RATE_SHARE, min(self._rate_min, RATE_MIN_FIRST))

    @contextmanager
    def _errors(self, name: str, *, requests: int = 1, sent: int = 0, answers_at_once: bool = True) -> Iterator[None]:
        from obstore.exceptions import BaseError  # lazy import: see `open_store`

        self._traffic.add(requests=requests, sent=sent)
        shown = name.removeprefix(f"{self.settings.prefix}/") if self.settings.prefix else name
        try:
            with self._traffic.asking() if answers_at_once else nullcontext():
                yield
        except StoreError:
            raise
        except (BaseError, OSError, ValueError) as error:
            reported = store_error(error, self.settings, shown)
            if not isinstance(reported, StoreUnavailableError) or status_of(str(error)) is not None:
                self._traffic.hear(is_answer=not isinstance(reported, StoreUnavailableError))
            raise reported from error
        if not answers_at_once:
            self._traffic.hear(is_answer=True)
