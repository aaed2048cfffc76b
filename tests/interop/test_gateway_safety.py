"""What a gateway refuses, what it marks, and what never shows: on every route."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.interop.gateway import Gateway, of_cap, serving

EVERYWHERE = "0.0.0.0"  # noqa: S104 - this is what it is about.
CONTENT = b"<script>alert(1)</script>" * 10

READS = [
    "",
    "uri?uri={f}",
    "uri/{f}",
    "uri/{f}?t=json",
    "uri/{d}",
    "uri/{d}?t=json",
    "uri/{d}/a.html",
    "file/{f}/a.html",
    "operations/x",
    "no",
]
WRITES = [
    ("PUT", "uri"),
    ("PUT", "uri?t=mkdir"),
    ("POST", "uri?t=mkdir"),
    ("POST", "uri?t=mkdir-immutable"),
    ("PUT", "uri/{d}/b"),
    ("PUT", "uri/{d}/b?t=uri"),
    ("POST", "uri/{d}?t=unlink&name=a.html"),
    ("POST", "uri/{d}?t=set_children"),
    ("POST", "uri/{d}?t=relink&from_name=a.html&to_name=b"),
    ("POST", "uri/{d}?t=start-manifest&ophandle=x"),
    ("POST", "uri/{f}?t=check"),
    ("DELETE", "uri/{d}/a.html"),
    ("POST", "operations/x?t=cancel"),
]
ALL = [*(("GET", path) for path in READS), *(("HEAD", path) for path in READS), *WRITES]

FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}.evil.example",
    "localhost.:{port}",
    "",
]
BROWSER_HEADERS = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:{port}"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-origin"},
    {"referer": "http://127.0.0.1:{port}/"},
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, make_tallac: Callable[[Path], Tallac]) -> Iterator[Gateway]:
    """Give a gateway over a new vault."""
    with serving(make_tallac(tmp_path_factory.mktemp("gateway") / "home")) as running:
        yield running


@pytest.fixture(scope="module")
def stored(gateway: Gateway) -> dict[str, str]:
    """Store a directory `d` with a page of somebody's in it, and the page itself, `f`."""
    directory = gateway.directory()
    cap = gateway.cap("PUT", f"{directory}/a.html", CONTENT)
    return {"d": directory.removeprefix("uri/"), "f": of_cap(cap).removeprefix("uri/")}


def _port(gateway: Gateway) -> int:
    port = urlsplit(gateway.url).port
    assert port is not None
    return port


@pytest.mark.parametrize(("method", "path"), ALL)
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_other_names_are_refused(gateway: Gateway, stored: dict[str, str], method: str, path: str, host: str) -> None:
    """A request under a name that is not the gateway's, as DNS rebinding makes them, is answered with nothing."""
    answer = gateway.ask(method, path.format(**stored), headers={"host": host.format(port=_port(gateway))})
    assert answer.status_code in {400, 421}
    assert CONTENT not in answer.content


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("headers", BROWSER_HEADERS, ids=str)
def test_browsers_change_nothing(gateway: Gateway, stored: dict[str, str], method: str, path: str, headers: dict[str, str]) -> None:
    """Whatever page it comes from, a request of a browser's that would change something is refused."""
    before = gateway.json(f"uri/{stored['d']}")
    named = {name: value.format(port=_port(gateway)) for name, value in headers.items()}
    assert gateway.ask(method, path.format(**stored), b"", named).status_code == 403
    assert gateway.json(f"uri/{stored['d']}") == before


@pytest.mark.parametrize("path", READS)
def test_other_sites_load_nothing(gateway: Gateway, stored: dict[str, str], path: str) -> None:
    """A page of another site can't load what is stored, as a picture or by a script; who follows a link from there may."""
    from_page = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert gateway.ask("GET", path.format(**stored), headers=from_page).status_code == 403
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert gateway.ask("GET", path.format(**stored), headers=followed).status_code != 403


@pytest.mark.parametrize(("method", "path"), ALL)
def test_answers_are_marked(gateway: Gateway, stored: dict[str, str], method: str, path: str) -> None:
    """Every answer, an error too, forbids scripts, guesses at its kind, copies, frames, and to hand its address on."""
    headers = gateway.ask(method, path.format(**stored), b"" if method in {"PUT", "POST"} else None).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("sandbox")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers
    assert not any(name.startswith("access-control") for name in headers)


def test_names_on_pages_are_text(gateway: Gateway) -> None:
    """A name that looks like HTML is shown as text, and its link leads to it."""
    directory = gateway.directory()
    gateway.cap("PUT", f"{directory}/%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27", b"x" * 60)
    page = gateway.ask("GET", directory).text
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    [link] = re.findall(r'href="/([^"?]*script[^"]*)"', page)
    assert gateway.ask("GET", link).content == b"x" * 60


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /uri/{f} HTTP/1.1\r\n\r\n",
        "GET /uri/{f} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/uri/{f} HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /uri HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /" + "a" * 100_000 + " HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "GET /uri HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX: " + "a" * 100_000 + "\r\n\r\n",
    ],
    ids=lambda text: text[:30],
)
def test_odd_requests_get_an_error(gateway: Gateway, stored: dict[str, str], request_text: str) -> None:
    """A request without a name, with two of them, malformed or too large is refused, and the gateway goes on."""
    port = _port(gateway)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request_text.replace("{f}", stored["f"]).replace("{port}", str(port)).encode())
        answer = connection.recv(4096)
    assert re.match(rb"HTTP/1.1 4\d\d ", answer)
    assert CONTENT not in answer
    assert gateway.ask("GET", f"uri/{stored['f']}").content == CONTENT


def test_caps_show_nowhere(tmp_path: Path, make_tallac: Callable[[Path], Tallac]) -> None:
    """Neither output nor log of a gateway has a cap in it, whatever it was asked, and whatever went wrong."""
    tallac = make_tallac(tmp_path / "home")
    with serving(tallac, "-v") as gateway:
        directory = gateway.directory()
        cap = gateway.cap("PUT", f"{directory}/secret-name", b"x" * 100)
        gateway.ask("GET", f"{directory}/missing")
        gateway.ask("GET", of_cap(cap[:-5] + "9:1:1"))
        gateway.ask("GET", f"{directory}%00%FF")
        for pack in (tallac.vault / "packs").rglob("*"):
            if pack.is_file():
                pack.write_bytes(b"damaged")
        assert gateway.ask("GET", of_cap(cap)).status_code == 410
        assert gateway.process.stdout is not None
        assert gateway.process.stderr is not None
        gateway.process.terminate()
        gateway.process.wait(PATIENCE_SECONDS)
        said = gateway.process.stdout.read() + gateway.process.stderr.read()
    assert b"URI" not in said
    assert b"secret-name" not in said
    assert cap.split(":")[2].encode() not in said


@pytest.mark.parametrize("address", [EVERYWHERE, "::", "192.0.2.1"])
def test_other_machines_need_tls(tallac: Tallac, address: str) -> None:
    """To listen where other machines can connect, without TLS, takes a word that says so; nothing is made before."""
    assert "--insecure" in tallac.fails("serve", "--listen", address, "--port", "0", status=2)
    assert not tallac.home.exists()


def test_listening_that_can_not_be(tallac: Tallac, gateway: Gateway) -> None:
    """A port that is taken, half of a certificate and a vault that is not there are each one sentence."""
    tallac("create-alias", "home")
    assert "choose another with --port" in tallac.fails("serve", "--port", str(_port(gateway)), status=2)
    assert "belong together" in tallac.fails("serve", "--certificate", "file", status=2)
    missing = tallac.home / "none"
    assert "not a usable certificate" in tallac.fails("serve", "--port", "0", "--certificate", missing, "--key", missing, status=2)
    assert "no vault found" in tallac.fails("serve", "--port", "0", "--vault", missing)


def test_tls(tmp_path: Path, tallac: Tallac) -> None:
    """With a certificate the gateway speaks TLS, under the name that was given as well."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey ed25519 -nodes -subj /CN=localhost -days 1 -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run([*make.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    options = ["--listen", EVERYWHERE, "--certificate", str(certificate), "--key", str(key), "--host-name", "tallac.example"]
    with serving(tallac, *options) as gateway:
        port = urlsplit(gateway.url).port
        assert gateway.url == f"https://{EVERYWHERE}:{port}/"
        fetched = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(certificate), "-verify_return_error", "-quiet"],
            input=f"GET / HTTP/1.1\r\nHost: tallac.example:{port}\r\nConnection: close\r\n\r\n".encode(),
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert b"HTTP/1.1 200 OK" in fetched.stdout
