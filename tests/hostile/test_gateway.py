"""What any local user, or a page of a stranger in the user's browser, can do to a gateway (finding 18 of the review)."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.interop.gateway import Gateway, of_cap, serving

pytestmark = pytest.mark.slow

CONTENT = b"<script>alert(1)</script>" * 10
MEMORY_MAX_KIB = 400 << 10


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Give a gateway over a vault of its own."""
    with serving(Tallac(tmp_path_factory.mktemp("home"))) as running:
        yield running


def connect(gateway: Gateway) -> socket.socket:
    """Connect as any program can."""
    port = urlsplit(gateway.url).port
    assert port is not None
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def host(gateway: Gateway) -> str:
    """Return the Host header that the gateway expects."""
    return f"Host: {urlsplit(gateway.url).netloc}\r\n"


def all_of(connection: socket.socket) -> bytes:
    """Receive until the other side closes."""
    received = b""
    try:
        while part := connection.recv(1 << 16):
            received += part
    except ConnectionResetError:
        pass
    return received


def descriptors_of(gateway: Gateway) -> int:
    """Return how many files and connections a gateway has open."""
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells another process's descriptors")
@pytest.mark.parametrize("head", [b"", b"GET / HT", b"GET /uri HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01\x02\x00"])
def test_half_requests_take_no_more_than_their_share(tmp_path: Path, head: bytes) -> None:
    """Of 600 connections that ask nothing, those above the limit are closed at once; honest ones are served when some are gone."""
    with serving(Tallac(tmp_path / "home")) as gateway:
        before = descriptors_of(gateway)
        connections = [connect(gateway) for _ in range(600)]
        closed = []
        for connection in connections:
            try:
                connection.sendall(head)
            except (BrokenPipeError, ConnectionResetError):
                closed.append(connection)
        turned_away = connections[-1]
        answer = all_of(turned_away)
        # A reset may overtake the answer, where something was sent that nobody reads.
        assert answer == b"" or re.match(rb"HTTP/1.1 (503|400) ", answer), answer
        assert descriptors_of(gateway) <= before + 210
        for connection in connections:
            connection.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while descriptors_of(gateway) > before + 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert gateway.ask("GET", "").status_code == 200
        assert gateway.cap("PUT", "uri", b"x" * 100).startswith("URI:CHK:")


def test_one_too_many_is_told(gateway: Gateway) -> None:
    """Whoever is turned away gets a whole answer, and an end."""
    held = [connect(gateway) for _ in range(260)]
    try:
        # The event loop takes them in the order in which they came.
        answer = all_of(held[-1])
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert b"Connection: close" in head
    finally:
        for connection in held:
            connection.close()


BOTH_LENGTHS = [
    "PUT /uri HTTP/1.1\r\nHOSTContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "PUT /uri HTTP/1.1\r\nHOSTTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "PUT /uri HTTP/1.1\r\nHOSTcontent-length: 5\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
    "POST /uri?t=mkdir HTTP/1.1\r\nHOSTContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHOSTContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "PUT /uri HTTP/1.0\r\nHOSTTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "PUT /uri HTTP/1.1\r\nHOSTContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "PUT /uri HTTP/1.1\r\nHOSTTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "PUT /uri HTTP/1.1\r\nHOSTTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("request_text", BOTH_LENGTHS)
def test_two_lengths_end_the_connection(gateway: Gateway, request_text: str) -> None:
    """A request whose end can be read in two ways is refused, and what follows it on the connection is not read as another one."""
    smuggled = "GET /?t=json HTTP/1.1\r\nHOST\r\n"
    with connect(gateway) as connection:
        connection.sendall((request_text + smuggled).replace("HOST", host(gateway)).encode())
        answer = all_of(connection)
    assert re.match(rb"HTTP/1\.1 (4\d\d|501) ", answer), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"introducers" not in answer


JUNK = [
    "data:text/html,<script>alert(1)</script>",
    "data:text/html\r\nX-Evil: 1",
    "data:text/html;base64,AAAA",
    "javascript:alert(1).html",
    "a\r\nSet-Cookie: x=1.txt",
    "a\nb.html",
    "a\0b.txt",
    "é\u202etxt.exe",
    "\ud800",
    "x" * 5000,
    "..",
    "../../etc/passwd",
    'a"b\\c.txt',
    "file.html?x=y#z",
    "http://evil.example/x.svg",
    "%0d%0aX-Evil:1",
]


@pytest.mark.parametrize("save", ["", "&save=true"])
@pytest.mark.parametrize("name", JUNK)
def test_no_filename_breaks_an_answer(gateway: Gateway, name: str, save: str) -> None:
    """Whatever `?filename=` says, the content comes, under a type from the table of types, with no header that it made up."""
    path = of_cap(gateway.cap("PUT", "uri", CONTENT))
    written = quote(name.encode("utf-8", "surrogatepass"), safe="")
    answer = gateway.ask("GET", f"{path}?filename={written}{save}")
    if answer.status_code == 400:
        return
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", answer.headers["content-type"].partition(";")[0])
    assert "x-evil" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_types_of_plain_names_are_known(gateway: Gateway) -> None:
    """Honest names still say their type."""
    path = of_cap(gateway.cap("PUT", "uri", CONTENT))
    for name, kind in (("a.html", "text/html"), ("a b.png", "image/png"), ("a", "text/plain"), ("c:d.pdf", "application/pdf")):
        found = gateway.ask("GET", f"{path}?filename={quote(name)}").headers["content-type"]
        assert found.partition(";")[0] == kind
    assert gateway.ask("HEAD", f"{path}?filename=x.tar.gz").headers["content-encoding"] == "gzip"


# Heads with which browsers of other times send a form; none of them knows Origin or Sec-Fetch.
OLD_BROWSERS = {
    "Netscape 4": {"User-Agent": "Mozilla/4.08 [en] (WinNT; U)", "Accept": "image/gif, */*"},
    "Internet Explorer 6": {"User-Agent": "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "Accept": "*/*"},
    "Opera 9": {"User-Agent": "Opera/9.80 (X11; Linux) Presto/2.12", "Accept": "text/html, */*;q=0.1"},
    "Firefox 3": {"User-Agent": "Mozilla/5.0 (X11; U; Linux; en) Gecko/2009 Firefox/3.5", "Accept-Language": "en-us,en;q=0.5"},
    "Konqueror": {"User-Agent": "Mozilla/5.0 (compatible; Konqueror/3.5; Linux)", "Cookie": "x=y"},
    "Lynx": {"User-Agent": "Lynx/2.8.9rel.1 libwww-FM/2.14", "Accept-Language": "en"},
    "w3m": {"User-Agent": "w3m/0.5.3+git2023", "Accept-Language": "en;q=1.0"},
    "one that hides its name": {"User-Agent": "", "Accept-Language": "de"},
}
FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
CHANGES = ["uri?t=mkdir", "uri/{d}?t=unlink&name=a", "uri/{d}?t=mkdir&name=b", "uri/{d}?t=delete&name=a&when_done=/"]


@pytest.mark.parametrize("browser", OLD_BROWSERS)
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_old_browsers_change_nothing(gateway: Gateway, browser: str, form: str) -> None:
    """A page that an old browser shows posts a form, with no Referer: refused, and everything is as it was."""
    directory = gateway.directory()
    gateway.cap("PUT", f"{directory}/a", b"x")
    headers = OLD_BROWSERS[browser] | ({"Content-Type": form} if form else {})
    body = b'--x\r\nContent-Disposition: form-data; name="t"\r\n\r\nmkdir\r\n--x--\r\n' if "multipart" in form else b"t=mkdir"
    for change in CHANGES:
        assert gateway.ask("POST", change.format(d=directory.removeprefix("uri/")), body, headers).status_code == 403
    assert set(gateway.children(directory)) == {"a"}
    # Looking is what browsers are there for.
    assert gateway.ask("GET", directory, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "program",
    [
        {"User-Agent": "curl/8.5.0", "Accept": "*/*", "Content-Type": "application/x-www-form-urlencoded"},
        {"User-Agent": "Wget/1.21", "Accept": "*/*"},
        {"User-Agent": "python-requests/2.31", "Accept": "*/*"},
        {"User-Agent": "", "Accept": "text/plain, application/octet-stream"},
    ],
)
def test_programs_change_what_they_may(gateway: Gateway, program: dict[str, str]) -> None:
    """Programs say nothing that browsers say, and are served."""
    assert gateway.ask("POST", "uri?t=mkdir", b"", program).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells another process's memory")
def test_large_lists_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Ten clients send lists of children of 2 MB each at once: two are worked at, and the others wait on disk."""
    child = ["filenode", {"ro_uri": "URI:LIT:krugkidfnzsc4"}]
    body = json.dumps({f"name-{number:07}": child for number in range(30_000)}).encode()
    assert len(body) > 1 << 20
    with serving(Tallac(tmp_path / "home")) as gateway:
        answers: list[int] = []

        def send() -> None:
            answers.append(gateway.ask("POST", "uri?t=mkdir-with-children", body).status_code)

        senders = [threading.Thread(target=send) for _ in range(10)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert len(answers) == 10
        assert set(answers) <= {200, 413}
        status = Path(f"/proc/{gateway.process.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak < MEMORY_MAX_KIB


def test_nothing_of_the_server_is_told(tmp_path: Path) -> None:
    """Broken connections, broken requests and too many of them leave no trace of Python on standard error."""
    tallac = Tallac(tmp_path / "home")
    with serving(tallac) as gateway:
        cap = gateway.cap("PUT", "uri", CONTENT)
        asked = [f"GET /{of_cap(cap)} HTTP/1.1\r\nHOST\r\n", "PUT /uri HTTP/1.1\r\nHOSTContent-Length: 9\r\n\r\nab", "\0\xff", ""]
        for _ in range(30):
            for text in asked:
                connection = connect(gateway)
                connection.sendall(text.replace("HOST", host(gateway)).encode("latin-1"))
                # A reset, in place of an end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.close()
        assert gateway.ask("GET", "").status_code == 200
        gateway.process.terminate()
        _, err = gateway.process.communicate(timeout=PATIENCE_SECONDS)
    assert b"Traceback" not in err
    assert cap.encode() not in err
    assert err == b""
