"""`serve` and `webopen` on vaults: which vault is meant, and what the browser gets to see."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from tests.command import PATIENCE_SECONDS, Tallac
from tests.interop.gateway import serving

# A browser that ends only when it has the page, as a text browser does: it follows the redirection, and keeps what it was told.
BROWSER = """#!{python}
import html, pathlib, re, sys, urllib.parse, urllib.request
told = pathlib.Path(sys.argv[1].removeprefix("file://"))
address = html.unescape(re.search("url=([^\\"]+)", told.read_text())[1])
with urllib.request.urlopen(address) as answer:
    content = answer.read()
pathlib.Path({kind!r}).write_text(answer.headers["content-type"])
pathlib.Path({address!r}).write_text(urllib.parse.unquote(address))
pathlib.Path({shown!r}).write_bytes(content)
"""


def open_page(tallac: Tallac, folder: Path, *arguments: str) -> tuple[bytes, str, str]:
    """Run `webopen` until the browser has shown something, and stop it: give what it got, its type, and the address."""
    names = {name: folder / name for name in ("kind", "address", "shown")}
    names["shown"].unlink(missing_ok=True)
    browser = folder / "browser"
    browser.write_text(BROWSER.format(python=sys.executable, **{name: str(path) for name, path in names.items()}))
    browser.chmod(0o755)
    command = Tallac(tallac.home, before=("env", f"BROWSER={browser}"))
    process = command.start("webopen", *arguments)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not names["shown"].exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out, err) == (0, b"", b"")
    return names["shown"].read_bytes(), names["kind"].read_text(), names["address"].read_text()


def test_webopen_shows_a_place_of_a_vault(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """The browser gets a snapshot's page, a file with its type, or the facts, with no more authority than this place gives."""
    tallac("create-alias", "usb", "--vault", tmp_path / "usb")
    (source / "page.html").write_text("<p>hello")
    tallac("-q", "backup", source, "usb:home")
    page, kind, address = open_page(tallac, tmp_path, "usb:home/Latest")
    assert kind == "text/html; charset=utf-8"
    assert b"page.html" in page
    assert "uri/URI:DIR2-CHK:" in address
    content, kind, address = open_page(tallac, tmp_path, "usb:home/Latest/page.html")
    assert (content, kind.partition(";")[0], "uri/URI:LIT:" in address) == (b"<p>hello", "text/html", True)
    content, _, address = open_page(tallac, tmp_path, "--info", "usb:")
    assert b"URI:DIR2" in content
    assert "uri/URI:DIR2-RO:" in address
    assert not list((tallac.home / "state").glob("webopen*"))
    assert tallac.processes_left() == []


def test_webopen_of_nothing(tallac: Tallac, source: Path) -> None:
    """Where there is nothing, no browser is opened."""
    tallac("-q", "backup", source)
    assert tallac.fails("webopen", "tallac:Lates") == "tallac: tallac:Lates: no such entry"


def test_the_only_vault_is_served(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Whatever its alias is called, the only vault is the one that is meant, and none is made."""
    tallac("create-alias", "usb", "--vault", tmp_path / "usb")
    tallac("-q", "backup", source, "usb:home")
    with serving(tallac) as gateway:
        assert gateway.json(f"uri/{tallac('cap', 'usb:home/Latest').out.decode().strip()}")[0] == "dirnode"
    assert not tallac.vault.exists()
    assert tallac("list-aliases").out.split()[0] == b"usb:"


def test_serving_never_makes_a_vault(tallac: Tallac, tmp_path: Path) -> None:
    """Without a vault, what to do is said; with several and no default, which there are."""
    assert "`tallac init` creates one" in tallac.fails("serve", "--port", "0", status=2)
    assert not tallac.vault.exists()
    for name in ("one", "two"):
        tallac("create-alias", name, "--vault", tmp_path / name)
    message = tallac.fails("serve", "--port", "0", status=2)
    assert message == f"tallac: say with --vault which vault this is about: {tmp_path / 'one'}, {tmp_path / 'two'}"
