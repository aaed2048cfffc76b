"""Real Tahoe-LAFS nodes on this machine, and the real `tahoe` command: an introducer, and nodes that are storage and gateway.

All of it listens on 127.0.0.1 alone, and ends with the process that started it: a node stops when its standard input closes.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from tests.command import PATIENCE_SECONDS
from tests.interop.quick_tahoe import QuickTahoe

TESTS = Path(__file__).parents[1]
PYTHON = Path(os.environ.get("TALLAC_TAHOE_PYTHON", TESTS.parent / ".tahoe-venv" / "bin" / "python"))
COMMAND = PYTHON.with_name("tahoe")

STOP_SECONDS_MAX = 10

INTRODUCER_CONFIGURATION = """\
[node]
web.port =
tub.port = tcp:{port}:interface=127.0.0.1
tub.location = tcp:127.0.0.1:{port}
"""
NODE_CONFIGURATION = """\
[node]
nickname = {name}
web.port = tcp:{web_port}:interface=127.0.0.1
tub.port = tcp:{port}:interface=127.0.0.1
tub.location = tcp:127.0.0.1:{port}
[client]
shares.needed = 1
shares.happy = 1
shares.total = 1
[storage]
enabled = {has_storage}
reserved_space = 0
"""


def absence() -> str | None:
    """Say what is missing for starting nodes; None where nothing is."""
    if COMMAND.exists():
        return None
    return f"there is no Tahoe-LAFS at {COMMAND}; `make oracle` installs it"


@dataclass(frozen=True)
class TahoeResult:
    """What the `tahoe` command did."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text, without white space around it."""
        return self.out.decode().strip()


@dataclass(frozen=True)
class TahoeCommand:
    """Runs the real `tahoe` with a node directory, which need not be a running node's: a `node.url` in it is enough.

    Attributes:
        directory: The node directory.
        is_quick: Whether a command may be forked from a process that has the imports behind it, rather than started as a user's is;
            see tahoe_server.py.
    """

    directory: Path
    is_quick: bool = "TALLAC_TORTURE" not in os.environ

    def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes = b"",
        status: int | None = 0,
        timeout: float = PATIENCE_SECONDS,
        browser: Path | None = None,
    ) -> TahoeResult:
        """Run a command and expect an exit status, None for any; `browser` is the program that shows pages."""
        words = ("--node-directory", self.directory, *arguments)
        if self.is_quick and browser is None:
            ended, out, err = quick_tahoe()(words, stdin, timeout)
        else:
            seen = environment() | ({} if browser is None else {"BROWSER": str(browser)})
            finished = subprocess.run([COMMAND, *words], input=stdin, capture_output=True, check=False, timeout=timeout, env=seen)
            ended, out, err = finished.returncode, finished.stdout, finished.stderr
        result = TahoeResult(ended, out, err.decode("utf-8", "surrogateescape"))
        assert status is None or result.status == status, result
        return result


@functools.cache
def quick_tahoe() -> QuickTahoe:
    """Return the one process that forks `tahoe` commands; it ends with this one."""
    command = QuickTahoe(PYTHON, environment())
    atexit.register(command.close)
    return command


def command_for(url: str, directory: Path) -> TahoeCommand:
    """Give the `tahoe` command for any gateway, with a node directory of its own that holds nothing but the gateway's address."""
    (directory / "private").mkdir(parents=True, exist_ok=True)
    (directory / "node.url").write_text(url + "\n")
    return TahoeCommand(directory)


def environment() -> dict[str, str]:
    """Give what nodes and the command see: nothing of the caller's Python, and a locale that can say everything."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TALLAC", "LC_", "LANG", "PYTHON"))}
    return kept | {"LC_ALL": "C.UTF-8"}


@dataclass
class Node:
    """One node, and the folder that it lives in."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where its gateway listens."""
        return (self.directory / "node.url").read_text().strip()

    @property
    def tahoe(self) -> TahoeCommand:
        """The `tahoe` command that talks to this node."""
        return TahoeCommand(self.directory)

    def start(self) -> None:
        """Start it, and return at once."""
        log = (self.directory / "output.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [COMMAND, "run", self.directory], stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment()
            )

    def kill(self) -> None:
        """End it as a power failure would."""
        if self.process is not None:
            self.process.kill()
            self._reap(self.process)

    def stop(self) -> None:
        """Have it end by itself, and wait for that."""
        if self.process is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reap(self.process)

    def output(self) -> str:
        """Give the end of what it printed, for the report of a failure."""
        return (self.directory / "output.log").read_text(errors="replace")[-2000:]

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self.process = None


class Ports:
    """Ports of this machine that nobody else gets before `close`, also while no node listens there.

    A node wants to be told its ports before it starts, which takes seconds, and wants them again after it was killed. Meanwhile any
    connection that any program makes could get one of them.
    """

    def __init__(self) -> None:
        self._kept: list[socket.socket] = []

    def take(self) -> int:
        """Find a port that nobody uses."""
        found = socket.socket()
        # Linux lets two have a port where both say this and neither listens yet, as nodes do; to nobody else does it give the port.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        assert isinstance(port, int)
        if sys.platform == "linux":
            self._kept.append(found)
        else:
            found.close()
        return port

    def close(self) -> None:
        """Give all of them free."""
        for kept in self._kept:
            kept.close()


@dataclass
class TahoeGrid:
    """An introducer and some nodes, with one share of everything: whatever is stored is on one storage server."""

    folder: Path
    introducer: Node
    nodes: list[Node] = field(default_factory=list)
    ports: Ports = field(default_factory=Ports)

    @property
    def node(self) -> Node:
        """The first node."""
        return self.nodes[0]

    @property
    def url(self) -> str:
        """Where the first node's gateway listens."""
        return self.node.url

    @property
    def tahoe(self) -> TahoeCommand:
        """The `tahoe` command that talks to the first node."""
        return self.node.tahoe

    def stop(self) -> None:
        """End all nodes; the introducer last."""
        for node in [*self.nodes, self.introducer]:
            node.stop()
        self.ports.close()


def start_grid(folder: Path, storage: Sequence[bool] = (True,)) -> TahoeGrid:
    """Make and start a grid in an empty folder; it is ready when this returns.

    Args:
        folder: Where its nodes live.
        storage: One node for each of these: whether it is a storage server. All of them are gateways.
    """
    ports = Ports()
    introducer = Node(_make(folder / "introducer", "introducer", INTRODUCER_CONFIGURATION.format(port=ports.take())))
    grid = TahoeGrid(folder, introducer, ports=ports)
    try:
        introducer.start()
        furl = _await_text(introducer, introducer.directory / "private" / "introducer.furl")
        for number, has_storage in enumerate(storage):
            name = f"node-{number}"
            configuration = NODE_CONFIGURATION.format(
                name=name, web_port=ports.take(), port=ports.take(), has_storage=str(has_storage).lower()
            )
            node = Node(_make(folder / name, "client", configuration))
            introducers = {"introducers": {"grid": {"furl": furl}}}
            (node.directory / "private" / "introducers.yaml").write_text(json.dumps(introducers))
            grid.nodes.append(node)
            node.start()
        for node in grid.nodes:
            await_servers(node, sum(storage))
    except BaseException:
        grid.stop()
        raise
    return grid


def await_servers(node: Node, count: int) -> None:
    """Wait until a node is connected to so many storage servers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    url = _await_text(node, node.directory / "node.url")
    while time.monotonic() < deadline:
        _require_running(node)
        try:
            servers = httpx2.get(f"{url}?t=json", timeout=5).json()["servers"]
        except httpx2.TransportError:
            servers = []
        # "connected" over HTTP, "Connected to ..." over Foolscap.
        if sum(server["connection_status"].lower().startswith("connected") for server in servers) == count:
            return
        time.sleep(0.1)
    raise AssertionError(f"{node.directory.name} is not ready: {node.output()}")


def _make(directory: Path, kind: str, configuration: str) -> Path:
    (directory / "private").mkdir(parents=True)
    (directory / "tahoe.cfg").write_text(configuration)
    # Its name alone tells the command what kind of node this is.
    (directory / f"tahoe-{kind}.tac").touch()
    return directory


def _await_text(node: Node, path: Path) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        _require_running(node)
        if path.exists() and (text := path.read_text().strip()):
            return text
        time.sleep(0.02)
    raise AssertionError(f"{node.directory.name} did not write {path.name}: {node.output()}")


def _require_running(node: Node) -> None:
    if node.process is None or node.process.poll() is not None:
        raise AssertionError(f"{node.directory.name} has ended: {node.output()}")
