"""Sending notices, to a server on this machine in the place of all others."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from tallac.app.operations.notifier import LOG_SIZE_MAX, Notifier, is_ping, ping_request, show_address
from tallac.jobs.notices import Notice, Occasion

CAP = "URI:DIR2:aaaaaaaaaaaaaaaaaaaaaaaaaa:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
FAILURE = Notice(Occasion.FAILURE, "home", "Backup home failed", "backup: failed: no space left")
START = Notice(Occasion.START, "home", "Backup home begins", "")
SUCCESS = Notice(Occasion.SUCCESS, "home", "Backup home is done", "backup: ok")


class Asked(NamedTuple):
    """One request that the server got."""

    method: str
    path: str
    body: bytes


class Server:
    """A server that notes what it is asked, and answers as it is told.

    Attributes:
        statuses: What it answers next; 200 where there is none.
        hangs: Whether it answers at all only once it ends.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.statuses: list[int] = []
        self.hangs = False
        self._ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one request."""

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.asked.append(Asked(self.command, self.path, body))
                if outer.hangs:
                    outer._ending.wait()
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class.
                """Be silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def place(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End."""
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server."""
    made = Server()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("notice", "ending", "body"), [(START, "/start", b""), (SUCCESS, "", b"backup: ok"), (FAILURE, "/fail", FAILURE.body.encode())]
)
def test_a_ping_as_healthchecks_has_it(server: Server, notice: Notice, ending: str, body: bytes) -> None:
    """The start, the success and the failure of a run are told by the path's end, with the log's end as the body."""
    url = f"http://{server.place}/ping/5b1f2c3d/"
    assert Notifier().send(notice, [url]) == {}
    assert server.asked == [Asked("POST", f"/ping/5b1f2c3d{ending}", body)]


def test_a_ping_carries_the_end_of_a_long_log() -> None:
    """Of a long log the end is sent: that is where it went wrong."""
    long = Notice(Occasion.FAILURE, "home", "title", "x" * 50_000 + "the end")
    body = ping_request("https://hc-ping.com/5b1f2c3d", long).data
    assert isinstance(body, bytes)
    assert len(body) == LOG_SIZE_MAX
    assert body.endswith(b"the end")


@pytest.mark.parametrize(("notice", "status"), [(SUCCESS, "up"), (FAILURE, "down")])
def test_a_push_monitor_of_uptime_kuma(server: Server, notice: Notice, status: str) -> None:
    """It is told up or down and why; what its address says already stays. A start is nothing to it."""
    url = f"http://{server.place}/api/push/abc123?status=up&msg=OK&ping="
    assert Notifier().send(START, [url]) == {}
    assert Notifier().send(notice, [url]) == {}
    [asked] = server.asked
    assert (asked.method, urlsplit(asked.path).path) == ("GET", "/api/push/abc123")
    assert parse_qs(urlsplit(asked.path).query, keep_blank_values=True) == {"ping": [""], "status": [status], "msg": [notice.title]}


def test_a_service(server: Server) -> None:
    """A service hears of what is worth it: a failure, and no success unless it wants that; apprise speaks its language."""
    url = f"json://{server.place}/hook"
    assert Notifier().send(SUCCESS, [url]) == {}
    assert server.asked == []
    assert Notifier().send(SUCCESS, [url], ["always"]) == {}
    assert Notifier().send(FAILURE, [url]) == {}
    sent = [json.loads(asked.body) for asked in server.asked]
    assert [(each["title"], each["message"], each["type"]) for each in sent] == [
        (SUCCESS.title, SUCCESS.body, "info"),
        (FAILURE.title, FAILURE.body, "failure"),
    ]


@pytest.mark.parametrize("scheme", ["http", "json"])
def test_no_secret_is_sent(server: Server, scheme: str) -> None:
    """Caps, keys and passwords that a log may hold are taken out of the title and the body."""
    secret = Notice(Occasion.FAILURE, "home", f"{CAP} failed", f"can't read {CAP} with tallac-writer-1:abcdefgh234567")
    assert Notifier().send(secret, [f"{scheme}://{server.place}/hook"]) == {}
    sent = b" ".join(asked.path.encode() + asked.body for asked in server.asked)
    assert b"failed" in sent or b"fail" in sent
    assert b"bbbbbbbb" not in sent
    assert b"abcdefgh234567" not in sent


def test_one_that_hangs_holds_up_nobody(server: Server) -> None:
    """What does not answer is left behind and named; the others have heard of it meanwhile."""
    quick = Server()
    server.hangs = True
    hanging, other = f"http://{server.place}/a", f"http://{quick.place}/b"
    problems = Notifier(seconds_max=0.5).send(FAILURE, [hanging, other])
    assert list(problems) == [hanging]
    assert "no answer" in problems[hanging]
    assert [asked.path for asked in quick.asked] == ["/b/fail"]
    quick.close()


def test_one_that_fails(server: Server) -> None:
    """A refusal is reported, and after trouble of the server's own it is tried again."""
    url = f"http://{server.place}/a"
    server.statuses = [404]
    assert Notifier().send(FAILURE, [url]) == {url: "it answered 404 Not Found"}
    server.statuses = [503, 200]
    assert Notifier().send(FAILURE, [url]) == {}
    assert len(server.asked) == 3
    server.statuses = [500]
    hook = f"json://{server.place}/hook"
    assert "refused" in Notifier().send(FAILURE, [hook])[hook]


def test_whatever_a_service_raises(capfd: pytest.CaptureFixture[str]) -> None:
    """An error that nobody has foreseen, a service that does not exist and a host that does not answer end nothing."""

    def broken(url: str, notice: Notice) -> None:
        raise ZeroDivisionError(url)

    assert Notifier(send=broken).send(FAILURE, ["ntfy://topic"]) == {"ntfy://topic": "unexpected ZeroDivisionError"}
    assert "no service" in Notifier().send(FAILURE, ["nonsense://x:secret@y"])["nonsense://x:secret@y"]
    assert Notifier().send(FAILURE, ["http://127.0.0.1:1/x"])["http://127.0.0.1:1/x"]
    # apprise says more than it should.
    printed = capfd.readouterr()
    assert "secret" not in printed.out + printed.err


def test_addresses_are_shown_without_passwords() -> None:
    """Of an address what is no secret is shown, which for a service is its name alone."""
    assert show_address("mailto://ann:secret@example.org") == "mailto://..."
    assert show_address("https://user:secret@hc-ping.com/5b1f2c3d?x=secret") == "https://hc-ping.com/..."
    assert is_ping("https://hc-ping.com/x")
    assert not is_ping("jsons://example.org/x")


def test_each_address_once(server: Server) -> None:
    """An address that is named twice is asked once."""
    url = f"http://{server.place}/a"
    Notifier().send(SUCCESS, [url, url])
    assert len(server.asked) == 1
