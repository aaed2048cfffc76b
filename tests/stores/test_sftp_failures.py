"""Each request of a call to a server may fail before or after it was carried out, or with the connection: nothing comes of it."""

from __future__ import annotations

import asyncio
import io
import os
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import asyncssh
import pytest
from asyncssh.sftp import SFTPClientHandler

from tallac.backends import sftp_remains
from tallac.backends.local import LocalBackend
from tallac.backends.patience import Patience
from tallac.backends.retrying import RetryingBackend
from tallac.backends.sftp import SftpBackend
from tallac.backends.sftp_channel import Channel
from tallac.backends.sftp_new_file import NewFile
from tallac.backends.sftp_sequences import SftpSequences
from tallac.backends.sftp_session import SftpSettings
from tallac.backends.swapping import Takeover, claim_path
from tallac.errors import ConflictError, StoreError
from tallac.interfaces import Backend, Expect, Version

FXP_CLOSE = 4
NAME = "slots/a"
BEFORE, OURS, THEIRS = b"before", b"ours " * 100, b"theirs"


class Way(Enum):
    """In what way a request fails."""

    REFUSED = "refused"
    DONE_AND_REFUSED = "done and refused"
    GONE_BEFORE = "gone before"
    GONE_AFTER = "gone after"


class Failing:
    """Has one request fail.

    Attributes:
        at: Which one, the first is 1; 0 for none.
        made: How many were made by now, but for those that close a file.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 0
        self.made = 0
        self._way = Way.REFUSED
        self._store: SftpBackend | None = None
        make_request = SFTPClientHandler._make_request

        async def failing(handler: SFTPClientHandler, kind: int | bytes, *arguments: bytes) -> object:
            self.made += kind != FXP_CLOSE
            if self.made != self.at or kind == FXP_CLOSE:
                return await make_request(handler, kind, *arguments)
            if self._way in {Way.DONE_AND_REFUSED, Way.GONE_AFTER}:
                await make_request(handler, kind, *arguments)
            if self._way in {Way.REFUSED, Way.DONE_AND_REFUSED}:
                raise asyncssh.SFTPFailure("it was to fail")
            assert self._store is not None
            connection = self._store._session._link.connection
            if connection is not None:
                connection.abort()
            raise asyncssh.SFTPConnectionLost("it was to break")

        monkeypatch.setattr(SFTPClientHandler, "_make_request", failing)

    def begin(self, store: SftpBackend, at: int, way: Way) -> None:
        """Have the request fail that comes so many after this."""
        self._store, self.at, self.made, self._way = store, at, 0, way

    def end(self) -> bool:
        """Have none fail any more; say whether one has failed."""
        has_failed = self.made >= self.at
        self.at = 0
        return has_failed


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Have requests fail."""
    return Failing(monkeypatch)


def create(backend: RetryingBackend, _there: Backend) -> None:
    """Create an object."""
    backend.put(NAME, OURS, expect=Expect.ABSENT)


def swap(backend: RetryingBackend, there: Backend) -> None:
    """Replace one in a certain state."""
    found = there.get_versioned(NAME)
    assert found is not None
    backend.put(NAME, OURS, expect=found[1])


def replace(backend: RetryingBackend, _there: Backend) -> None:
    """Replace one in whatever state."""
    backend.put(NAME, OURS)


def add(backend: RetryingBackend, _there: Backend) -> None:
    """Add an object that never changes."""
    backend.add(NAME, io.BytesIO(OURS), len(OURS))


def prepare_and_swap(backend: RetryingBackend, there: Backend) -> None:
    """Replace one in a certain state, with bytes that were given ahead."""
    found, store = there.get_versioned(NAME), backend.inner
    assert found is not None
    assert isinstance(store, SftpBackend)
    store.prepare(NAME, OURS)
    backend.put(NAME, OURS, expect=found[1])


def delete(backend: RetryingBackend, _there: Backend) -> None:
    """Delete one in whatever state."""
    backend.delete(NAME)


def delete_as_it_was(backend: RetryingBackend, there: Backend) -> None:
    """Delete one in a certain state."""
    found = there.get_versioned(NAME)
    assert found is not None
    backend.delete(NAME, expect=found[1])


Call = Callable[[RetryingBackend, Backend], None]
CALLS: tuple[tuple[Call, bytes | None, bytes | None], ...] = (
    (create, None, OURS),
    (swap, BEFORE, OURS),
    (prepare_and_swap, BEFORE, OURS),
    (replace, BEFORE, OURS),
    (add, None, OURS),
    (delete, BEFORE, None),
    (delete_as_it_was, BEFORE, None),
)


def content_of(backend: Backend) -> bytes | None:
    """Return what the object is."""
    found = backend.get_versioned(NAME)
    return None if found is None else found[0]


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize(
    ("call", "before", "after", "is_first"),
    [(*call, False) for call in CALLS] + [(*call, True) for call in CALLS[:2]],
    ids=[call.__name__ for call, _, _ in CALLS] + ["first create", "first swap"],
)
def test_each_request_of_a_change_fails(
    sftp_settings: SftpSettings,
    failing: Failing,
    call: Call,
    before: bytes | None,
    after: bytes | None,
    way: Way,
    is_first: bool,
) -> None:
    """A change is done and told so, or told as failed; it is never taken for another's, and never comes to be done later."""
    there = LocalBackend(Path(sftp_settings.path), takeover=Takeover(0.0))
    at, has_failed = 0, True
    while has_failed:
        at += 1
        there.delete(NAME)
        if before is not None:
            there.put(NAME, before)
        store = SftpBackend(sftp_settings)
        backend = RetryingBackend(store, Patience(60, sleep=lambda _seconds: None))
        if not is_first:
            backend.put("slots/other", b"first")
        failing.begin(store, at, way)
        try:
            call(backend, there)
            is_done = True
        except ConflictError:
            raise AssertionError(f"request {at}: nobody else was there") from None
        except StoreError:
            is_done = False
        has_failed = failing.end()
        found = content_of(there)
        assert found == after if is_done else found in {before, after}, at
        # Somebody else goes on from what there is, and nothing comes after it.
        state = there.get_versioned(NAME)
        there.put(NAME, THEIRS, expect=Expect.ABSENT if state is None else state[1])
        backend.put("slots/other", os.urandom(16))
        store.leave()
        assert store.get(NAME) == THEIRS, at
        assert [path for path in Path(sftp_settings.path, "slots").iterdir() if ".next-" in path.name] == []
        # What a server refuses to remove is left to be swept.
        left = list(Path(sftp_settings.path).glob(".tmp-*"))
        assert len(left) <= (way in {Way.REFUSED, Way.DONE_AND_REFUSED}), at
        for path in left:
            path.unlink()
    assert at > 2


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize(
    "call",
    [
        lambda backend: backend.get_versioned(NAME),
        lambda backend: backend.get(NAME, 0, 100),
        lambda backend: [item.name for item in backend.list("slots/")],
    ],
    ids=["whole", "range", "list"],
)
def test_each_request_of_a_look_fails(
    sftp_settings: SftpSettings, failing: Failing, call: Callable[[RetryingBackend], object], way: Way
) -> None:
    """What is there is found, or it is an error; never is it taken for absent."""
    there = LocalBackend(Path(sftp_settings.path))
    there.put(NAME, BEFORE)
    at, has_failed = 0, True
    right: object = None
    while has_failed:
        at += 1
        store = SftpBackend(sftp_settings)
        backend = RetryingBackend(store, Patience(60, sleep=lambda _seconds: None))
        right = right or call(backend)
        failing.begin(store, at, way)
        try:
            assert call(backend) == right
        except StoreError:
            assert way in {Way.REFUSED, Way.DONE_AND_REFUSED}
        has_failed = failing.end()
    assert at > 1


def test_no_thread_removes_what_another_one_has_just_claimed(
    sftp_settings: SftpSettings, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another thread is about to remove what a broken connection may have left of a put, the put waits for that."""
    there = LocalBackend(Path(sftp_settings.path))
    before = there.put(NAME, BEFORE)
    claim = Path(claim_path(f"{sftp_settings.path}/{NAME}", before))
    store = SftpBackend(sftp_settings)
    has_begun = threading.Event()
    threads: list[threading.Thread] = []
    remove, link, enter = sftp_remains._remove, Channel.link, SftpSequences.enter

    async def link_or_break(channel: Channel, source: str, destination: str) -> None:
        if destination == str(claim) and not failing.at:
            failing.begin(store, 1, Way.GONE_BEFORE)
        await link(channel, source, destination)

    def is_claimed() -> bool:
        return claim.exists()

    async def remove_late(channel: Channel, left: dict[str, Version | None]) -> None:
        has_begun.set()
        for _ in range(50):
            if not is_claimed():
                await asyncio.sleep(0.02)
        await remove(channel, left)

    def enter_late(sequences: SftpSequences, new: NewFile, name: str, path: str, *, spare: str) -> bool:
        for _ in range(50):
            if is_claimed():
                time.sleep(0.02)
        return enter(sequences, new, name, path, spare=spare)

    def store_beside(_seconds: float) -> None:
        threads.append(threading.Thread(target=lambda: backend.put("slots/other", b"beside")))
        threads[-1].start()
        assert has_begun.wait(30)

    backend = RetryingBackend(store, Patience(60, sleep=store_beside))
    backend.put("slots/first", b"first")
    monkeypatch.setattr(Channel, "link", link_or_break)
    monkeypatch.setattr(sftp_remains, "_remove", remove_late)
    monkeypatch.setattr(SftpSequences, "enter", enter_late)
    backend.put(NAME, OURS, expect=before)
    for thread in threads:
        thread.join()
    assert content_of(there) == OURS
