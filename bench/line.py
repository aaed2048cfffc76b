"""Measure Tallac beside restic on a store behind a line, over the same data, in turn, in one run.

    make oracle && RESTIC=... .venv/bin/python bench/line.py                  S3 and SFTP, the line and none, three rounds (an hour)
    .venv/bin/python bench/line.py --stores s3 --lines slow --rounds 1        a quicker look
    .venv/bin/python bench/line.py --large                                    a file of 1 GB, and the memory of all processes

S3 is a Ceph RADOS gateway with its objects in memory, SFTP is OpenSSH's server, both on this machine. The line adds 20 ms each way
and has 100 Mbit/s (`slow_line.py`); --delay and --width change that. A round begins with an empty vault and repository, and without
caches; `prune` follows on a snapshot in which a tenth of the files are others, and leaves that one. The tables give medians of
seconds, with ratios to restic, and what one run sent and received in MB. Restored trees are compared with the source, and removed
only at the end: see `run.py`. With --folder /dev/shm no disk is in it. TALLAC, as RESTIC, names another program than this one's.
"""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from datasets import large_file, small_files
from memory import FIELDS, memory_of, tree_of
from timeline import Timeline, filling, table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from slow_line import Shape, SlowLine, slow_line  # noqa: E402 - the path comes first.
from tests.stores.engines import BUCKET, start_ceph, stop  # noqa: E402 - as above.
from tests.stores.ssh_server import start_sshd  # noqa: E402 - as above.

OPERATIONS = ("first", "unchanged", "ls -R", "restore", "check", "prune")
LARGE_OPERATIONS = ("first", "unchanged", "restore")
GOALS = {"first": 0.5, "unchanged": 0.3, "ls -R": 0.3, "restore": 0.6, "check": 0.5, "prune": 0.8}
LARGE_MEGABYTES = 1000
SAMPLE_SECONDS = 0.2
CHANGED_EVERY = 10


@dataclass(frozen=True)
class Store:
    """A store that answers.

    Attributes:
        port: Where, on loopback.
        environment: What gives its credentials.
        options: What Tallac has to be told of its place, besides the location.
        key: The file with the SSH key; None for S3.
    """

    port: int
    environment: Mapping[str, str]
    options: tuple[str, ...] = ()
    key: Path | None = None


@dataclass(frozen=True)
class Figures:
    """One run: seconds of wall and processor time, bytes on the line each way, and peaks of memory in kB if asked for."""

    wall: float
    cpu: float
    sent: int
    received: int
    memory: Mapping[str, int]


class Contender:
    """One tool with its vault or repository behind a port, in one round."""

    def __init__(self, tool: str, store: Store, port: int, source: Path, folder: Path) -> None:
        """Begin with nothing."""
        self._tool, self._store, self._port, self._source, self._folder = tool, store, port, source, folder
        self._name = f"{folder.name}-{tool}"
        for each in ("state", "stored"):
            (folder / tool / each).mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        """What the tool finds in its environment."""
        folder = self._folder / self._tool / "state"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        own = {"TALLAC_HOME": str(folder), "RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": str(folder), "NO_PROXY": "127.0.0.1"}
        return {**kept, **own, **self._store.environment}

    def commands(self, operation: str) -> list[list[str]]:
        """Give the commands that do something."""
        return self._tallac(operation) if self._tool == "tallac" else self._restic(operation)

    def restored(self) -> Path:
        """Give the folder into which the source is restored."""
        return self._folder / self._tool / "restored"

    def restored_at(self) -> Path:
        """Give the folder in which it lies then."""
        return self.restored() if self._tool == "tallac" else self.restored() / str(self._source).lstrip("/")

    def _tallac(self, operation: str) -> list[list[str]]:
        stored = self._folder / self._tool / "stored"
        if self._store.key is None:
            url, options = f"s3://{BUCKET}/{self._name}", ["--store", f"endpoint=http://127.0.0.1:{self._port}"]
        else:
            url, options = f"sftp://{getpass.getuser()}@127.0.0.1:{self._port}{stored}", list(self._store.options)
        tallac = [os.environ.get("TALLAC") or str(Path(sys.executable).with_name("tallac")), "-q"]
        return {
            "init": [[*tallac, "init", url, *options, "--alias", "bench"]],
            "first": [[*tallac, "backup", str(self._source), "bench:"]],
            "unchanged": [[*tallac, "backup", str(self._source), "bench:"]],
            "ls -R": [[*tallac, "ls", "-R", "bench:Latest"]],
            "restore": [[*tallac, "restore", "bench:Latest", str(self.restored())]],
            "check": [[*tallac, "check", "bench:"]],
            "prune": [[*tallac, "forget", "bench:", "--keep-last", "1", "--prune"]],
        }[operation]

    def _restic(self, operation: str) -> list[list[str]]:
        restic = [os.environ.get("RESTIC", "restic"), "-q"]
        if self._store.key is None:
            restic += ["-r", f"s3:http://127.0.0.1:{self._port}/{BUCKET}/{self._name}"]
        else:
            ssh = ["ssh", "-F", "none", "-p", str(self._port), "-i", str(self._store.key), "-o", "IdentitiesOnly=yes"]
            ssh += ["-o", f"UserKnownHostsFile={self._store.key.with_name('known_hosts')}", f"{getpass.getuser()}@127.0.0.1"]
            command = shlex.join([*ssh, "-s", "sftp"])
            restic += ["-o", f"sftp.command={command}"]
            restic += ["-r", f"sftp:{getpass.getuser()}@127.0.0.1:{self._folder / self._tool / 'stored'}"]
        return {
            "init": [[*restic, "init"]],
            "first": [[*restic, "backup", str(self._source)]],
            "unchanged": [[*restic, "backup", str(self._source)]],
            "ls -R": [[*restic, "ls", "latest"]],
            "restore": [[*restic, "restore", "latest", "--target", str(self.restored())]],
            "check": [[*restic, "check"]],
            "prune": [[*restic, "forget", "--keep-last", "1", "--prune"]],
        }[operation]


def run(contender: Contender, operation: str, line: SlowLine | None, *, has_memory: bool = False) -> Figures:
    """Do something, and measure it."""
    sent, received = (line.sent, line.received) if line else (0, 0)
    before, started = os.times(), time.monotonic()
    peaks = dict.fromkeys(FIELDS, 0)
    for command in contender.commands(operation):
        with subprocess.Popen(command, env=contender.environment, stdout=subprocess.DEVNULL) as process:
            while has_memory and process.poll() is None:
                samples = [memory_of(each) for each in tree_of(process.pid)]
                peaks = {name: max(peaks[name], sum(sample[name] for sample in samples)) for name in FIELDS}
                time.sleep(SAMPLE_SECONDS)
        if process.returncode:
            sys.exit(f"{shlex.join(command)}: exit status {process.returncode}")
    wall, after = time.monotonic() - started, os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return Figures(wall, cpu, line.sent - sent if line else 0, line.received - received if line else 0, peaks)


def measure(
    store: Store, line: SlowLine | None, source: Path, folder: Path, options: argparse.Namespace
) -> dict[tuple[str, str], list[Figures]]:
    """Measure all tools on one store, for some rounds."""
    found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    port = line.port if line else store.port
    for number in range(options.rounds):
        here = folder / f"{'sftp' if store.key else 's3'}-{'slow' if line else 'none'}-{number}"
        contenders = {tool: Contender(tool, store, port, source, here) for tool in options.tools}
        for contender in contenders.values():
            run(contender, "init", line)
        for operation in options.operations:
            if operation == "prune":
                with changed(source):
                    for contender in contenders.values():
                        run(contender, "first", line)
            for tool, contender in contenders.items():
                os.sync()
                began = time.monotonic()
                figures = run(contender, operation, line, has_memory=options.large)
                if line and options.timelines:
                    name = f"{here.name}-{operation.replace(' ', '')}-{tool}.txt"
                    options.timelines.mkdir(parents=True, exist_ok=True)
                    (options.timelines / name).write_text(timeline_of(line, began, began + figures.wall))
                found[operation, tool].append(figures)
                print(f"  {operation:10} {tool:7} {figures.wall:7.2f} s", file=sys.stderr)
                if operation == "restore":
                    subprocess.run(["diff", "-r", "--no-dereference", contender.restored_at(), source], check=True)
    return found


def timeline_of(line: SlowLine, began: float, ended: float) -> str:
    """Return what has passed a line during a command: how full it was each way, and all requests over HTTP."""
    parts = [f"{way}\n{filling(taken, began, ended)}" for way, taken in zip(("there", "back"), line.taken, strict=True)]
    if line.timeline is not None:
        parts.append(table([each for each in line.timeline.requests if each.began >= began], began, ended))
    return "\n\n".join(parts) + "\n"


@contextmanager
def changed(source: Path) -> Iterator[None]:
    """Have other contents in a tenth of the files, for the length of the block."""
    paths = sorted(path for path in source.rglob("*") if path.is_file())[::CHANGED_EVERY]
    former = [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    for path, content, _ in former:
        path.write_bytes(content[::-1])
    try:
        yield
    finally:
        for path, content, mtime in former:
            path.write_bytes(content)
            os.utime(path, ns=(mtime, mtime))


def print_table(title: str, tools: Sequence[str], found: Mapping[tuple[str, str], Sequence[Figures]]) -> None:
    """Print medians."""
    operations = list(dict.fromkeys(operation for operation, _ in found))
    print(f"\n{title}\n\n| |{'|'.join(tools)}|ratio|goal|\n|{'---|' * (len(tools) + 3)}")
    for operation in operations:
        cells = [_cell(found[operation, tool]) for tool in tools]
        ratio = ""
        if set(tools) == {"tallac", "restic"}:
            both = zip(found[operation, "tallac"], found[operation, "restic"], strict=True)
            ratio = f"{statistics.median(own.wall / other.wall for own, other in both):.2f}"
        print(f"|{operation}|{'|'.join(cells)}|{ratio}|{GOALS[operation]}|")
    sys.stdout.flush()


def _cell(all_figures: Sequence[Figures]) -> str:
    wall, cpu = (statistics.median(getattr(each, name) for each in all_figures) for name in ("wall", "cpu"))
    last = all_figures[-1]
    memory = f", {last.memory['Pss'] / 1000:.0f} MB of memory" if last.memory["Pss"] else ""
    return f"{wall:.2f} s, CPU {cpu:.2f} s, {last.sent / 1e6:.1f} + {last.received / 1e6:.1f} MB{memory}"


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Store]:
    """Start a store, for the length of the block."""
    if kind == "s3":
        engine = start_ceph(folder)
        try:
            yield Store(urlsplit(engine.endpoint).port or 80, engine.environment)
        finally:
            stop(engine.process)
    else:
        place = folder / "sshd"
        place.mkdir()
        server = start_sshd(place)
        try:
            yield Store(server.port, {}, server.options, place / "client")
        finally:
            stop(server.process)


def main() -> None:
    """Measure what was asked for, and print a table for each store and line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=lambda text: text.split(","), default=("s3", "sftp"), help="of s3,sftp (default: both)")
    parser.add_argument("--lines", type=lambda text: text.split(","), default=("slow", "none"), help="of slow,none (default: both)")
    parser.add_argument("--tools", type=lambda text: text.split(","), default=("tallac", "restic"), help="default: both")
    parser.add_argument("--operations", type=lambda text: text.split(","), default=(), help="default: all; first has to be there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=20_000, help="how many small files (default: %(default)s)")
    parser.add_argument("--large", action="store_true", help="one file of 1 GB in their place, and memory")
    parser.add_argument("--delay", type=float, default=20, help="milliseconds each way (default: %(default)s)")
    parser.add_argument("--width", type=float, default=100, help="Mbit/s each way (default: %(default)s)")
    parser.add_argument("--timelines", type=Path, help="a folder for how full the line was, and all requests over S3")
    parser.add_argument("--folder", type=Path, help="where everything goes (default: a temporary folder)")
    options = parser.parse_args()
    options.operations = options.operations or (LARGE_OPERATIONS if options.large else OPERATIONS)
    shape = Shape(options.delay / 1000, options.width * 1e6 / 8)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source = folder / "source"
        source.mkdir()
        if options.large:
            large_file(source, LARGE_MEGABYTES)
        else:
            small_files(source, options.files)
        for kind in options.stores:
            with opened(kind, folder) as store:
                for line_name in options.lines:
                    with ExitStack() as stack:
                        timeline = Timeline() if options.timelines and kind == "s3" else None
                        slow = slow_line("127.0.0.1", store.port, shape, timeline=timeline) if line_name == "slow" else None
                        line = None if slow is None else stack.enter_context(slow)
                        if line and store.key:
                            known = store.key.with_name("known_hosts")
                            key = known.read_text().split(" ", 1)[1].splitlines()[0]
                            known.write_text(f"{known.read_text()}[127.0.0.1]:{line.port} {key}\n")
                        found = measure(store, line, source, folder, options)
                    title = f"{kind}, {f'{options.delay:g} ms each way, {options.width:g} Mbit/s' if line else 'no line between'}"
                    print_table(title, options.tools, found)


if __name__ == "__main__":
    main()
