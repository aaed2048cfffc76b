from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from tallac.errors import ConflictError, MissingObjectError, StoreError, StoreUnavailableError
from tallac.webapi import WebChild, WebClient, WebReader

# Each waits for others, as real ones do.
pytestmark = pytest.mark.slow

CONTENT = bytes(range(256)) * 4000


@dataclass
class Gateway:
    """A gateway with prepared answers that records its requests.

    Attributes:
        answers: (status, body) for the next requests; None breaks the connection off.
        asked: Method and path of each request.
    """

    answers: list[tuple[int, bytes] | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway on this machine."""
    state = Gateway()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            state.asked.append(f"{self.command} {unquote(self.path)}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = state.answers.pop(0) if state.answers else (200, CONTENT)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            start = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
            if status == 200 and self.headers.get("Range"):
                status, body = 206, body[int(start[0]) : int(start[1]) + 1 if start[1] else None]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = answer  # noqa: N815 - the base class looks for these names.

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it.
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[WebClient]:
    """A client that does not wait before it retries."""
    with WebClient(gateway.url, sleep=lambda _seconds: None) as client:
        yield client


def test_what_is_safe_is_tried_again(gateway: Gateway, client: WebClient) -> None:
    """A connection that breaks off while something immutable is stored is made anew, a few times."""
    gateway.answers = [None, None, (200, b"URI:CHK:x")]
    assert client.put_file(b"content") == "URI:CHK:x"
    assert gateway.asked == ["PUT /uri"] * 3
    gateway.answers = [None, None, None]
    with pytest.raises(StoreUnavailableError, match="broke off"):
        client.look("URI:x", where="x")


def test_what_is_not_safe_is_sent_once(gateway: Gateway, client: WebClient) -> None:
    """Entering without replacing, unlinking and making directories are never repeated by themselves."""
    child = {"name": WebChild("filenode", "URI:LIT:", None, {})}
    for call in (
        lambda: client.set_children("URI:x", child, where="x", replace=False),
        lambda: client.unlink("URI:x", "name", where="x"),
        lambda: client.make_directory("SDMF"),
        lambda: client.put_stream(iter([b"content"])),
    ):
        gateway.answers, gateway.asked = [None], []
        with pytest.raises(StoreUnavailableError):
            call()
        assert len(gateway.asked) == 1


def test_a_refusal_is_not_tried_again(gateway: Gateway, client: WebClient) -> None:
    """An error that the gateway has answered is not retried."""
    gateway.answers = [(409, b"There was already a child")]
    with pytest.raises(ConflictError):
        client.put_file(b"content")
    assert len(gateway.asked) == 1


def test_a_node_that_does_not_run() -> None:
    """Nobody listening is said at once."""
    client = WebClient("http://127.0.0.1:9/", sleep=lambda _seconds: pytest.fail("it waited"))
    with client, pytest.raises(StoreUnavailableError, match="no Tahoe-LAFS node answers"):
        client.put_file(b"content")
    with WebClient("nonsense") as client, pytest.raises(StoreError, match="no URL of a Tahoe-LAFS node"):
        client.put_file(b"content")


def test_a_file_is_read_in_any_order(gateway: Gateway, client: WebClient) -> None:
    """Reading in order is one request; going elsewhere is another one; the bytes are those of the file."""
    with WebReader(client, "URI:CHK:x", len(CONTENT), "x") as reader:
        assert reader.read(10) == CONTENT[:10]
        assert reader.read(300_000) == CONTENT[10:300_010]
        assert len(gateway.asked) == 1
        assert reader.seek(-5, 2) == len(CONTENT) - 5
        assert reader.read() == CONTENT[-5:]
        assert reader.read() == b""
        assert reader.seek(7) == reader.tell() == 7
        assert reader.read(3) == CONTENT[7:10]
    assert len(gateway.asked) == 3


def test_trouble_in_a_stream(gateway: Gateway, client: WebClient) -> None:
    """Objects come as they are visited; an ERROR line after them is an error, although the answer began well."""
    good = json.dumps({"type": "file", "path": ["a"]}).encode()
    gateway.answers = [(200, good + b"\nERROR: UnrecoverableFileError(no recoverable versions)\nmore\n")]
    visited = client.stream("URI:x", "stream-manifest", where="x")
    assert next(visited) == {"type": "file", "path": ["a"]}
    with pytest.raises(MissingObjectError, match="can't be recovered"):
        next(visited)


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[]", b'["dirnode"]', b'["dirnode", {"children": 5}]', b'[1, {"children": {}}]']
)
def test_an_answer_that_makes_no_sense(gateway: Gateway, client: WebClient, body: bytes) -> None:
    """Whatever comes instead of a description is a StoreError."""
    gateway.answers = [(200, body)]
    with pytest.raises(StoreError, match="makes no sense"):
        client.look("URI:x", where="x")
