"""Over a line that is slow for what is sent over it, all succeeds, however long it takes; one that is dead is noticed."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.stores.engines import Engine
from tests.stores.narrow_line import NarrowLine, narrow_line
from tests.stores.rough_line import Fate, rough_line, wait_until
from tests.stores.test_sftp import other_server

from tallac.backends import object_store_calls, object_store_watch, sftp_login, silence
from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_calls import LARGE_SIZE, StoreCalls
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.backends.sftp import SftpBackend
from tallac.backends.sftp_session import SftpSettings
from tallac.backends.traffic import Traffic
from tallac.errors import StoreUnavailableError
from tallac.interfaces import Expect

ANSWER_SECONDS = 2.0
BODY_SECONDS = 10
RATE = 128 << 10
"""Bytes a second."""

BODY_SIZE = BODY_SECONDS * RATE


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server be silent for no more than this."""
    monkeypatch.setattr(silence, "ANSWER_SECONDS", ANSWER_SECONDS)
    monkeypatch.setattr(sftp_login, "KEEPALIVE_SECONDS", ANSWER_SECONDS / 10)


@pytest.fixture
def line(sftp_settings: SftpSettings) -> Iterator[NarrowLine]:
    """Give a slow line to OpenSSH's server."""
    with narrow_line(sftp_settings.port, RATE) as line:
        yield line


@pytest.fixture
def store(sftp_settings: SftpSettings, line: NarrowLine) -> SftpBackend:
    """Give a folder on that server over the line, where nothing is tried again."""
    key = (Path(sftp_settings.known_hosts).read_text().split(maxsplit=1))[1]
    known = Path(sftp_settings.path).parent / "known_hosts"
    known.write_text(f"[127.0.0.1]:{line.port} {key}")
    return SftpBackend(msgspec.structs.replace(sftp_settings, port=line.port, known_hosts=str(known)))


@pytest.mark.slow
def test_bodies_that_take_many_times_the_limit(store: SftpBackend, line: NarrowLine) -> None:
    """Two packs at a time are sent, and small objects between them; then both are read at a time. Nothing is given up."""
    packs = [os.urandom(BODY_SIZE // 2) for _ in range(2)]
    names = ["packs/0", "packs/1"]
    store.put("slots/a", b"first", expect=Expect.ABSENT)

    def add(number: int) -> None:
        store.add(names[number], io.BytesIO(packs[number]), len(packs[number]))

    with ThreadPoolExecutor(4) as pool:
        adding = [pool.submit(add, number) for number in range(2)]
        wait_until(lambda: line.passed > BODY_SIZE // 8, 60)
        assert not any(each.done() for each in adding)
        assert store.get_versioned("slots/a") is not None
        store.put("slots/b", b"second", expect=Expect.ABSENT)
        for each in adding:
            each.result()
        assert list(pool.map(store.get, names)) == packs
        assert store.get(names[0], 1, BODY_SIZE // 4) == packs[0][1 : BODY_SIZE // 4]


@pytest.mark.slow
@pytest.mark.parametrize("is_sending", [True, False])
def test_a_line_that_goes_silent(store: SftpBackend, line: NarrowLine, is_sending: bool) -> None:
    """It is noticed in the middle of a body, and a call after it connects anew."""
    content = os.urandom(BODY_SIZE // 4)
    store.add("packs/a", io.BytesIO(content), len(content))
    before = line.passed
    with ThreadPoolExecutor(1) as pool:
        if is_sending:
            calling: Future[object] = pool.submit(store.add, "packs/b", io.BytesIO(content), len(content))
            wait_until(lambda: line.passed > before + len(content) // 2, 60)
        else:
            calling = pool.submit(store.get, "packs/a")
            wait_until(lambda: line.passed > before, 60)
        assert not calling.done()
        line.go_silent()
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            calling.result()
    line.flow()
    assert store.get("packs/a") == content


class Steps(Traffic):
    """A count that records how many bytes came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[int] = []

    def add(self, *, requests: int = 1, sent: int = 0, received: int = 0) -> None:
        """Note it."""
        self.received += [received] if received else []
        super().add(requests=requests, sent=sent, received=received)


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_what_comes_is_counted_as_it_comes(
    kind: str, moto: Engine, settings_of: Callable[..., ObjectStoreSettings], sftp_settings: SftpSettings
) -> None:
    """An object that takes long on a slow line is not taken for a silent store: who waits for it sees that something comes."""
    steps = Steps()
    store = ObjectStoreBackend(settings_of(moto), steps) if kind == "s3" else SftpBackend(sftp_settings, steps)
    content = os.urandom(4 << 20)
    store.add("packs/a", io.BytesIO(content), len(content))
    for start, stop, expected in ((0, None, content), (1000, None, content[1000:]), (1000, 3 << 20, content[1000 : 3 << 20])):
        steps.received.clear()
        assert store.get("packs/a", start, stop) == expected
        assert sum(steps.received) >= len(expected)
        assert max(steps.received) < len(content) // 3


def test_a_server_that_says_no_more_than_that_it_lives(tmp_path: Path) -> None:
    """Where the machine answers, and its files do not, that is noticed too."""
    with other_server(tmp_path, "hangs") as settings, pytest.raises(StoreUnavailableError, match="does not answer"):
        SftpBackend(settings).put("slots/a", b"first")


def test_a_machine_that_takes_a_connection_and_says_nothing(sftp_settings: SftpSettings) -> None:
    """It is noticed while logging in."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = msgspec.structs.replace(sftp_settings, port=listener.getsockname()[1])
        with pytest.raises(StoreUnavailableError, match="does not answer, or breaks off"):
            SftpBackend(settings).get("a")


def test_waiting_on_while_something_is_heard() -> None:
    """An answer is waited for longer than a silence may last, as long as bytes come in, or are taken."""

    async def wait_long(hearing: silence.Hearing, sign: str) -> str:
        unsent = 10

        def live() -> None:
            nonlocal unsent
            unsent -= 1
            if sign == "bytes":
                hearing.note()

        if sign == "taken":
            hearing.watch_unsent(lambda: unsent)

        async def answer() -> str:
            for _ in range(8):
                # Several answers take longer than a silence may.
                await asyncio.sleep(hearing.seconds / 4)
                live()
            return "answer"

        return await silence.while_heard(answer(), hearing)

    for sign in ("bytes", "taken"):
        assert asyncio.run(wait_long(silence.Hearing(0.4), sign)) == "answer"
    with pytest.raises(TimeoutError):
        asyncio.run(wait_long(silence.Hearing(0.4), "none"))


class Buckets:
    """Opens this test's place in an object store at other ports, with little time for silence."""

    def __init__(self, moto: Engine, settings_of: Callable[..., ObjectStoreSettings]) -> None:
        self.port = urlsplit(moto.endpoint).port or 80
        self.url = moto.endpoint
        self._settings = settings_of(moto)

    def at(self, url: str) -> ObjectStoreBackend:
        """Open it at a URL; nothing is tried again."""
        settings = msgspec.structs.replace(self._settings, endpoint=url)
        return ObjectStoreBackend(
            settings, make_calls=lambda settings, traffic: StoreCalls(settings, traffic, read_timeout_seconds=ANSWER_SECONDS)
        )


@pytest.fixture
def buckets(moto: Engine, settings_of: Callable[..., ObjectStoreSettings]) -> Buckets:
    """Return what opens this test's place in an object store."""
    return Buckets(moto, settings_of)


@pytest.mark.slow
def test_bodies_for_an_object_store_that_take_many_times_the_limit(buckets: Buckets) -> None:
    """Two packs at a time are sent at a rate far below what anybody expects, and nothing is given up."""
    rate = 16 << 10
    packs = {f"packs/{number}": os.urandom(BODY_SECONDS * rate // 2) for number in range(2)}
    with narrow_line(buckets.port, rate) as line, ThreadPoolExecutor(2) as pool:
        store = buckets.at(f"http://127.0.0.1:{line.port}")
        list(pool.map(lambda name: store.add(name, io.BytesIO(packs[name]), len(packs[name])), packs))
    assert {name: buckets.at(buckets.url).get(name) for name in packs} == packs


@pytest.mark.slow
def test_an_object_store_that_goes_silent(buckets: Buckets) -> None:
    """It is noticed in the middle of a body, of which no more is sent, and a call after it connects anew."""
    content = os.urandom(16 << 20)
    with narrow_line(buckets.port, RATE) as line, ThreadPoolExecutor(1) as pool:
        store = buckets.at(f"http://127.0.0.1:{line.port}")
        store.put("slots/a", b"first", expect=Expect.ABSENT)
        adding = pool.submit(store.add, "packs/a", io.BytesIO(content), len(content))
        wait_until(lambda: line.passed > 2 * RATE, 60)
        line.go_silent()
        with pytest.raises(StoreUnavailableError, match="did not answer in time"):
            adding.result()
        line.flow()
        assert store.get("slots/a") == b"first"
    assert [item.name for item in buckets.at(buckets.url).list("")] == ["slots/a"]


@pytest.mark.slow
@pytest.mark.parametrize("fate", [Fate.PASS, Fate.BUSY, Fate.LOST_REQUEST, Fate.STALLED])
def test_what_shows_that_an_object_store_lives(buckets: Buckets, fate: Fate) -> None:
    """While a body takes long the store is asked for something small: any answer counts, and none does not."""
    content = bytes(LARGE_SIZE + 1)

    def plan(method: str, _path: str) -> Fate:
        if method == "PUT":
            time.sleep(ANSWER_SECONDS * 2)  # longer than a silence may last
        return fate if method == "HEAD" else Fate.PASS

    with rough_line(buckets.url, plan) as line:
        store = buckets.at(line.url)
        if fate in {Fate.PASS, Fate.BUSY}:
            store.put("a", content, expect=Expect.ABSENT)
            assert store.get("a") == content
        else:
            with pytest.raises(StoreUnavailableError, match="did not answer in time"):
                store.put("a", content, expect=Expect.ABSENT)


@pytest.mark.slow
def test_an_object_store_that_forgets_a_body(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that takes far longer than any line would is given up though the store answers; the next one gets more time."""
    monkeypatch.setattr(object_store_calls, "RATE_MIN_FIRST", 256 << 10)
    content = bytes(1 << 20)

    def plan(method: str, _path: str) -> Fate:
        if method == "PUT":
            time.sleep(ANSWER_SECONDS + 5)  # more than the first one has, and less than the second one
        return Fate.PASS

    with rough_line(buckets.url, plan) as line:
        store = buckets.at(line.url)
        with pytest.raises(StoreUnavailableError, match="did not answer in time"):
            store.put("a", content)
        store.put("b", content)


def test_a_body_that_is_given_up_is_sent_no_further() -> None:
    """The request ends with the wait for it; so does what asks whether the store lives."""
    ended: list[str] = []

    async def hang(name: str) -> bool:
        try:
            await asyncio.sleep(3600)  # for ever
        finally:
            ended.append(name)
        return True

    async def put() -> None:
        await object_store_watch.while_it_lives(hang("body"), lambda: hang("look"), silence_seconds=0.2, seconds_max=3600)

    with pytest.raises(TimeoutError):
        asyncio.run(put())
    assert ended[0] == "body"
    assert "look" in ended
