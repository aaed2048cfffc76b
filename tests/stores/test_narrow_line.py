"""Over a line that is slow for what is sent over it, all succeeds, however long it takes; one that is dead is noticed."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from tests.stores.narrow_line import NarrowLine, narrow_line
from tests.stores.rough_line import wait_until
from tests.stores.test_sftp import other_server

from tallac.backends import sftp_answers, sftp_login
from tallac.backends.sftp import SftpBackend
from tallac.backends.sftp_session import SftpSettings
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
    monkeypatch.setattr(sftp_answers, "ANSWER_SECONDS", ANSWER_SECONDS)
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

    async def wait_long(hearing: sftp_answers.Hearing, sign: str) -> str:
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

        return await sftp_answers.while_heard(answer(), hearing)

    for sign in ("bytes", "taken"):
        assert asyncio.run(wait_long(sftp_answers.Hearing(0.4), sign)) == "answer"
    with pytest.raises(TimeoutError):
        asyncio.run(wait_long(sftp_answers.Hearing(0.4), "none"))
