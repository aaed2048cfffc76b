"""A gateway that a test starts, and what a test asks it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx2
from tests.command import PATIENCE_SECONDS, Tallac

STOP_SECONDS_MAX = 60


@dataclass
class Gateway:
    """A running `tallac serve`, and a client that asks it as programs do.

    Attributes:
        options: What it was started with, beside the port.
    """

    url: str
    process: subprocess.Popen[bytes]
    tallac: Tallac
    options: tuple[str, ...] = ()
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=PATIENCE_SECONDS))

    def ask(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send a request; `path` follows the URL's last slash. Redirects are not followed."""
        return self.client.request(method, self.url + path, content=content, headers=headers)

    def cap(self, method: str, path: str, content: bytes | None = None) -> str:
        """Send a request that is answered with a cap."""
        answer = self.ask(method, path, content)
        assert answer.status_code in {200, 201}, answer.text
        return answer.text

    def json(self, path: str) -> tuple[str, dict[str, object]]:
        """Ask with `t=json`: what it is, and the facts."""
        answer = self.ask("GET", f"{path}?t=json")
        assert answer.status_code == 200, answer.text
        kind, facts = json.loads(answer.text)
        return kind, facts

    def directory(self) -> str:
        """Make a directory and give the path of its URL, `uri/CAP`."""
        return of_cap(self.cap("POST", "uri?t=mkdir"))

    def children(self, path: str) -> dict[str, tuple[str, dict[str, object]]]:
        """List a directory."""
        children = self.json(path)[1]["children"]
        assert isinstance(children, dict)
        return children


def of_cap(cap: str) -> str:
    """Give the path of a cap's URL."""
    return f"uri/{quote(cap, safe='')}"


_GRIDS = {"--vault", "--node-directory", "--node-url"}


@contextmanager
def serving(tallac: Tallac, *options: str) -> Iterator[Gateway]:
    """Start a gateway on a free port, over a new vault if no grid is named, and stop it after the block, with status 0."""
    if not _GRIDS.intersection(options) and not (tallac.home / "config" / "tallac.json").exists():
        tallac("init")
    process = tallac.start("serve", "--port", "0", *options)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().decode().strip()
        assert url.startswith("http"), process.stderr.read()
        gateway = Gateway(url, process, tallac, options)
        with gateway.client:
            yield gateway
        process.terminate()
        assert process.wait(STOP_SECONDS_MAX) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def write_tree(folder: Path) -> Path:
    """Make a small tree: an empty directory, small files, one of 60 bytes and one of 3 MB."""
    (folder / "empty").mkdir(parents=True)
    (folder / "sub").mkdir()
    (folder / "small.txt").write_text("small")
    (folder / "sub" / "näh.txt").write_text("n" * 60)
    (folder / "sub" / "large").write_bytes(bytes(range(256)) * 12000)
    return folder
