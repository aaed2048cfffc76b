"""A gateway with many clients, slow ones, large files and those that break off; and how it ends."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from tests.command import PATIENCE_SECONDS, SOURCES, Tallac
from tests.interop.gateway import Gateway, of_cap, serving

MEBIBYTE = 1 << 20
LARGE_SIZE = 150 * MEBIBYTE
MEMORY_MAX_KIB = 250 * 1024
# Less than the gateway gives anybody who keeps it waiting.
ANSWER_SECONDS_MAX = 25

IN_MEMORY = """
import sys
from tallac.gateway import GatewaySettings, serve
from tallac.testing.memory_grid import MemoryGrid
grid = MemoryGrid()
settings = GatewaySettings(port=0, header_seconds=2, shutdown_seconds=int(sys.argv[1]))
serve(lambda: grid, settings, lambda url: print(url, flush=True))
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, make_tallac: Callable[[Path], Tallac]) -> Iterator[Gateway]:
    """Give a gateway over a new vault."""
    with serving(make_tallac(tmp_path_factory.mktemp("gateway") / "home")) as running:
        yield running


@pytest.fixture
def shutdown_seconds() -> int:
    """Say how long a gateway in memory finishes what is under way when it is told to end."""
    return 1


@pytest.fixture
def in_memory(tmp_path: Path, shutdown_seconds: int) -> Iterator[Gateway]:
    """Give a gateway over a grid in memory, impatient with heads that don't come."""
    process = subprocess.Popen(
        [sys.executable, "-c", IN_MEMORY, str(shutdown_seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    )
    with process:
        assert process.stdout is not None
        running = Gateway(process.stdout.readline().decode().strip(), process, Tallac(tmp_path))
        with running.client:
            yield running
        process.kill()


def _connect(gateway: Gateway) -> socket.socket:
    port = urlsplit(gateway.url).port
    assert port is not None
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    return connection


def _begin(gateway: Gateway, text: str) -> socket.socket:
    """Send the beginning of a request."""
    connection = _connect(gateway)
    connection.sendall(text.replace("HOST", f"Host: {urlsplit(gateway.url).netloc}").encode())
    return connection


def _receive(connection: socket.socket, mark: bytes) -> bytes:
    """Receive until a mark comes."""
    received = b""
    while mark not in received:
        part = connection.recv(1 << 16)
        assert part, received
        received += part
    return received


def _peak_memory(process: subprocess.Popen[bytes]) -> int:
    """Give the most memory that a process has had, in KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def test_many_at_once(gateway: Gateway) -> None:
    """Eight clients store, read and list at the same time; each finds what it stored, and no entry is lost."""
    directory = gateway.directory()

    def work(number: int) -> None:
        chance = random.Random(number)
        with httpx2.Client(timeout=PATIENCE_SECONDS) as client:
            for turn in range(6):
                content = chance.randbytes(chance.choice([10, 1000, 700_000]))
                url = f"{gateway.url}{directory}/{number}-{turn}"
                answer = client.put(url, content=content)
                assert answer.status_code == 201, answer.text
                assert client.get(url).content == content
                assert f"{number}-{turn}" in client.get(f"{gateway.url}{directory}?t=json").text

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(gateway.children(directory)) == 48


def test_slow_clients_stop_nobody(gateway: Gateway) -> None:
    """With thirty clients in the middle of a request, of an upload or of a download, another one is answered at once."""
    content = random.Random(1).randbytes(8 * MEBIBYTE)
    path = of_cap(gateway.cap("PUT", "uri", content))
    slow = [
        *(_begin(gateway, f"GET /{path} HTTP/1.1\r\nHOST\r\n\r\n") for _ in range(10)),
        *(_begin(gateway, "PUT /uri HTTP/1.1\r\nHOST\r\nContent-Length: 1000000\r\n\r\nxxx") for _ in range(10)),
        *(_begin(gateway, "GET /uri/") for _ in range(10)),
    ]
    started = time.monotonic()
    assert gateway.ask("GET", path).content == content
    assert gateway.ask("PUT", "uri", b"x" * 1000).status_code == 200
    assert time.monotonic() - started < ANSWER_SECONDS_MAX
    for connection in slow:
        connection.close()


def test_large_files_in_little_memory(tmp_path: Path, make_tallac: Callable[[Path], Tallac]) -> None:
    """A file larger than the memory that the gateway takes goes in, comes back whole, and in part."""

    def content() -> Iterator[bytes]:
        chance = random.Random(2)
        for _ in range(LARGE_SIZE // MEBIBYTE):
            yield chance.randbytes(MEBIBYTE)

    with serving(make_tallac(tmp_path / "home")) as gateway:
        cap = httpx2.put(f"{gateway.url}uri", content=content(), timeout=PATIENCE_SECONDS).text
        url = f"{gateway.url}{of_cap(cap)}"
        with httpx2.stream("GET", url, timeout=PATIENCE_SECONDS) as answer:
            assert int(answer.headers["content-length"]) == LARGE_SIZE
            received = answer.iter_bytes(MEBIBYTE)
            assert all(part == expected for part, expected in zip(received, content(), strict=True))
        part = httpx2.get(url, headers={"range": f"bytes={LARGE_SIZE - 10}-"}, timeout=PATIENCE_SECONDS)
        assert (part.status_code, part.content) == (206, list(content())[-1][-10:])
        assert _peak_memory(gateway.process) < MEMORY_MAX_KIB


FORM_HEAD = 'POST /uri/{d}?t=upload&name=name HTTP/1.1\r\nHOST\r\nContent-Type: multipart/form-data; boundary="B"\r\n'
FORM_BEGINNING = '--B\r\nContent-Disposition: form-data; name="file"; filename="name"\r\n\r\nxxx'


@pytest.mark.parametrize(
    "text",
    [
        "PUT /uri/{d}/name HTTP/1.1\r\nHOST\r\nContent-Length: 1000\r\n\r\nxxx",
        "PUT /uri/{d}/name HTTP/1.1\r\nHOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n",
        f"{FORM_HEAD}Content-Length: 1000\r\n\r\n{FORM_BEGINNING}",
    ],
    ids=["length", "chunked", "form"],
)
def test_broken_off_uploads_leave_nothing(gateway: Gateway, text: str) -> None:
    """Of an upload that ends early nothing is entered."""
    directory = gateway.directory()
    _begin(gateway, text.replace("{d}", directory.removeprefix("uri/"))).close()
    # Whatever would be entered of it, is entered by then.
    time.sleep(0.3)
    assert gateway.children(directory) == {}


def test_chunked_uploads(gateway: Gateway) -> None:
    """An upload whose length is not told beforehand, after the gateway was asked whether to send it, is stored."""
    connection = _begin(gateway, "PUT /uri HTTP/1.1\r\nHOST\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    with connection:
        _receive(connection, b"HTTP/1.1 100")
        connection.sendall(b"5\r\nshort\r\n0\r\n\r\n")
        _receive(connection, b"URI:LIT:")


def test_heads_that_do_not_come(in_memory: Gateway) -> None:
    """Who takes too long over the head of a request, the first or a later one, is cut off; who sends a body is not."""
    slow = _begin(in_memory, "GET / HT")
    later = _begin(in_memory, "GET / HTTP/1.1\r\nHOST\r\n\r\n")
    _receive(later, b"</html>")
    later.sendall(b"GET / HT")
    sending = _begin(in_memory, "PUT /uri HTTP/1.1\r\nHOST\r\nContent-Length: 4\r\n\r\nab")
    assert slow.recv(100) == b""
    assert later.recv(100) == b""
    # Longer than a head may take, which a body may not be measured by.
    time.sleep(0.7)
    sending.sendall(b"cd")
    _receive(sending, b"URI:LIT:")
    for connection in (slow, later, sending):
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_in_the_middle(in_memory: Gateway, number: signal.Signals) -> None:
    """Told to end while files go up and down and a client does nothing, it ends soon, with status 0 and nothing to say."""
    path = of_cap(in_memory.cap("PUT", "uri", bytes(range(256)) * 40_000))
    open_connections = [
        _begin(in_memory, f"GET /{path} HTTP/1.1\r\nHOST\r\n\r\n"),
        _begin(in_memory, "PUT /uri HTTP/1.1\r\nHOST\r\nContent-Length: 1000\r\n\r\nxxx"),
        _begin(in_memory, "GET /uri"),
        _connect(in_memory),
    ]
    # By then the gateway is in the middle of each of them.
    time.sleep(0.3)
    in_memory.process.send_signal(number)
    assert in_memory.process.wait(ANSWER_SECONDS_MAX) == 0
    assert in_memory.process.stderr is not None
    assert in_memory.process.stderr.read() == b""
    for connection in open_connections:
        connection.close()


@pytest.mark.parametrize("shutdown_seconds", [PATIENCE_SECONDS])
def test_an_answer_under_way_is_finished(in_memory: Gateway) -> None:
    """A download that is under way when the gateway is told to end arrives whole, if the client takes it in time."""
    content = bytes(range(256)) * 20_000
    path = of_cap(in_memory.cap("PUT", "uri", content))
    with _begin(in_memory, f"GET /{path} HTTP/1.1\r\nHOST\r\nConnection: close\r\n\r\n") as connection:
        received = connection.recv(1000)
        in_memory.process.terminate()
        time.sleep(0.1)
        while part := connection.recv(1 << 16):
            received += part
    assert received.partition(b"\r\n\r\n")[2] == content
    assert in_memory.process.wait(ANSWER_SECONDS_MAX) == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("uri?t=mkdir-immutable", b"[" * 100_000, 400),
        ("uri?t=mkdir-immutable", b'{"a": ["filenode", {"ro_uri": "' + b"x" * 10_000 + b'"}]}', 400),
        ("uri?t=mkdir-immutable", b'{"a": ["filenode", {"ro_uri": "URI:LIT:", "metadata": {"x": ' + b"9" * 400 + b"}}]}", 400),
        ("uri?t=mkdir-immutable", b'{"a": ["filenode", {"ro_uri": "URI:LIT:", "metadata": {"x": NaN}}]}', 400),
        ("uri?t=mkdir-immutable", b'{"\\ud800": ["filenode", {"ro_uri": "URI:LIT:"}]}', 400),
        ("uri?t=mkdir-immutable", b'{"a": ["filenode", {"ro_uri": "URI:LIT:", "metadata": {"x": "\\ud800"}}]}', 400),
        ("uri?t=mkdir-immutable", b'{"a": ["filenode", {"ro_uri": "URI:LIT:", "metadata": {"st_mode": -1, "mtime": 1e300}}]}', 200),
        ("uri?t=mkdir-immutable", b"x" * (65 << 20), 413),
        ("uri?t=mkdir-immutable", b"\xff\xfe", 400),
        ("uri?" + "&".join(f"a{number}=1" for number in range(2000)), b"", 400),
        ("uri?t=%FF", b"", 400),
        ("uri/" + quote("URI:DIR2-LIT:" + "a" * 4000, safe=""), b"", 400),
    ],
    ids=range(12),
)
def test_bad_input(gateway: Gateway, path: str, body: bytes, status: int) -> None:
    """What is too deep, too large, too long or no Unicode is refused with a sentence, and costs little."""
    assert gateway.ask("POST", path, body).status_code == status
    assert _peak_memory(gateway.process) < MEMORY_MAX_KIB + (200 << 10)


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1700])
def test_directories_of_all_sizes(gateway: Gateway, count: int) -> None:
    """A directory is listed whole, as JSON and as a page, in however many steps it is written."""
    names = {f"name {number:05}" for number in range(count)}
    children = {name: ["filenode", {"ro_uri": "URI:LIT:mfra", "metadata": {"number": len(name)}}] for name in names}
    path = of_cap(gateway.cap("POST", "uri?t=mkdir-immutable", json.dumps(children).encode()))
    listed = gateway.children(path)
    assert listed.keys() == names
    assert all(facts["metadata"] == {"number": 10} for _, facts in listed.values())
    assert gateway.ask("GET", path).text.count("<tr>") == count
